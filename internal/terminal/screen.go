package terminal

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Screen is a terminal that is drawn on as a whole. What stood there before is
// there again once it is closed.
type Screen struct {
	out   *os.File
	in    *os.File
	state *term.State // of in; nil if it is no terminal
	close sync.Once
}

// What a terminal is told, see ECMA-48 and xterm's private modes.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// OpenScreen takes the terminal over: keys are read as they are pressed.
func OpenScreen(in, out *os.File) (*Screen, error) {
	s := &Screen{out: out, in: in}
	if term.IsTerminal(int(in.Fd())) {
		state, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return nil, fmt.Errorf("reading keys of the terminal: %w", err)
		}
		s.state = state
	}
	if _, err := out.WriteString(enterScreen); err != nil {
		s.Close()
		return nil, fmt.Errorf("drawing on the terminal: %w", err)
	}
	return s, nil
}

// Close gives the terminal back. Closing again does nothing.
func (s *Screen) Close() {
	s.close.Do(func() {
		_, _ = s.out.WriteString(leaveScreen) // a terminal that is gone needs nothing
		if s.state != nil {
			_ = term.Restore(int(s.in.Fd()), s.state)
		}
	})
}

// Size is columns and lines as they are now, 80 × 24 if nobody knows.
func (s *Screen) Size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// Draw shows the lines, and nothing else.
func (s *Screen) Draw(lines []string) error {
	text := home + strings.Join(lines, eraseLine+"\r\n") + eraseLine + eraseBelow
	_, err := s.out.WriteString(text)
	return err
}

// AwaitQuit returns once q or Ctrl-C is pressed, or nobody can press a key any more;
// where keys are not read it returns false at once.
func (s *Screen) AwaitQuit() bool {
	if s.state == nil {
		return false
	}
	keys := make([]byte, 64)
	for {
		n, err := s.in.Read(keys)
		if err != nil || bytes.ContainsAny(keys[:n], "qQ\x03") {
			return true
		}
	}
}
