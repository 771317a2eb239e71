//go:build unix

package sparksubmit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

const patience = 60 * time.Second

// launcher runs a shell script in the place of spark-submit. Its variable dir is a
// folder of the test, its arguments are those of spark-submit.
func launcher(t *testing.T, script string) (l *Launcher, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "submit")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir='"+dir+"'\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Launcher{
		Submit: path, Source: Source{CSV: "ratings.csv"}, Main: "job.py",
		Scripts: fstest.MapFS{"job.py": {Data: []byte("pass\n")}, "part.py": {Data: []byte("pass\n")}},
	}, dir
}

var small = als.Parameters{Algorithm: als.ALS, Rank: 3, Lambda: 1.25, Nu: 0.5, Iterations: 2, Seed: 42}

// staged publishes what a job would write into a registry in dir/staged.
func staged(t *testing.T, dir string) (factors *als.Factors) {
	t.Helper()
	m, err := ratings.NewMatrix(recsystest.Ratings(9, 7, 0.6, 1))
	if err != nil {
		t.Fatal(err)
	}
	if factors, err = als.Train(t.Context(), m, small, nil); err != nil {
		t.Fatal(err)
	}
	made, err := model.New(factors, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open("file://" + filepath.Join(dir, "staged"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{stagedVersion, stagedTwin} {
		manifest := registry.Manifest{Version: version, Algorithm: als.ALS, Metrics: message.Metrics{RMSE: 0.9}, Tool: "the job"}
		if _, err := r.Publish(t.Context(), made, manifest); err != nil {
			t.Fatal(err)
		}
	}
	return factors
}

// waitFor waits until a file has content, and returns that.
func waitFor(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not appear in %s", path, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// isGone waits until a process has ended; one that nobody has waited for yet is a
// zombie, and has.
func isGone(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		stat, _ := os.ReadFile("/proc/" + pid + "/stat")
		if errors.Is(syscall.Kill(number, 0), syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s still lives after %s", pid, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAFollowedJobGivesProgressAndItsModels(t *testing.T) {
	l, dir := launcher(t, `
echo "$@" > $dir/arguments
while [ "$1" != --registry ]; do shift; done
root=${2#file://}
ls $root/job > $dir/scripts
echo 'a line of somebody else'
echo '{"event":"started","master":"local[2]","application":"app-1"}'
echo '{"event":"half_step","training":"version","iteration":1,"total":2,"side":"movies","rmse":1.5,"seconds":0.5}'
echo '{"event":"half_step","training":"version","iteration":1,"total":2,"side":"users","rmse":1.25,"seconds":1}'
head -c 3000000 /dev/zero | tr '\0' x; echo
echo '{"event":"half_step","training":"version","iteration":2,"total":2,"side":"users","rmse":null,"seconds":2}'
cp -r $dir/staged/models $root/
echo '{"event":"published","version":"staged"}'
`)
	want := staged(t, dir)
	l.Master, l.Conf, l.Packages = "yarn", map[string]string{"spark.b": "2 3", "spark.a": "1"}, []string{"g:a:1", "g:b:2"}
	l.Blocks, l.Checkpoint = 7, "hdfs:///c"
	var said []string
	l.Say = func(text string) { said = append(said, text) }
	var told []als.Progress
	fitted, err := l.Fit(t.Context(), training.Fit{
		Parameters: small, Holdout: 0.1, Without: 0.25, Before: &ratings.Rating{Time: 5, User: -6, Movie: 7},
		Start: want, Progress: func(p als.Progress) { told = append(told, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(fitted.Factors.UserFactors, want.UserFactors) || fitted.Twin == nil || fitted.Metrics.RMSE != 0.9 || fitted.Tool != "the job" {
		t.Errorf("fitted %+v", fitted)
	}
	if len(told) != 2 || told[0].RMSE != 1.25 || told[0].Iteration != 1 || told[0].Total != 2 || told[0].Elapsed != time.Second || !math.IsNaN(told[1].RMSE) {
		t.Errorf("progress %+v", told)
	}
	if len(said) != 1 || !strings.Contains(said[0], "app-1 at local[2]") {
		t.Errorf("said %q", said)
	}
	got := waitFor(t, filepath.Join(dir, "arguments"))
	for _, want := range []string{
		"--deploy-mode client --name recsys-benthos training --master yarn --conf spark.a=1 --conf spark.b=2 3 --packages g:a:1,g:b:2",
		"/job/job.py --ratings-csv ratings.csv --registry file://", "--rank 3 --lambda 1.25 --nu 0.5 --iterations 2 --seed 42 --holdout 0.1 --without 0.25 --before=5,-6,7 --blocks 7 --checkpoint hdfs:///c --start /",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("arguments are %s, want …%s…", got, want)
		}
	}
	if got := waitFor(t, filepath.Join(dir, "scripts")); got != "job.py\npart.py" {
		t.Errorf("scripts are %q", got)
	}
	if left := waitFor(t, filepath.Join(dir, "arguments")); strings.Contains(left, "--registry file:///") {
		root := strings.Fields(left[strings.Index(left, "file://")+len("file://"):])[0]
		if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the staging folder %s is left: %v", root, err)
		}
	}
}

func TestAJobThatEndsWithoutAModelIsToldInOneLine(t *testing.T) {
	step := `echo '{"event":"half_step","training":"twin","iteration":3,"total":10,"side":"movies","rmse":1,"seconds":1}'` + "\n"
	for name, c := range map[string]struct{ script, want string }{
		"it fails": {
			step + "echo 'Traceback:' >&2; echo 'ValueError: no such table' >&2; echo '  at a place' >&2; exit 3",
			"ended with exit status 3 after 0s, after the half-step of movies of iteration 3 of 10 of the twin; the registry is as it was; it said: ValueError: no such table",
		},
		"it is killed":               {step + "kill -9 $$", "ended with signal: killed after 0s, after the half-step of movies"},
		"it says nothing":            {"exit 0", "ended without a word of a version after 0s, before it started; the registry is as it was; it said: nothing"},
		"what it wrote is not there": {`echo '{"event":"published","version":"staged"}'`, "taking over what the Spark job wrote: reading version staged: not found"},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := launcher(t, c.script)
			_, err := l.Fit(t.Context(), training.Fit{Parameters: small})
			if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, " after 0s", "")) && !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func TestTheEndOfTheContextEndsAllProcessesOfTheJob(t *testing.T) {
	l, dir := launcher(t, `
trap '' TERM
(trap '' TERM; while true; do sleep 1; done) &
echo "$$ $!" > $dir/pids
while true; do sleep 1; done
`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	lost := errors.New("the lease was lost")
	done := make(chan error, 1)
	go func() {
		_, err := l.Fit(ctx, training.Fit{Parameters: small})
		done <- err
	}()
	pids := strings.Fields(waitFor(t, filepath.Join(dir, "pids")))
	cancel(lost)
	select {
	case err := <-done:
		if !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	for _, pid := range pids {
		isGone(t, pid)
	}
}

// TestAKilledDriverLeavesNoProcess: what it started holds its output, which is not to
// be waited for.
func TestAKilledDriverLeavesNoProcess(t *testing.T) {
	l, dir := launcher(t, `
(while true; do sleep 1; done) &
echo "$!" > $dir/pids
kill -9 $$
`)
	_, err := l.Fit(t.Context(), training.Fit{Parameters: small})
	if !errors.Is(err, ErrJob) || !strings.Contains(fmt.Sprint(err), "signal: killed") {
		t.Errorf("got %v", err)
	}
	isGone(t, waitFor(t, filepath.Join(dir, "pids")))
}

func TestWhatCannotBeStartedIsToldWithWhatMendsIt(t *testing.T) {
	l := &Launcher{Submit: "no-such-spark-submit", Source: Source{CSV: "x"}, Scripts: fstest.MapFS{}, Main: "job.py"}
	_, err := l.Fit(t.Context(), training.Fit{Parameters: small})
	if err == nil || !strings.Contains(err.Error(), "engine.spark.submit") {
		t.Errorf("got %v", err)
	}
	for _, s := range []Source{{}, {CSV: "a", Parquet: "b"}} {
		if _, err := s.Arguments(); !errors.Is(err, ErrSource) {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}
