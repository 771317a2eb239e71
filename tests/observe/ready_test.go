package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// told is within what time an outage is told.
const told = 15 * time.Second

// predictor is a predicting process, with its broker apart.
type predictor struct {
	*process
	dir, state, data string
	broker           *process
	address, admin   string
}

func (p *predictor) startBroker(t *testing.T) {
	t.Helper()
	p.broker = start(t, p.dir, nil, "broker", "--state", p.state, "--address", p.address)
	p.broker.listens(t, p.address)
}

func newPredictor(t *testing.T, env ...string) *predictor {
	t.Helper()
	p := &predictor{dir: t.TempDir(), state: t.TempDir(), data: recsystest.DataDir(t), address: freeAddress(t), admin: freeAddress(t)}
	if code, said := run(t, p.dir, "init"); code != 0 {
		t.Fatal(said)
	}
	p.startBroker(t)
	env = append([]string{
		"KAFKA_BROKERS=" + p.address, "RECSYS_STATE=" + p.state, "RECSYS_MOVIES=" + p.data, "RECSYS_ADMIN=" + p.admin,
		"RECSYS_REGISTRY=file://" + filepath.Join(p.state, "registry"),
	}, env...)
	p.process = start(t, p.dir, env, "streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml", "pipelines/predict.yaml", "pipelines/models.yaml")
	p.listens(t, p.admin)
	return p
}

// health is what recsys-benthos health says, as a program reads it.
func (p *predictor) health(args ...string) (ready bool, reasons []string, err error) {
	command := exec.Command(program, append([]string{"health", "--admin", p.admin, "--timeout", "3s", "--json"}, args...)...)
	command.Env = binary.Inherited()
	said, _ := command.Output()
	var verdict struct {
		Ready   bool
		Reasons []string
	}
	if err := json.Unmarshal(said, &verdict); err != nil {
		return false, nil, fmt.Errorf("health prints %q: %w", said, err)
	}
	if code := command.ProcessState.ExitCode(); (code == 0) != verdict.Ready || verdict.Ready != (len(verdict.Reasons) == 0) {
		return false, nil, fmt.Errorf("health ends with %d and prints %q", code, said)
	}
	return verdict.Ready, verdict.Reasons, nil
}

// becomes waits for a verdict: ready, or not ready for reasons with these texts.
func (p *predictor) becomes(t *testing.T, limit time.Duration, args []string, reasons ...string) {
	t.Helper()
	begin := time.Now()
	p.eventually(t, limit, func() error {
		ready, got, err := p.health(args...)
		if err != nil {
			return err
		}
		if len(reasons) == 0 && !ready {
			return fmt.Errorf("not ready: %q", got)
		}
		for _, reason := range reasons {
			if !strings.Contains(strings.Join(got, "\n"), reason) {
				return fmt.Errorf("of %q nothing is told, but %q", reason, got)
			}
		}
		return nil
	})
	t.Logf("%q after %.1f s", reasons, time.Since(begin).Seconds())
}

// benthosSays waits for the status of Benthos's own endpoint.
func (p *predictor) benthosSays(t *testing.T, limit time.Duration, want int) {
	t.Helper()
	p.eventually(t, limit, func() error {
		status, _, body, err := get("http://" + p.admin + "/ready")
		if err == nil && status != want {
			err = fmt.Errorf("/ready is %d: %s", status, body)
		}
		return err
	})
}

// TestReadinessTellsTheTruth is about a model that is not there, a lag, and a broker
// that is killed, and one that is frozen, which gives no error at all. Liveness stays:
// to start the process again would mend nothing.
func TestReadinessTellsTheTruth(t *testing.T) {
	t.Parallel()
	p := newPredictor(t)
	var asked []*kgo.Record
	for n := range 200 {
		asked = append(asked, &kgo.Record{Topic: "requests", Value: fmt.Appendf(nil, `{"request_id":"r%d","user_id":1,"movie_id":%d}`, n, n+1)})
	}
	produce(t, p.address, asked...)
	limit := []string{"--max-lag", "100"}
	p.becomes(t, patience, nil, "the resource model has no model yet")
	p.becomes(t, patience, limit, "stream predict in topic requests is 200 records behind; the limit is 100")
	train(t, p.data, p.state)
	p.becomes(t, patience, limit) // it has caught up, too

	alive := func() {
		t.Helper()
		if code, said := run(t, p.dir, "health", "--admin", p.admin, "--alive"); code != 0 {
			t.Errorf("not alive: %s", said)
		}
		if err := p.Ended(); err != nil {
			t.Fatal(err)
		}
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		if err := p.broker.Command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		p.becomes(t, told, nil, "Kafka does not answer the input of stream predict", "Kafka does not answer the output of stream predict")
		p.benthosSays(t, told, http.StatusServiceUnavailable)
		alive()
		if signal == syscall.SIGSTOP {
			if err := p.broker.Command.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		} else {
			p.broker.Kill()
			p.startBroker(t)
		}
		p.becomes(t, patience, limit)
		p.benthosSays(t, patience, http.StatusOK)
	}
	for _, line := range []string{"Outage: Kafka does not answer", "Outage over: Kafka answers"} {
		if n := strings.Count(p.said.String(), line); n != 2 {
			t.Errorf("the log says %d times %q, of two outages\n%s", n, line, p.said.Tail())
		}
	}
}

// commits waits until the group has committed all requests.
func (p *predictor) commits(t *testing.T) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p.eventually(t, patience, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		lags, err := kadm.NewClient(client).Lag(ctx, "predict")
		if err == nil {
			err = lags.Error()
		}
		if err != nil {
			return err
		}
		behind := int64(0)
		for _, partitions := range lags["predict"].Lag {
			for _, lag := range partitions {
				behind += lag.Lag
			}
		}
		if lags["predict"].Lag == nil || behind != 0 {
			return fmt.Errorf("the group has %d requests to commit", behind)
		}
		return nil
	})
}

// TestNotBeingConnectedLosesNothingAndRepeatsNothing: that a pipeline calls itself not connected
// must neither lose a request nor answer one twice.
func TestNotBeingConnectedLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"at least once": nil, "exactly once": {"RECSYS_TRANSACTIONAL_ID=observe"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPredictor(t, env...)
			train(t, p.data, p.state)
			p.becomes(t, patience, nil)
			const each = 500
			for round := range 3 {
				var asked []*kgo.Record
				for n := range each {
					asked = append(asked, &kgo.Record{Topic: "requests", Value: fmt.Appendf(nil, `{"request_id":"r%d","user_id":%d,"movie_id":1}`, round*each+n, n%50)})
				}
				produce(t, p.address, asked...)
				if round == 2 {
					break
				}
				p.commits(t) // what is not committed is read again, which is no news
				if err := p.broker.Command.Process.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				p.benthosSays(t, told, http.StatusServiceUnavailable)
				if err := p.broker.Command.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				p.becomes(t, patience, nil)
			}
			seen, last := map[string]int{}, fmt.Sprintf("r%d", 3*each-1)
			var ids []string
			find(t, p.address, "predictions", func(r *kgo.Record) bool {
				var reply struct {
					ID string `json:"request_id"`
				}
				if err := json.Unmarshal(r.Value, &reply); err != nil {
					t.Fatal(err)
				}
				seen[reply.ID]++
				ids = append(ids, reply.ID)
				return len(seen) == 3*each
			})
			if len(ids) != 3*each {
				t.Errorf("%d replies to %d requests", len(ids), 3*each)
			}
			if seen[last] != 1 {
				t.Errorf("%s has %d replies", last, seen[last])
			}
		})
	}
}

// TestTheProfilerIsOnTheAdminServerOnly and there only if it is asked for.
func TestTheProfilerIsOnTheAdminServerOnly(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{"": http.StatusNotFound, "true": http.StatusOK} {
		var env []string
		if setting != "" {
			env = []string{"RECSYS_DEBUG=" + setting}
		}
		w := up(t, env, "--rate", "10")
		for _, path := range []string{"/debug/pprof/heap", "/debug/pprof/symbol", "/debug/stack"} {
			w.eventually(t, patience, func() error {
				status, _, _, err := get(w.admin + path)
				if err == nil && status != want {
					err = fmt.Errorf("%s of the admin server is %d with RECSYS_DEBUG=%s, want %d", path, status, setting, want)
				}
				return err
			})
			w.eventually(t, patience, func() error {
				status, _, _, err := get(w.page + path)
				if err == nil && status != http.StatusNotFound {
					t.Errorf("%s of the page's server is %d", path, status)
				}
				return err
			})
		}
		if err := w.Command.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
}
