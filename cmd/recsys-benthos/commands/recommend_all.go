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

	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// listWriter writes the head of a file, for nil, and then lists.
type listWriter func(w io.Writer, lists []recommendations) error

// listFormat returns the writer for a file, by the end of its name.
func listFormat(path string) (listWriter, error) {
	switch extension := strings.ToLower(filepath.Ext(path)); extension {
	case ".jsonl":
		return writeJSONLines, nil
	case ".csv":
		return writeCSV, nil
	default:
		return nil, fmt.Errorf("--out %s: %q is not a format; give a file that ends in .jsonl or .csv", path, extension)
	}
}

func writeJSONLines(w io.Writer, lists []recommendations) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, list := range lists {
		if err := encoder.Encode(list); err != nil {
			return err
		}
	}
	return nil
}

func writeCSV(w io.Writer, lists []recommendations) error {
	table := csv.NewWriter(w)
	if lists == nil {
		_ = table.Write([]string{"user_id", "rank", "movie_id", "score", "prediction", "title", "genres", "model_version", "basis"}) // Error tells
	}
	number := func(value float32) string { return strconv.FormatFloat(float64(value), 'f', -1, 32) }
	for _, list := range lists {
		user := strconv.FormatInt(list.UserID, 10)
		for k, item := range list.Items {
			_ = table.Write([]string{
				user, strconv.Itoa(k + 1), strconv.FormatInt(item.MovieID, 10), number(item.Score), number(item.Prediction),
				item.Title, strings.Join(item.Genres, "|"), list.ModelVersion, string(list.Basis),
			})
		}
	}
	table.Flush()
	return table.Error()
}

// listsAtOnce is how many lists are held in memory.
const listsAtOnce = 4096

// recommendAll writes the lists of all users into a file, which is there only when
// it is whole.
func (s served) recommendAll(of model.Recommender, n int, out string, write listWriter, asJSON bool) error {
	began := time.Now()
	users := of.AllUsers()
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return fmt.Errorf("writing lists: %w", err)
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	if err := s.writeAll(of, n, users, file, write); err != nil {
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

func (s served) writeAll(of model.Recommender, n int, users []int64, file *os.File, write listWriter) error {
	buffered := bufio.NewWriterSize(file, 1<<18)
	if err := write(buffered, nil); err != nil {
		return err
	}
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
		if err := write(buffered, lists[:len(some)]); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Sync()
}
