// Package commands holds the command line: the standard Benthos commands, and
// one file for each command of our own.
package commands

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/urfave/cli/v2"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"

	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	_ "github.com/recsys-benthos/recsys-benthos/plugins/all"
)

// version and built are set by the linker in releases.
var version, built = "0.1.0-dev", "unknown"

// ownCommands are those that Benthos does not have.
func ownCommands() []*cli.Command {
	own := []*cli.Command{upCommand(), brokerCommand(), watchCommand()} // Ctrl-C is how they end
	for _, command := range []*cli.Command{
		initCommand(), trainCommand(), evalCommand(), modelsCommand(), predictCommand(), recommendCommand(),
		healthCommand(), setupCommand(), loadCommand(), doctorCommand(), completionCommand(),
	} {
		own = append(own, interruptible(command))
	}
	return own
}

// Main runs the command line and returns the exit code (see exitCodes).
func Main(args ...string) int {
	if len(args) > 1 && args[1] == completeCommand {
		return complete(args[2:])
	}
	err := readSecretFiles() // before anything reads a variable
	asJSON := false
	if err == nil {
		asJSON, err = checkUsage(args[1:])
	}
	if err == nil {
		var code int
		code, err = runCLI(args, ownCommands()...)
		if err == nil {
			return code
		}
	}
	tellError(err, asJSON)
	return exitCode(err)
}

// runCLI runs Benthos's own command line with our defaults and added commands.
func runCLI(args []string, added ...*cli.Command) (int, error) {
	var variables environment
	options := []service.CLIOptFunc{
		service.CLIOptSetArgs(args...),
		service.CLIOptSetBinaryName("recsys-benthos"),
		service.CLIOptSetProductName("recsys-benthos"),
		service.CLIOptSetVersion(version, built),
		service.CLIOptOnLoggerInit(func(log *service.Logger) { tellStart(log, args) }),
		service.CLIOptSetMainSchemaFrom(schema),
		service.CLIOptSetDocumentationURL("https://docs.redpanda.com/redpanda-connect"),
		service.CLIOptSetEnvVarLookup(variables.lookup),
		service.CLIOptOnConfigParse(func(conf *service.ParsedConfig) error {
			return errors.Join(variables.Err(), guardAdmin(conf, hasStreamsAPI(args)))
		}),
		service.CLIOptOnStreamStart(func(*service.RunningStreamSummary) error { return variables.Err() }), // pipelines are read after the rest
	}
	for _, command := range added {
		options = append(options, service.CLIOptAddCommand(command))
	}
	code, err := service.RunCLIToCode(context.Background(), options...)
	if err == nil && variables.Err() != nil && code == 0 {
		err = variables.Err() // of a command that runs nothing, such as lint
	}
	return code, err
}

// tellStart logs which program runs what, for commands that go on.
func tellStart(log *service.Logger, args []string) {
	if len(args) < 2 || args[1] != "streams" && args[1] != "run" {
		return
	}
	profile := "none"
	for i, arg := range args[:len(args)-1] {
		if arg == "-r" || arg == "--resources" {
			profile = args[i+1]
		}
	}
	log.With("version", version, "built", built, "go", runtime.Version(), "kernel", kernel.Name(), "profile", profile).Info("Starting recsys-benthos")
}

// schema is Benthos's configuration with defaults that fit one machine: the
// admin server on loopback, and a stop that takes less than five seconds.
func schema() *service.ConfigSchema {
	s := service.GlobalEnvironment().FullConfigSchema(version, built)
	s.SetFieldDefault("127.0.0.1:4196", "http", "address")
	s.SetFieldDefault("4s", "shutdown_timeout")
	return s
}

// boundMemory has the garbage collector work harder before memory passes what
// `up` promises (GOMEMLIMIT takes precedence). Other commands may need more.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(200 << 20)
	}
}

// collectOften has the garbage collector run when a fifth of what is in use is
// garbage, not as much again: training holds few and large pieces, so that costs
// nothing, and takes a quarter less memory (GOGC takes precedence).
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(20)
	}
}
