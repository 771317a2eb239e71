package commands

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// batchOf says what lists there are for whom, and how they become rows R of a table.
type batchOf[L, R any] struct {
	whom   string // "users"
	of     string // "movies"
	ids    []int64
	list   func(id int64) L
	header []string
	append func(rows []R, list L) []R
	cells  func(row R) []string
}

// listsAtOnce is how many lists are held in memory.
const listsAtOnce = 4096

// writeAll writes the lists into a file, which is there only when it is whole.
func writeAll[L, R any](b batchOf[L, R], s served, n int, out string, asJSON bool) error {
	began := time.Now()
	format, err := b.format(out)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return fmt.Errorf("writing lists: %w", err)
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	if err := b.write(file, format); err != nil {
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
		return printJSON(map[string]any{b.whom: len(b.ids), "n": n, "out": out, "model_version": s.version, "seconds": took.Seconds()})
	}
	fmt.Printf("%d %s each for %d %s in %s (model %s, %.1f s)\n", n, b.of, len(b.ids), b.whom, out, s.version, took.Seconds())
	return nil
}

// write makes the lists on all cores, and writes them in the order of the ids.
func (b batchOf[L, R]) write(file *os.File, format func(io.Writer) listFile[L]) error {
	buffered := bufio.NewWriterSize(file, 1<<18)
	written := format(buffered)
	lists := make([]L, min(listsAtOnce, len(b.ids)))
	p := newProgress("making lists", b.whom, int64(len(b.ids)))
	defer p.end()
	for some := range slices.Chunk(b.ids, listsAtOnce) {
		var next atomic.Int64
		var workers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for k := next.Add(1) - 1; k < int64(len(some)); k = next.Add(1) - 1 {
					lists[k] = b.list(some[k])
				}
			})
		}
		workers.Wait()
		p.add(len(some))
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

// readIDs reads the ids that --ids gives: themselves, or a file of them.
func readIDs(text string) ([]int64, error) {
	ids, err := parseIDs(text)
	if err == nil {
		return ids, nil
	}
	data, failed := os.ReadFile(text)
	if failed != nil {
		return nil, usagef("--ids %s is neither a list of ids such as 1,514 (%w) nor a file (%w)", text, err, failed)
	}
	if ids, err = parseIDs(string(data)); err != nil {
		return nil, usagef("--ids %s: %w", text, err)
	}
	return ids, nil
}

// parseIDs reads ids with commas or white space between them, and returns them in
// order, each once.
func parseIDs(text string) ([]int64, error) {
	var ids []int64
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is no id", word)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errors.New("there are no ids")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
