package commands

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

func modelsCommand() *cli.Command {
	return &cli.Command{
		Name:  "models",
		Usage: "Look at the model versions of a registry, and decide which of them serve",
		Description: `A registry is a folder (file://…) or a bucket (s3://bucket/folder?region=…, with AWS's usual credentials). Its versions are never
changed; which of them serve is in its log, to which promote, rollback, challenge and withdraw add. Where a VERSION is asked
for, the name of a role will do: champion, or challenger:NAME. Exit code 1: refused, or a problem was found.

  recsys-benthos models list
  recsys-benthos models promote 20260102-150405-9f86d0`,
		Subcommands: []*cli.Command{
			modelsListCommand(), modelsShowCommand(), modelsCompareCommand(), modelsLogCommand(),
			modelsPromoteCommand(), modelsRollbackCommand(), modelsChallengeCommand(), modelsWithdrawCommand(),
			modelsExportCommand(), modelsImportCommand(), modelsVerifyCommand(), modelsPruneCommand(),
		},
	}
}

// openRegistry opens the registry of --registry.
func openRegistry(c *cli.Context) (*registry.Registry, error) {
	return registry.Open(c.String("registry"))
}

// arguments returns exactly n arguments. Flags come before them.
func arguments(c *cli.Context, n int) ([]string, error) {
	args := c.Args().Slice()
	for _, arg := range args[min(1, len(args)):] {
		if strings.HasPrefix(arg, "-") {
			return nil, usagef("%s: flags come before %s (see %s --help)", c.Command.Name, args[0], c.Command.HelpName)
		}
	}
	if len(args) != n {
		return nil, usagef("%s: %d arguments, want %s (see %s --help)", c.Command.Name, len(args), c.Command.ArgsUsage, c.Command.HelpName)
	}
	return args, nil
}

// reasonFlag is why somebody changes a role, for the log.
func reasonFlag(value string) cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "why, for the log", Value: value}
}
