package commands

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// listFile is a file of lists in one format.
type listFile interface {
	write(lists []recommendations) error
	close() error // writes what is left; the file itself stays open
}

// listFormat returns what makes the file of a path, by the end of its name.
func listFormat(path string) (func(io.Writer) listFile, error) {
	switch extension := strings.ToLower(filepath.Ext(path)); extension {
	case ".jsonl":
		return newLines, nil
	case ".csv":
		return newSheet, nil
	case ".parquet":
		return newParquet, nil
	default:
		return nil, fmt.Errorf("--out %s: %q is not a format; give a file that ends in .jsonl, .csv or .parquet", path, extension)
	}
}

// lines has a line of JSON for each user.
type lines struct{ *json.Encoder }

func newLines(w io.Writer) listFile {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return lines{encoder}
}

func (l lines) write(lists []recommendations) error {
	for _, list := range lists {
		if err := l.Encode(list); err != nil {
			return err
		}
	}
	return nil
}

func (l lines) close() error { return nil }

// sheet has a row of CSV for each movie.
type sheet struct{ *csv.Writer }

func newSheet(w io.Writer) listFile {
	t := sheet{csv.NewWriter(w)}
	_ = t.Write([]string{"user_id", "rank", "movie_id", "score", "prediction", "title", "genres", "model_version", "basis"}) // close tells
	return t
}

func (t sheet) write(lists []recommendations) error {
	number := func(value float32) string { return strconv.FormatFloat(float64(value), 'f', -1, 32) }
	for _, list := range lists {
		user := strconv.FormatInt(list.UserID, 10)
		for k, item := range list.Items {
			err := t.Write([]string{
				user, strconv.Itoa(k + 1), strconv.FormatInt(item.MovieID, 10), number(item.Score), number(item.Prediction),
				item.Title, strings.Join(item.Genres, "|"), list.ModelVersion, string(list.Basis),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (t sheet) close() error {
	t.Flush()
	return t.Error()
}

// columns has a row of Parquet for each movie.
type columns struct {
	*parquet.GenericWriter[parquetRow]
	rows []parquetRow // room, used again
}

// parquetRow is what Spark, DuckDB or pandas read of a recommended movie.
type parquetRow struct {
	UserID       int64    `parquet:"user_id"`
	Rank         int32    `parquet:"rank"` // from 1
	MovieID      int64    `parquet:"movie_id"`
	Score        float32  `parquet:"score"`
	Prediction   float32  `parquet:"prediction"` // stars
	Title        string   `parquet:"title,dict"`
	Genres       []string `parquet:"genres,list,dict"`
	ModelVersion string   `parquet:"model_version,dict"`
	Basis        string   `parquet:"basis,dict"`
}

func newParquet(w io.Writer) listFile {
	return &columns{GenericWriter: parquet.NewGenericWriter[parquetRow](w, parquet.Compression(&parquet.Snappy))}
}

func (c *columns) write(lists []recommendations) error {
	c.rows = c.rows[:0]
	for _, list := range lists {
		for k, item := range list.Items {
			c.rows = append(c.rows, parquetRow{
				list.UserID, int32(k + 1), item.MovieID, item.Score, item.Prediction, item.Title, item.Genres, list.ModelVersion, string(list.Basis),
			})
		}
	}
	_, err := c.Write(c.rows)
	return err
}

func (c *columns) close() error { return c.Close() }

// listsAtOnce is how many lists are held in memory.
const listsAtOnce = 4096

// recommendAll writes the lists of all users into a file, which is there only when
// it is whole.
func (s served) recommendAll(of model.Recommender, n int, out string, format func(io.Writer) listFile, asJSON bool) error {
	began := time.Now()
	users := of.AllUsers()
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return fmt.Errorf("writing lists: %w", err)
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	if err := s.writeAll(of, n, users, file, format); err != nil {
		file.Close()
		return fmt.Errorf("writing lists to %s: %w", out, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing lists to %s: %w", out, err)
	}
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return fmt.Errorf("writing lists: %w", err)
	}
	if err := os.Rename(file.Name(), out); err != nil {
		return fmt.Errorf("writing lists: %w", err)
	}
	took := time.Since(began)
	if asJSON {
		return printJSON(map[string]any{"users": len(users), "n": n, "out": out, "model_version": s.version, "seconds": took.Seconds()})
	}
	fmt.Printf("%d movies each for %d users in %s (model %s, %.1f s)\n", n, len(users), out, s.version, took.Seconds())
	return nil
}

func (s served) writeAll(of model.Recommender, n int, users []int64, file *os.File, format func(io.Writer) listFile) error {
	buffered := bufio.NewWriterSize(file, 1<<18)
	written := format(buffered)
	lists := make([]recommendations, min(listsAtOnce, len(users)))
	for from := 0; from < len(users); from += listsAtOnce {
		some := users[from:min(from+listsAtOnce, len(users))]
		var next atomic.Int64
		var workers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for k := next.Add(1) - 1; k < int64(len(some)); k = next.Add(1) - 1 {
					lists[k] = s.recommend(of, some[k], n)
				}
			})
		}
		workers.Wait()
		if err := written.write(lists[:len(some)]); err != nil {
			return err
		}
	}
	if err := written.close(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Sync()
}
