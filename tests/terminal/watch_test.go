package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/term"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// summary is what up says it did.
type summary struct {
	Predictions  int64
	DeadLetters  int64   `json:"dead_letters"`
	ModelVersion string  `json:"model_version"`
	RMSELive     float64 `json:"rmse_live"`
}

// played runs everything until there are predictions, and returns the state folder
// that holds them, and what was done.
func played(t *testing.T, f fixture) (state string, did summary) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "state")
	got := run(t, nil, "up", "--state", state, "--data", f.data, "--listen", "127.0.0.1:0", "--broker", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--until-predictions", "300", "--rate", "150", "--json", "--quiet")
	if got.code != 0 {
		t.Fatalf("up ended with %d\n%s", got.code, got.stderr)
	}
	if err := json.Unmarshal([]byte(got.stdout), &did); err != nil || did.Predictions < 300 || did.RMSELive == 0 {
		t.Fatalf("%+v, %v: %s", did, err, got.stdout)
	}
	return state, did
}

// serveBroker runs the broker on a state folder until the test ends it.
func serveBroker(t *testing.T, state, address string) *binary.Process {
	t.Helper()
	command := exec.Command(program, "broker", "--state", state, "--address", address)
	var output binary.Output
	command.Stderr = &output
	p, err := binary.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	eventually(t, func() error {
		if err := p.Ended(); err != nil {
			t.Fatalf("%v\n%s", err, output.String())
		}
		if !strings.Contains(output.String(), address) {
			return fmt.Errorf("the broker is not up: %s", output.String())
		}
		return nil
	})
	return p
}

// screen is a pseudo-terminal with a program on it.
type screen struct {
	t       *testing.T
	control *os.File // our end
	line    *os.File // the program's end
	process *binary.Process

	mu   sync.Mutex
	text bytes.Buffer // all that was written
}

func openScreen(t *testing.T, columns, rows uint16, variables []string, args ...string) *screen {
	t.Helper()
	control, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, control: control, line: line}
	s.resize(columns, rows)
	command := exec.Command(program, args...)
	command.Stdin, command.Stdout, command.Stderr = line, line, line
	if s.process, err = binary.Start(command, append([]string{"TERM=xterm-256color"}, variables...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.process.Kill(); line.Close(); control.Close() })
	go func() {
		chunk := make([]byte, 1<<16)
		for {
			n, err := control.Read(chunk)
			s.mu.Lock()
			s.text.Write(chunk[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *screen) resize(columns, rows uint16) {
	s.t.Helper()
	if err := pty.Setsize(s.control, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

var commands = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// frame is the last whole picture, without colours.
func (s *screen) frame() string {
	frames := strings.Split(s.written(), "\x1b[H")
	if len(frames) < 3 {
		return ""
	}
	return commands.ReplaceAllString(frames[len(frames)-2], "")
}

func (s *screen) awaits(parts ...string) {
	s.t.Helper()
	eventually(s.t, func() error {
		if err := s.process.Ended(); err != nil {
			s.t.Fatalf("%v\n%s", err, s.written())
		}
		frame := s.frame()
		for _, part := range parts {
			if !strings.Contains(frame, part) {
				return fmt.Errorf("it does not show %q:\n%s", part, frame)
			}
		}
		return nil
	})
}

func settings(t *testing.T, line *os.File) *term.State {
	t.Helper()
	settings, err := term.GetState(int(line.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// ended waits for the end, which is success, and checks that the terminal is as a new
// one is.
func (s *screen) ended() {
	s.t.Helper()
	<-s.process.Done
	if code := s.process.Command.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("it ended with %d\n%s", code, s.frame())
	}
	control, line, err := pty.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer control.Close()
	defer line.Close()
	if after, fresh := settings(s.t, s.line), settings(s.t, line); !reflect.DeepEqual(after, fresh) {
		s.t.Errorf("the terminal is %+v, a new one is %+v", after, fresh)
	}
	eventually(s.t, func() error { // what was written has to come through
		if text := s.written(); !strings.Contains(text, "\x1b[?25h\x1b[?1049l") || strings.Count(text, "\x1b[?1049h") != strings.Count(text, "\x1b[?1049l") {
			return fmt.Errorf("the other screen is not left: %q", text[max(0, len(text)-100):])
		}
		return nil
	})
}

func TestWatchShowsWhatWasPredictedAndOutlivesTheBroker(t *testing.T) {
	f := prepared(t)
	state, did := played(t, f)
	address, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	broker := serveBroker(t, state, address)
	kafka := []string{"KAFKA_BROKERS=" + address}

	shown := []string{fmt.Sprintf("predictions %d ", did.Predictions), fmt.Sprintf("live RMSE %.4f", did.RMSELive), did.ModelVersion, fmt.Sprintf("dead letters %d", did.DeadLetters)}
	once := run(t, kafka, "watch", "--once")
	expect(t, once.stdout, shown...)
	asJSON := run(t, kafka, "watch", "--once", "--json")
	var snapshot struct {
		Totals   struct{ Predictions int64 }
		Accuracy struct{ Overall struct{ RMSE float64 } }
		Model    struct{ Version string }
	}
	if err := json.Unmarshal([]byte(asJSON.stdout), &snapshot); err != nil || snapshot.Totals.Predictions != did.Predictions ||
		math.Abs(snapshot.Accuracy.Overall.RMSE-did.RMSELive) > 1e-4 || snapshot.Model.Version != did.ModelVersion {
		t.Errorf("%+v, %v; want %+v", snapshot, err, did)
	}

	s := openScreen(t, 100, 30, kafka, "watch")
	s.awaits(append(shown, "connected", address, "latest predictions", "A film with a rather long name")...)
	s.resize(60, 12)
	eventually(t, func() error {
		lines := strings.Split(strings.TrimRight(s.frame(), "\r\n"), "\n")
		for _, line := range lines {
			if n := len([]rune(strings.TrimRight(line, "\r"))); n > 60 {
				return fmt.Errorf("%q has %d columns", line, n)
			}
		}
		if len(lines) > 12 {
			return fmt.Errorf("%d lines", len(lines))
		}
		return nil
	})
	s.resize(100, 30)

	if err := broker.Command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-broker.Done
	s.awaits("away", "no broker answers at "+address, shown[0])
	serveBroker(t, state, address)
	s.awaits("connected", shown[0])
	predictAgain(t, address)
	s.awaits(fmt.Sprintf("predictions %d ", did.Predictions+1))

	if _, err := s.control.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	s.ended()
	watchEnds(t, kafka)
}

// watchEnds ends the view in the other ways: Ctrl-C, a signal, and without colours.
func watchEnds(t *testing.T, kafka []string) {
	for name, end := range map[string]func(s *screen) error{
		"Ctrl-C":  func(s *screen) error { _, err := s.control.WriteString("\x03"); return err },
		"SIGTERM": func(s *screen) error { return s.process.Command.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openScreen(t, 80, 24, append(slices.Clone(kafka), "NO_COLOR=1"), "watch")
			s.awaits("connected", "predictions")
			if strings.Contains(s.written(), "\x1b[3") || strings.Contains(s.written(), "\x1b[0m") {
				t.Error("there is colour in spite of NO_COLOR")
			}
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			s.ended()
		})
	}
}

// predictAgain adds a prediction: one that is there, of another request.
func predictAgain(t *testing.T, address string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics("predictions"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		fetches := client.PollRecords(ctx, 1)
		if ctx.Err() != nil {
			t.Fatal("there is no prediction to read")
		}
		for _, record := range fetches.Records() {
			var fields map[string]any
			if err := json.Unmarshal(record.Value, &fields); err != nil {
				t.Fatal(err)
			}
			fields["request_id"] = "asked-again"
			value, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.ProduceSync(ctx, &kgo.Record{Topic: "predictions", Key: record.Key, Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

func TestWatchPrintsPlainLinesWithoutATerminal(t *testing.T) {
	address, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	serveBroker(t, t.TempDir(), address)
	for _, args := range [][]string{{"watch", "--every", "50ms"}, {"watch", "--every", "50ms", "--json"}} {
		command := exec.Command(program, args...)
		var output binary.Output
		command.Stdout = &output
		p, err := binary.Start(command, "KAFKA_BROKERS="+address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		eventually(t, func() error {
			if lines := strings.Count(output.String(), "\n"); lines < 3 {
				return fmt.Errorf("%d lines", lines)
			}
			return nil
		})
		if err := p.Command.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-p.Done
		if code := p.Command.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%q ended with %d", args, code)
		}
		for line := range strings.Lines(output.String()) {
			if args[len(args)-1] == "--json" && !json.Valid([]byte(line)) || strings.Contains(line, "\x1b") {
				t.Errorf("%q prints %q", args, line)
			}
		}
	}
}
