package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// stopTimeout is how long Ctrl-C may take.
const stopTimeout = 5 * time.Second

func TestASecondUpGoesOnWhereTheFirstStopped(t *testing.T) {
	besideOthers(t)
	data, state := smallData(t, recsystest.DataDir(t), 150), t.TempDir()
	var events int64
	for i, predictions := range []string{"600", "200"} {
		p := start(t, launch{args: up(state, "--data", data, "--rate", "400", "--until-predictions", predictions, "--json")})
		p.succeed(time.Minute)
		s, _ := summaryOf(t, p)
		checkAccounts(t, s)
		if i == 1 && s.Events > 2000 {
			t.Errorf("the second run published %d events: it loaded the history again", s.Events)
		}
		events += s.Events
	}
	all := timeline(t, data)
	sameRows(t, "rating store", dump(t, state, "ratings.db")["ratings"], ratingRows(all[:events]))
	sameRows(t, "request ids in the prediction index",
		rows(t, openDatabase(t, state, "predictions.db"), "SELECT request_id FROM predictions ORDER BY request_id"),
		liveRequests(all, int(0.8*float64(len(all))), int(events)))
	address := freeAddress(t)
	startBroker(t, state, address)
	if n := connect(t, address).mustEnd(t, "events"); n != events {
		t.Errorf("the topic events has %d records, the two runs published %d", n, events)
	}
}

func TestASecondUpOnTheSameFolderIsRefused(t *testing.T) {
	besideOthers(t)
	data, state := smallData(t, recsystest.DataDir(t), 20), t.TempDir()
	running := start(t, launch{args: up(state, "--data", data)})
	eventually(t, 20*time.Second, running, running.says("http://127.0.0.1:"))
	start(t, launch{args: up(state, "--data", data)}).refuse(10*time.Second, state, "--state")
	start(t, launch{args: []string{"broker", "--state", state, "--address", "127.0.0.1:0"}}).refuse(10*time.Second, state)
	if err := running.Ended(); err != nil {
		t.Errorf("the first one: %v\n%s", err, running.tail())
	}
}

func TestUpNamesAPortThatIsTaken(t *testing.T) {
	besideOthers(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for flag, words := range map[string][]string{"--listen": {taken, "--listen"}, "--admin": {taken, "--admin"}, "--broker": {taken[10:]}} {
		p := start(t, launch{args: up(t.TempDir(), flag, taken, "--data", smallData(t, recsystest.DataDir(t), 20))})
		p.refuse(10*time.Second, words...)
	}
}

func TestUpStopsByItselfAfterATime(t *testing.T) {
	besideOthers(t)
	data := smallData(t, recsystest.DataDir(t), 150)
	p := start(t, launch{args: up(t.TempDir(), "--data", data, "--for", "12s", "--quiet")})
	p.succeed(time.Minute)
	s, _ := summaryOf(t, p)
	checkAccounts(t, s)
	if s.Predictions == 0 || s.Seconds < 12 || s.Seconds > 40 {
		t.Errorf("%d predictions in %v s; the run was to last 12 s", s.Predictions, s.Seconds)
	}
	if text := p.stderr.String(); text != "" {
		t.Errorf("--quiet says: %s", text)
	}
}

func TestInterruptedUpStopsAtOnceAndLosesNothing(t *testing.T) {
	besideOthers(t)
	data, state := smallData(t, recsystest.DataDir(t), 150), t.TempDir()
	all := timeline(t, data)
	for i, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT} {
		before := len(liveIn(state))
		p := start(t, launch{args: up(state, "--data", data, "--rate", "1000", "--json")})
		eventually(t, 30*time.Second, p, func() error {
			if i == 2 { // as early as it can be
				return p.says("http://127.0.0.1:")()
			}
			if n := len(liveIn(state)) - before; n < 300 {
				return fmt.Errorf("%d new predictions are in the index", n)
			}
			return nil
		})
		interrupted := time.Now()
		p.signal(signal)
		p.succeed(stopTimeout)
		t.Logf("%s: stopped after %.2f s", signal, time.Since(interrupted).Seconds())
	}
	p := start(t, launch{args: up(state, "--data", data, "--rate", "0", "--until-predictions", "1000000", "--json")})
	p.succeed(time.Minute)
	s, _ := summaryOf(t, p)
	checkAccounts(t, s)
	sameRows(t, "rating store", dump(t, state, "ratings.db")["ratings"], ratingRows(all))
	sameRows(t, "request ids in the prediction index",
		rows(t, openDatabase(t, state, "predictions.db"), "SELECT request_id FROM predictions ORDER BY request_id"),
		liveRequests(all, int(0.8*float64(len(all))), len(all)))
}

// liveIn is the request ids in the prediction index, none while there is none.
func liveIn(state string) []string {
	db, err := openExisting(filepath.Join(state, "predictions.db"))
	if err != nil {
		return nil
	}
	defer db.Close()
	ids, err := queryRows(db, "SELECT request_id FROM predictions")
	if err != nil {
		return nil
	}
	return ids
}

// says is a check that the process has said something.
func (p *process) says(words string) func() error {
	return func() error {
		if !strings.Contains(p.stderr.String(), words) {
			return fmt.Errorf("%s has not said %q", p.Name(), words)
		}
		return nil
	}
}

func TestWithoutNetworkAndDataTheSampleIsLabelledSimulated(t *testing.T) {
	besideOthers(t)
	state := t.TempDir()
	p := start(t, launch{
		// Nobody answers at this proxy: a network that is not there.
		env:  []string{"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1", "NO_PROXY=127.0.0.1"},
		args: up(state, "--rate", "500", "--until-predictions", "200"),
	})
	p.succeed(time.Minute)
	s, _ := summaryOf(t, p)
	checkAccounts(t, s)
	if !s.Simulated || !strings.Contains(p.stderr.String(), "simulated sample") {
		t.Errorf("the summary or the terminal does not say that the data are simulated\n%s", p.tail())
	}
	registry := "file://" + filepath.Join(state, "registry")
	if text := runBinary(t, "", "models", "show", "--registry", registry, "--json"); !strings.Contains(text, `"simulated":true`) {
		t.Errorf("the manifest does not say that the data are simulated: %s", text)
	}
	if _, err := os.Stat(filepath.Join(state, "simulated-sample", "ratings.csv")); err != nil {
		t.Errorf("the sample is not kept: %v", err)
	}
}
