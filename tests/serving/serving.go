// Package serving runs the HTTP interface as it is served: the built binary with
// pipelines/api.yaml and what belongs to it, an embedded broker and a registry, for
// suites that ask it from outside.
package serving

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// readyWithin bounds the start, which takes less than a second.
const readyWithin = 30 * time.Second

var topics = []broker.Topic{
	{Name: "events", Partitions: 2},
	{Name: "requests", Partitions: 2},
	{Name: "predictions", Partitions: 2},
	{Name: "recommendations", Partitions: 2},
	{Name: "dead_letters", Partitions: 2},
	{Name: "user_factors", Partitions: 2},
	{Name: "models", Partitions: 1},
	{Name: "movies", Partitions: 1},
}

// Config says what is served. The zero value is the fixtures of config/.
type Config struct {
	Program   string                   // the built binary; "" builds one
	Registry  string                   // folder of a registry, which is copied
	Movies    string                   // folder of a catalog
	Pipelines []string                 // beside api
	Env       []string                 // more variables, NAME=value
	Prepare   func(state string) error // fills the state folder before the start; nil for nothing
	Unready   bool                     // it will have no model; being alive is enough
}

// Server is a running one.
type Server struct {
	*binary.Process
	Program string // the binary
	Base    string // http://127.0.0.1:…
	Kafka   string // address of the broker
	State   string // folder
	Output  binary.Output

	broker *broker.Broker
	undo   []func()
}

// Start starts a server and waits until it is ready.
func Start(c Config) (*Server, error) {
	s := &Server{}
	if err := s.start(c); err != nil {
		return nil, errors.Join(err, s.Stop(), errors.New(s.Output.Tail()))
	}
	return s, nil
}

func (s *Server) start(c Config) error {
	if err := s.prepare(&c); err != nil {
		return err
	}
	address, err := binary.FreeAddress()
	if err != nil {
		return err
	}
	s.Base = "http://" + address
	args := []string{"streams", "-o", "config/service.yaml", "-r", "config/embedded.yaml", "pipelines/api.yaml"}
	for _, name := range c.Pipelines {
		args = append(args, "pipelines/"+name+".yaml")
	}
	command := exec.Command(c.Program, args...)
	command.Dir = Root()
	command.Stdout, command.Stderr = &s.Output, &s.Output
	s.Process, err = binary.Start(command, append([]string{
		"KAFKA_BROKERS=" + s.Kafka, "RECSYS_STATE=" + s.State, "RECSYS_MOVIES=" + c.Movies,
		"RECSYS_REGISTRY=file://" + filepath.Join(s.State, "registry"), "RECSYS_LISTEN=" + address, "RECSYS_ADMIN=127.0.0.1:0",
	}, c.Env...)...)
	if err != nil {
		return err
	}
	if c.Unready {
		return s.await("/api/health/live")
	}
	return s.await("/api/health/ready")
}

// prepare fills in what is not given, and makes the state and the broker.
func (s *Server) prepare(c *Config) error {
	fixtures := filepath.Join(Root(), "config", "fixtures")
	if c.Registry == "" {
		c.Registry = filepath.Join(fixtures, "registry")
	}
	if c.Movies == "" {
		c.Movies = filepath.Join(fixtures, "movielens")
	}
	if c.Program == "" {
		built, remove, err := binary.Build()
		if err != nil {
			return err
		}
		s.undo = append(s.undo, remove)
		c.Program = built
	}
	s.Program = c.Program
	state, err := os.MkdirTemp("", "recsys-serving-")
	if err != nil {
		return err
	}
	s.State = state
	s.undo = append(s.undo, func() { os.RemoveAll(state) })
	if err := os.CopyFS(filepath.Join(state, "registry"), os.DirFS(c.Registry)); err != nil {
		return err
	}
	if c.Prepare != nil {
		if err := c.Prepare(state); err != nil {
			return err
		}
	}
	s.broker, err = broker.Open(broker.Config{Dir: filepath.Join(state, "broker"), Address: "127.0.0.1:0", Topics: topics})
	if err != nil {
		return err
	}
	s.Kafka = s.broker.Addr()
	return nil
}

func (s *Server) await(path string) error {
	for deadline := time.Now().Add(readyWithin); ; time.Sleep(20 * time.Millisecond) {
		if err := s.Ended(); err != nil {
			return err
		}
		response, err := http.Get(s.Base + path)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not answered after %v", path, readyWithin)
		}
	}
}

// Stop ends the server and removes what it kept.
func (s *Server) Stop() error {
	if s.Process != nil {
		s.Kill()
	}
	var err error
	if s.broker != nil {
		err = s.broker.Close()
	}
	for _, undo := range s.undo {
		undo()
	}
	return err
}

// Main is what TestMain of a suite does that asks one server.
func Main(m *testing.M, c Config, into **Server) int {
	s, err := Start(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*into = s
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Root is the folder of the repository, from which the paths of the configuration
// start.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
