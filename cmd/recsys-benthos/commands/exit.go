package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// The exit codes, which docs/terminal.md and every help text promise.
const (
	exitFailure = 1
	exitUsage   = 2
	exitFound   = 3
)

// exitCodes is what every help text says of them.
const exitCodes = `
EXIT CODES:
   0 success, 1 failure, 2 wrong usage, 3 doctor found a problem, 130 ended by Ctrl-C
`

// mainHelp stands for the text that Benthos has for its own program.
const mainHelp = `NAME:
   {{.HelpName}} - a realtime movie recommender made of declarative pipelines

USAGE:
   {{.HelpName}} command [command options]

DESCRIPTION:
   Begin with a recommender that runs here, and look at http://127.0.0.1:4195/

     {{.HelpName}} up

   Write its pipelines out, edit them, and check what was edited:

     {{.HelpName}} init
     {{.HelpName}} lint -r config/embedded.yaml ./pipelines/...
     {{.HelpName}} test -r config/test.yaml ./pipelines/...

   When something is wrong:

     {{.HelpName}} doctor

COMMANDS:{{template "visibleCommandCategoryTemplate" .}}

GLOBAL OPTIONS:{{template "visibleFlagTemplate" .}}
`

func init() {
	cli.AppHelpTemplate = mainHelp + exitCodes
	cli.CommandHelpTemplate += exitCodes
	cli.SubcommandHelpTemplate += exitCodes
}

var (
	// errFailed is returned by a command that has already said what went wrong.
	errFailed = errors.New("failed")
	// errFound is returned by doctor when it has told of a problem.
	errFound = errors.New("problems were found")
)

// usageError is a mistake in what was typed, not in what was done.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// stoppedError is what ends a command that a signal stopped.
type stoppedError struct{ signal syscall.Signal }

func (e stoppedError) Error() string { return "stopped: " + e.signal.String() }

// exitCode returns the code that an error ends the program with.
func exitCode(err error) int {
	var usage usageError
	var stopped stoppedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &stopped):
		return 128 + int(stopped.signal)
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errFound):
		return exitFound
	}
	return exitFailure
}

// tellError prints an error for a person, or as JSON for a program.
func tellError(err error, asJSON bool) {
	switch {
	case errors.Is(err, errFailed), errors.Is(err, errFound): // it is said already
	case asJSON:
		text, _ := json.Marshal(struct { // text can always be encoded
			Error    string `json:"error"`
			ExitCode int    `json:"exit_code"`
		}{err.Error(), exitCode(err)})
		fmt.Fprintf(os.Stderr, "%s\n", text)
	default:
		fmt.Fprintln(os.Stderr, "recsys-benthos:", err)
	}
}

// stopTime is how long a command that was asked to stop may take to clean up.
const stopTime = 3 * time.Second

// interruptible has Ctrl-C and SIGTERM cancel the context of a command and of its
// subcommands, so that temporary files go and the exit code says what happened.
// A command that does not stop in time, or is asked twice, is left where it is.
func interruptible(command *cli.Command) *cli.Command {
	for _, sub := range command.Subcommands {
		interruptible(sub)
	}
	action := command.Action
	if action == nil {
		return command
	}
	command.Action = func(c *cli.Context) error {
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		defer signal.Stop(signals)
		ctx, cancel := context.WithCancel(c.Context)
		defer cancel()
		c.Context = ctx
		done := make(chan error, 1)
		go func() { done <- action(c) }()
		select {
		case err := <-done:
			return err
		case s := <-signals:
			cancel()
			select {
			case <-done:
			case <-signals:
			case <-time.After(stopTime):
			}
			return stoppedError{s.(syscall.Signal)}
		}
	}
	return command
}
