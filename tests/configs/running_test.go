package configs

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// running is one pipeline file as a stream.
type running struct {
	m      *machine
	stream *service.Stream
	mux    *endpoints
	done   chan error
	once   sync.Once
}

// start runs pipelines by their names, each with resources of its own, as
// processes of their own would have.
func (m *machine) start(pipelines ...string) fleet {
	m.Helper()
	var all fleet
	for _, name := range pipelines {
		all = append(all, m.startOne(name))
	}
	return all
}

func (m *machine) startOne(name string) *running {
	m.Helper()
	builder := service.NewStreamBuilder()
	variables := maps.Clone(m.environment)
	builder.SetEnvVarLookupFunc(func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	})
	mux := &endpoints{}
	builder.SetHTTPMux(mux)
	builder.SetLogger(slog.New(slog.NewTextHandler(&m.log, nil)))
	if err := builder.SetYAML(m.file("pipelines", name)); err != nil {
		m.Fatalf("pipeline %s: %v", name, err)
	}
	if err := builder.AddResourcesYAML(m.file("config", "embedded")); err != nil {
		m.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		m.Fatalf("pipeline %s: %v", name, err)
	}
	r := &running{m: m, stream: stream, mux: mux, done: make(chan error, 1)}
	go func() { r.done <- stream.Run(context.Background()) }()
	m.Cleanup(r.stop)
	return r
}

// endpoints are a stream's on HTTP. Benthos registers them again to take them away,
// which http.ServeMux does not allow.
type endpoints struct{ handlers sync.Map }

func (e *endpoints) HandleFunc(path string, handler func(http.ResponseWriter, *http.Request)) {
	e.handlers.Store(path, handler)
}

func (e *endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler, ok := e.handlers.Load(r.URL.Path); ok {
		handler.(func(http.ResponseWriter, *http.Request))(w, r)
		return
	}
	http.NotFound(w, r)
}

func (m *machine) file(folder, name string) string {
	m.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
	if err != nil {
		m.Fatal(err)
	}
	return string(data)
}

// stop ends the stream, whose dependencies must be there: the stop during an
// outage is that of a process. Stopping again does nothing.
func (r *running) stop() {
	r.m.Helper()
	r.once.Do(func() {
		if err := r.stream.StopWithin(testTimeout); err != nil {
			r.m.Errorf("stopping: %v", err)
			return // Run would not return either
		}
		if err := <-r.done; err != nil {
			r.m.Errorf("running: %v", err)
		}
	})
}

// fleet are pipelines that run.
type fleet []*running

// stop ends all of them at the same time.
func (f fleet) stop() {
	var group sync.WaitGroup
	for _, r := range f {
		group.Go(r.stop)
	}
	group.Wait()
}

// process is one of the built command.
type process struct {
	m       *machine
	command *exec.Cmd
	exited  chan error
}

// stopsWithin bounds a stop: the shutdown_timeout of config/service.yaml, and a
// second more.
const stopsWithin = 5 * time.Second

// startProcess runs pipelines by their names in a process, as
//
//	recsys-benthos streams -o config/service.yaml -r config/embedded.yaml pipelines/NAME.yaml …
//
// does; they share their resources.
func (m *machine) startProcess(pipelines ...string) *process {
	m.Helper()
	args := []string{"streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml"}
	for _, name := range pipelines {
		args = append(args, filepath.Join("pipelines", name+".yaml"))
	}
	p := &process{m: m, command: exec.Command(binary, args...), exited: make(chan error, 1)}
	p.command.Env = append(processEnvironment(m.environment), "RECSYS_ADMIN=127.0.0.1:0")
	p.command.Stdout, p.command.Stderr = &m.log, &m.log
	if err := p.command.Start(); err != nil {
		m.Fatal(err)
	}
	go func() { p.exited <- p.command.Wait() }()
	m.Cleanup(func() { _ = p.command.Process.Kill() })
	return p
}

// terminate sends SIGTERM, and waits until the process has ended by itself.
func (p *process) terminate() {
	p.m.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.m.Fatal(err)
	}
	deadline := time.NewTimer(stopsWithin)
	defer deadline.Stop()
	select {
	case err := <-p.exited:
		if err != nil {
			p.m.Errorf("the process ended with %v", err)
		}
	case <-deadline.C:
		p.m.Errorf("the process did not end within %v of SIGTERM", stopsWithin)
		_ = p.command.Process.Kill()
		<-p.exited
	}
}
