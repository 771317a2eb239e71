package registry

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const kills = 200

// run is a worker in a process of its own, and what it tells.
type run struct {
	*exec.Cmd
	told chan string // closed when it has ended
}

func start(t *testing.T, name, url string, until int64, env ...string) *run {
	t.Helper()
	r := &run{exec.Command(os.Args[0]), make(chan string, 1<<16)}
	r.Env = append(os.Environ(), workerVariable+"="+name, urlVariable+"="+url, fmt.Sprintf("%s=%d", untilVariable, until))
	r.Env = append(r.Env, env...)
	r.Stderr = os.Stderr
	out, err := r.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sync.OnceFunc(func() { _ = r.Process.Kill() }))
	go func() {
		defer close(r.told)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil { // a line that the kill cut says nothing
				if err != io.EOF {
					fmt.Fprintln(os.Stderr, err)
				}
				return
			}
			r.told <- strings.TrimSuffix(line, "\n")
		}
	}()
	return r
}

// TestKilledAtRandomMomentsAWriterLeavesTheOldStateOrTheNew: what was told is there,
// at most one more thing is, and all of it is sound.
func TestKilledAtRandomMomentsAWriterLeavesTheOldStateOrTheNew(t *testing.T) {
	url := "file://" + t.TempDir()
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	var before registry.Promotion
	begun, recorded := time.Now(), 0
	for kill := range kills {
		w := start(t, "everything", url, 0)
		if first := <-w.told; first != "ready" {
			t.Fatalf("kill %d: it says %q", kill, first)
		}
		time.Sleep(time.Duration(random.Int64N(int64(250 * time.Millisecond)))) // the random moment
		if err := w.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		said := []string{}
		for line := range w.told {
			said = append(said, line)
		}
		_ = w.Wait()
		recorded += checkKilled(t, url, &before, said)
		if t.Failed() {
			t.Fatalf("kill %d, after it said %q", kill, said)
		}
	}
	t.Logf("%d kills, %d changes of roles told, log at %d, %.1f s", kills, recorded, before.Sequence, time.Since(begun).Seconds())
	if recorded < kills/10 {
		t.Errorf("only %d changes of roles in %d kills: it is killed too early to say much", recorded, kills)
	}
}

// checkKilled looks at a registry whose writer was killed after it said so much, and
// prunes it as a person would. It returns how many promotions had been told.
func checkKilled(t *testing.T, url string, before *registry.Promotion, said []string) (recorded int) {
	t.Helper()
	r, err := registry.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	told := *before
	for _, line := range said {
		var version string
		if n, _ := fmt.Sscanf(line, "published %s", &version); n == 1 {
			if _, _, err := r.Model(version); err != nil {
				t.Errorf("it published a version that is not there: %v", err)
			}
		}
		if n, _ := fmt.Sscanf(line, "recorded %d %s", &told.Sequence, &told.Nonce); n == 2 {
			recorded++
		}
	}
	latest, ok, err := r.Latest()
	switch {
	case err != nil:
		t.Fatal(err)
	case !ok && told.Sequence == 0:
		return recorded
	case latest.Sequence < told.Sequence || latest.Sequence > told.Sequence+1:
		t.Errorf("the log is at %d, told was %d", latest.Sequence, told.Sequence)
	case latest.Sequence == told.Sequence && latest.Nonce != told.Nonce:
		t.Errorf("promotion %d has nonce %q, told was %q", latest.Sequence, latest.Nonce, told.Nonce)
	}
	if _, _, err := r.Model(latest.Roles[registry.Champion]); err != nil {
		t.Errorf("the champion: %v", err)
	}
	report, err := r.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("Verify found %q, %v", report.Problems, err)
	}
	if _, err := r.Prune(t.Context(), 3, false); err != nil {
		t.Error(err)
	}
	*before = latest
	return recorded
}
