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
	accounted       int           // messages under way in all
	duplicates      int           // predictions that were made again, in all
	longest         time.Duration // that a request waited
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
	row.longest = max(row.longest, r.longest)
	row.first, row.caughtUp = max(row.first, r.first), max(row.caughtUp, r.caughtUp)
	f.keep()
}

// keep writes what there is to the file that RECSYS_FAULTS_TABLE names, after every
// fault: a run of an hour may be cut off.
func (f *faultTable) keep() {
	path := os.Getenv("RECSYS_FAULTS_TABLE")
	if path == "" {
		return
	}
	if err := os.WriteFile(path, []byte(f.markdown()), 0o644); err != nil {
		fmt.Fprintf(os.Stderr, "writing the table of faults: %v; RECSYS_FAULTS_TABLE names its file\n", err)
	}
}

func (f *faultTable) markdown() string {
	var text strings.Builder
	text.WriteString("| fault | times | messages meanwhile | lost | predicted again | longest wait for a reply | first reply after | caught up after |\n| - | - | - | - | - | - | - | - |\n")
	for _, r := range f.rows {
		fmt.Fprintf(&text, "| %s | %d | %d | 0 | %d | %.1f s | %.1f s | %.1f s |\n", r.fault, r.times, r.accounted, r.duplicates, r.longest.Seconds(), r.first.Seconds(), r.caughtUp.Seconds())
	}
	return text.String()
}
