package commands

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/secret"
)

// environment looks up the ${NAME} of configuration, and remembers what could not be
// read: those who ask take no error.
type environment struct {
	mu  sync.Mutex
	err error
}

// Lookup is what Benthos asks. A value from a file is made fit for the double quotes
// around ${NAME}; a variable's is taken as it is, as Benthos does. An empty value is
// none.
func (e *environment) Lookup(name string) (string, bool) {
	value, fromFile, err := secret.Lookup(name)
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.err == nil || !strings.Contains(e.err.Error(), err.Error()) { // a variable is asked for often
			e.err = errors.Join(e.err, err)
		}
		return "", false
	}
	if fromFile {
		value = secret.YAML(value)
	}
	return value, value != ""
}

func (e *environment) lookup(_ context.Context, name string) (string, bool) { return e.Lookup(name) }

// Err is what could not be read so far.
func (e *environment) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// readSecretFiles checks the files that variables of ours name, and hands those of
// flags on, whose values the flags take from the environment.
func readSecretFiles() error {
	if err := secret.Check(os.Environ(), ourPrefixes); err != nil {
		return err
	}
	var flags []string
	for _, command := range ownCommands() {
		flags = append(flags, variablesOf(command)...)
	}
	for _, name := range flags {
		value, fromFile, err := secret.Lookup(name)
		if err == nil && fromFile {
			err = os.Setenv(name, value)
		}
		if err != nil {
			return err
		}
	}
	return setAdminPassword()
}

// secretFlag keeps the value that a flag has from the environment out of --help.
func secretFlag(f *cli.StringFlag) *cli.StringFlag {
	f.DefaultText = "none"
	return f
}
