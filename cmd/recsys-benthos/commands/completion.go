package commands

import (
	"embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// completeCommand is what the scripts ask: it is given the words before the cursor,
// the last of which may be cut off or empty, and prints what it may become.
const completeCommand = "__complete"

//go:embed completion
var completionScripts embed.FS

var shells = []string{"bash", "zsh", "fish"}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "Print a script that completes commands, flags and versions in a shell", ArgsUsage: "bash|zsh|fish",
		Description: `The script asks this program what fits, so it is always of this version. Load it at the start of each shell:

  source <(recsys-benthos completion bash)
  source <(recsys-benthos completion zsh)
  recsys-benthos completion fish > ~/.config/fish/completions/recsys-benthos.fish
  recsys-benthos completion bash > /etc/bash_completion.d/recsys-benthos`,
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1)
			if err != nil {
				return err
			}
			script, err := completionScripts.ReadFile("completion/" + args[0])
			if err != nil {
				return usagef("there is no script for %q%s; give one of %s", args[0], didYouMean(nearest(args[0], shells), ""), strings.Join(shells, ", "))
			}
			_, err = os.Stdout.Write(script)
			return err
		},
	}
}

// complete prints what the last word may become, one a line, with what it means
// after a tab. Nothing says that a file is wanted.
func complete(words []string) int {
	tree, err := commandTree()
	if err != nil || len(words) == 0 {
		return exitFailure
	}
	for _, candidate := range candidates(tree, words) {
		if strings.HasPrefix(candidate.word, words[len(words)-1]) {
			fmt.Printf("%s\t%s\n", candidate.word, candidate.means)
		}
	}
	return 0
}

type candidate struct{ word, means string }

// candidates are what may stand in the place of the last word.
func candidates(tree *cli.Command, words []string) []candidate {
	command, settings, args := tree, map[string]string{}, 0
	before, last := words[:len(words)-1], words[len(words)-1]
	for i := 0; i < len(before); i++ {
		name, isFlag := strings.CutPrefix(before[i], "-")
		if !isFlag {
			if next := find(command, before[i]); next != nil && args == 0 {
				command = next
			} else {
				args++
			}
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		f := flagOf(command, name)
		if f != nil && takesValue(f) && !given {
			if i+1 == len(before) {
				return valuesOf(command, name, settings)
			}
			i++
			value = before[i]
		}
		settings[name] = value
	}
	if strings.HasPrefix(last, "-") {
		return flagsOf(command)
	}
	if len(command.Subcommands) > 0 && args == 0 {
		var list []candidate
		for _, sub := range command.Subcommands {
			if !sub.Hidden {
				list = append(list, candidate{sub.Name, sub.Usage})
			}
		}
		return list
	}
	return argumentsOf(command, settings, args)
}

func flagOf(command *cli.Command, name string) cli.Flag {
	for _, f := range command.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	documented, ok := f.(cli.DocGenerationFlag)
	return ok && documented.TakesValue()
}

func flagsOf(command *cli.Command) []candidate {
	list := []candidate{{"--help", "show help"}}
	for _, f := range command.Flags {
		visible, ok := f.(cli.VisibleFlag)
		documented, documents := f.(cli.DocGenerationFlag)
		if name := f.Names()[0]; ok && visible.IsVisible() && documents && len(name) > 1 && name != "help" {
			list = append(list, candidate{"--" + name, documented.GetUsage()})
		}
	}
	return list
}

// valuesOf are the values of a flag that has few.
func valuesOf(command *cli.Command, name string, settings map[string]string) []candidate {
	words := map[string][]string{
		"algorithm": als.Algorithms(),
		"of":        {"users", "movies"},
		"share":     {"shadow"},
		"split":     {"random:0.2", "numpy:0.2", "time:0.2"},
	}[name]
	if name == "version" || name == "expected" {
		return versionsOf(command, settings, false)
	}
	var list []candidate
	for _, word := range words {
		list = append(list, candidate{word, ""})
	}
	return list
}

// argumentsOf are the arguments of a command, args of which stand already.
func argumentsOf(command *cli.Command, settings map[string]string, args int) []candidate {
	switch usage := strings.Fields(command.ArgsUsage); {
	case command.Name == "completion" && args == 0:
		return []candidate{{"bash", ""}, {"zsh", ""}, {"fish", ""}}
	case args < len(usage) && slices.Contains([]string{"VERSION", "[VERSION]", "A", "B"}, usage[args]):
		return versionsOf(command, settings, true)
	}
	return nil
}

// versionsOf are the versions of a registry in a folder; one in a bucket is not
// asked at each press of a key.
func versionsOf(command *cli.Command, settings map[string]string, roles bool) []candidate {
	url := settings["registry"]
	if url == "" {
		url = os.Getenv("RECSYS_REGISTRY")
	}
	if f, ok := flagOf(command, "registry").(*cli.StringFlag); ok && url == "" {
		url = f.Value
	}
	if !strings.HasPrefix(url, "file://") {
		return nil
	}
	versions, err := registry.Open(url)
	if err != nil {
		return nil
	}
	rows, _ := versions.Listing() // those that can be read
	slices.Reverse(rows)
	var list []candidate
	for _, row := range rows {
		if roles && row.Role != "" && !strings.Contains(row.Role, ",") {
			list = append(list, candidate{row.Role, "version " + row.Version})
		}
		list = append(list, candidate{row.Version, fmt.Sprintf("RMSE %.4f %s", row.RMSE, row.Role)})
	}
	return list
}
