package commands

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
)

// Flags that several commands have.
func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "folder that keeps everything between runs", Value: "./recsys-data", EnvVars: []string{"RECSYS_STATE"}}
}

func registryFlag() cli.Flag {
	return &cli.StringFlag{Name: "registry", Usage: "registry of model versions", Value: "file://./recsys-data/registry", EnvVars: []string{"RECSYS_REGISTRY"}}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON, for programs"} }

// printJSON prints one line of JSON to standard output.
func printJSON(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s\n", text)
	return err
}

// oneArgument returns the argument of a command that takes at most one, "" if
// it is not given. Flags after it would be arguments too: they are refused.
func oneArgument(c *cli.Context) (string, error) {
	if c.NArg() > 1 {
		return "", usagef("%s: unexpected argument %q; flags come before %q (see recsys-benthos %s --help)",
			c.Command.Name, c.Args().Get(1), c.Args().First(), c.Command.HelpName[len("recsys-benthos "):])
	}
	return c.Args().First(), nil
}

// noArguments refuses arguments that a command has no use for.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("%s: unexpected argument %q (see recsys-benthos %s --help)", c.Command.Name, c.Args().First(), c.Command.Name)
	}
	return nil
}
