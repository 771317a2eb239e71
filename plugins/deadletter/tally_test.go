package deadletter

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for line := range strings.Lines(l.text.String()) {
		_, message, _ := strings.Cut(line, "msg=")
		all = append(all, strings.TrimSpace(message))
	}
	return all
}

func TestTheLogTellsOfDeadLettersInSums(t *testing.T) {
	said := &lines{}
	tally := newTally(service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(said, nil))))
	tally.period = time.Hour // the test is the clock
	tally.add(nil)
	tally.add(map[string]int{"als_predict": 1})
	for range 100 {
		tally.add(map[string]int{"als_predict": 2, "": 1})
	}
	tally.due()
	tally.due() // nothing came: quiet again
	tally.add(map[string]int{"rating_event": 3})
	tally.add(map[string]int{"rating_event": 4})
	tally.close()
	want := []string{
		`"Dead letters: 1 (als_predict 1); the topic has the reasons"`,
		`"Dead letters: 300 (unknown 100, als_predict 200); the topic has the reasons"`,
		`"Dead letters: 3 (rating_event 3); the topic has the reasons"`,
		`"Dead letters: 4 (rating_event 4); the topic has the reasons"`,
	}
	if got := said.all(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
