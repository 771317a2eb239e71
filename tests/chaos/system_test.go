package chaos

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/faults"
)

// patience is how long everything may take that has to come about.
const patience = 2 * time.Minute

// member is one process of the system, which may be ended and started again.
type member struct {
	name    string
	args    []string
	env     []string
	proxy   *faults.Proxy // between it and the broker; nil for the broker
	process *binary.Process
	output  *binary.Output
}

// system is the embedded profile with a process for every part, and traffic.
type system struct {
	t                              *testing.T
	brokerDir, storeDir, registry  string
	address                        string // of the broker
	broker                         *member
	members                        []*member // the broker first
	traffic                        *traffic
	faultBegan                     time.Time
	duplicatesBefore, accountedFor int
}

// newSystem starts everything and waits until predictions flow. The folders for
// broker, store and registry exist.
func newSystem(t *testing.T, brokerDir, storeDir, registryDir string, random uint64) *system {
	t.Helper()
	s := &system{t: t, brokerDir: brokerDir, storeDir: storeDir, registry: "file://" + filepath.Join(registryDir, "registry")}
	trainChampion(t)
	if err := os.CopyFS(filepath.Join(registryDir, "registry"), os.DirFS(champion)); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.address, err = binary.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	s.broker = &member{name: "broker", args: []string{"broker", "--state", brokerDir, "--address", s.address}}
	s.members = []*member{s.broker}
	s.start(s.broker)
	for _, part := range []struct {
		name      string
		pipelines []string
	}{
		{"ingest", []string{"ingest"}},
		{"predict 1", []string{"predict", "models", "users"}},
		{"predict 2", []string{"predict", "models", "users"}},
		{"index", []string{"index"}},
		{"fold_in", []string{"fold_in", "models", "users"}},
		{"train", []string{"train", "models"}},
	} {
		s.add(part.name, part.pipelines)
	}
	s.traffic = newTraffic(t, s.address, random)
	t.Cleanup(s.soundRegistry)
	s.underLoad()
	s.duplicatesBefore = s.check()
	return s
}

var trained sync.Once

// trainChampion makes the version that all systems begin with.
func trainChampion(t *testing.T) {
	t.Helper()
	data := recsystest.DataDir(t)
	trained.Do(func() {
		train := exec.Command(program, "train", "--ratings", data, "--registry", "file://"+champion, "--algorithm", "als", "--iterations", "2")
		if output, err := train.CombinedOutput(); err != nil {
			t.Fatalf("training: %v\n%s", err, output)
		}
	})
}

// add starts pipelines in a process of their own, with a network of its own.
func (s *system) add(name string, pipelines []string) {
	s.t.Helper()
	proxy, err := faults.NewProxy("127.0.0.1:0", s.address)
	if err == nil {
		err = proxy.Advertise(s.address, proxy.Address())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { proxy.Close() })
	args := []string{"streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml"}
	for _, pipeline := range pipelines {
		args = append(args, "pipelines/"+pipeline+".yaml")
	}
	m := &member{name: name, args: args, proxy: proxy, env: []string{
		"KAFKA_BROKERS=" + proxy.Address(), "RECSYS_STATE=" + s.storeDir, "RECSYS_REGISTRY=" + s.registry,
		"RECSYS_MOVIES=" + recsystest.DataDir(s.t), "RECSYS_ADMIN=127.0.0.1:0", "RECSYS_RETRAIN=2000",
	}}
	s.members = append(s.members, m)
	s.start(m)
}

// start starts a member that does not run.
func (s *system) start(m *member) {
	s.t.Helper()
	command := exec.Command(program, m.args...)
	command.Dir = "../.."
	m.output = &binary.Output{}
	command.Stdout, command.Stderr = m.output, m.output
	var err error
	if m.process, err = binary.Start(command, m.env...); err != nil {
		s.t.Fatal(err)
	}
	process := m.process
	s.t.Cleanup(process.Kill)
	if m == s.broker {
		s.eventually(func() error {
			conn, err := net.DialTimeout("tcp", s.address, time.Second)
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}
}

// member returns the one of that name.
func (s *system) member(name string) *member {
	for _, m := range s.members {
		if m.name == name {
			return m
		}
	}
	s.t.Fatalf("there is no %s", name)
	return nil
}

// soundRegistry demands that trainings and promotions were never left half done.
func (s *system) soundRegistry() {
	versions, err := registry.Open(s.registry)
	if err != nil {
		s.t.Error(err)
		return
	}
	report, err := versions.Verify(context.Background())
	if err != nil || len(report.Problems) > 0 {
		s.t.Errorf("the registry: %v, %v", err, report.Problems)
	}
	s.t.Logf("%d versions were trained meanwhile", report.Versions-1)
}

// running demands that no process has ended by itself.
func (s *system) running() {
	s.t.Helper()
	for _, m := range s.members {
		if err := m.process.Ended(); err != nil {
			s.t.Fatalf("%s: %v\n%s", m.name, err, m.output.Tail())
		}
	}
}

// pass lets a fault last.
func (s *system) pass(d time.Duration) {
	s.t.Helper()
	select {
	case <-s.t.Context().Done():
	case <-time.After(d):
	}
}

// eventually looks again and again until check finds nothing wrong.
func (s *system) eventually(check func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		s.running()
		if time.Now().After(deadline) {
			s.t.Fatalf("after %s: %v\n%s", patience, err, s.tails())
		}
		s.pass(20 * time.Millisecond)
	}
}

// tails is the end of what every process has said.
func (s *system) tails() (text string) {
	for _, m := range s.members {
		said := m.output.Tail()
		text += fmt.Sprintf("--- %s\n%s", m.name, said[max(0, len(said)-2000):])
	}
	return text
}
