package chaos

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// table of all faults of this run.
var table faultTable

type faultTable struct {
	mu   sync.Mutex
	rows []*faultRow // in the order in which they first happened
}

// faultRow is what came of one kind of fault, at worst.
type faultRow struct {
	fault           string
	times           int
	accounted       int // messages under way in all
	duplicates      int // predictions that were made again, in all
	first, caughtUp time.Duration
}

func (f *faultTable) add(fault string, r recovery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var row *faultRow
	for _, known := range f.rows {
		if known.fault == fault {
			row = known
		}
	}
	if row == nil {
		row = &faultRow{fault: fault}
		f.rows = append(f.rows, row)
	}
	row.times++
	row.accounted += r.accounted
	row.duplicates += r.duplicates
	row.first, row.caughtUp = max(row.first, r.first), max(row.caughtUp, r.caughtUp)
}

// write writes the table as Markdown, to a file if one is named.
func (f *faultTable) write(path string) error {
	var text strings.Builder
	text.WriteString("| fault | times | messages meanwhile | lost | predicted again | first reply after, at worst | caught up after, at worst |\n| - | - | - | - | - | - | - |\n")
	for _, r := range f.rows {
		fmt.Fprintf(&text, "| %s | %d | %d | 0 | %d | %.1f s | %.1f s |\n", r.fault, r.times, r.accounted, r.duplicates, r.first.Seconds(), r.caughtUp.Seconds())
	}
	if len(f.rows) == 0 {
		return nil
	}
	fmt.Print(text.String())
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("writing the table of faults: %w; RECSYS_FAULTS_TABLE names its file", err)
	}
	return nil
}
