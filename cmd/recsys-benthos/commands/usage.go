package commands

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// treeCommand is what hands out the tree of all commands, Benthos's and ours.
const treeCommand = "__tree"

// commandTree returns all commands with their flags. Benthos makes them anew for
// each run, so this run does nothing but let us look.
func commandTree() (tree *cli.Command, err error) {
	look := &cli.Command{Name: treeCommand, Hidden: true, Action: func(c *cli.Context) error {
		tree = &cli.Command{Name: "recsys-benthos", Flags: c.App.Flags, Subcommands: c.App.Commands, Action: c.App.Action}
		return nil
	}}
	_, err = runCLI([]string{"recsys-benthos", treeCommand}, append(ownCommands(), look)...)
	return tree, err
}

// call is what was typed, as far as it was understood.
type call struct {
	path    []*cli.Command // from the root
	flags   *flag.FlagSet  // of the last one
	asJSON  bool           // its answer is wanted as JSON
	helping bool           // only its help is wanted
}

// parse follows what was typed through the tree, and says what is wrong with it:
// an unknown command or flag, a value that does not fit, a flag that is missing.
func parse(tree *cli.Command, args []string) (call, error) {
	found := call{path: []*cli.Command{tree}, asJSON: slices.Contains(args, "--json")}
	for command := tree; ; {
		set := flag.NewFlagSet(command.Name, flag.ContinueOnError)
		set.SetOutput(io.Discard)
		for _, f := range command.Flags {
			if err := f.Apply(set); err != nil {
				return found, usageError{err} // a variable whose value does not fit
			}
		}
		found.flags = set
		err := set.Parse(args)
		if errors.Is(err, flag.ErrHelp) { // -h, --help
			found.helping = true
			return found, nil
		}
		if err != nil {
			return found, found.flagMistake(command, err)
		}
		rest := set.Args()
		var next *cli.Command
		if len(rest) > 0 && len(command.Subcommands) > 0 {
			if rest[0] == "help" || rest[0] == "h" {
				found.helping = true
				return found, nil
			}
			next = find(command, rest[0])
			if next == nil && (command == tree || command.Action == nil) {
				return found, found.unknown(command, rest[0])
			}
		}
		if next == nil {
			return found, found.missing(command)
		}
		found.path, args, command = append(found.path, next), rest[1:], next
	}
}

func find(command *cli.Command, name string) *cli.Command {
	for _, sub := range command.Subcommands {
		if sub.HasName(name) {
			return sub
		}
	}
	return nil
}

// name is the command as typed.
func (c call) name() string {
	names := make([]string, len(c.path))
	for i, command := range c.path {
		names[i] = command.Name
	}
	return strings.Join(names, " ")
}

func (c call) unknown(command *cli.Command, name string) error {
	var names []string
	for _, sub := range command.Subcommands {
		if !sub.Hidden {
			names = append(names, sub.Names()...)
		}
	}
	what := "command"
	if len(c.path) > 1 {
		what = "command of " + command.Name
	}
	return usagef("unknown %s %q%s (see %s --help)", what, name, didYouMean(nearest(name, names), ""), c.name())
}

// flagMistake says in our words what the flag package found.
func (c call) flagMistake(command *cli.Command, err error) error {
	text := err.Error()
	name, undefined := strings.CutPrefix(text, "flag provided but not defined: -")
	if !undefined {
		text = strings.Replace(text, "flag needs an argument: -", "there is no value after --", 1)
		text = strings.Replace(text, "for flag -", "of --", 1)
		return usagef("%s: %s (see %s --help)", command.Name, text, c.name())
	}
	name = strings.TrimPrefix(name, "-")
	var names []string
	for _, f := range command.Flags {
		names = append(names, f.Names()...)
	}
	return usagef("%s: unknown flag \"--%s\"%s (see %s --help)", command.Name, name, didYouMean(nearest(name, names), "--"), c.name())
}

// missing names the flags that a command cannot do without.
func (c call) missing(command *cli.Command) error {
	given := map[string]bool{}
	c.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var lacking []string
	for _, f := range command.Flags {
		required, ok := f.(cli.RequiredFlag)
		if !ok || !required.IsRequired() || slices.ContainsFunc(f.Names(), func(name string) bool { return given[name] }) || f.IsSet() {
			continue
		}
		text := "--" + f.Names()[0]
		if documented, ok := f.(cli.DocGenerationFlag); ok {
			text += " (" + documented.GetUsage() + ")"
		}
		lacking = append(lacking, text)
	}
	late := slices.ContainsFunc(c.flags.Args(), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	switch {
	case len(lacking) > 0 && late:
		return usagef("%s: flags come before %s (see %s --help)", command.Name, c.flags.Arg(0), c.name())
	case len(lacking) > 0:
		return usagef("%s: give %s (see %s --help)", command.Name, strings.Join(lacking, " and "), c.name())
	}
	return nil
}

// checkUsage refuses what cannot be run, and tells whether answers are wanted as JSON.
func checkUsage(args []string) (asJSON bool, err error) {
	tree, err := commandTree()
	if err != nil {
		return false, err
	}
	called, err := parse(tree, args)
	if err == nil && called.flags != nil {
		set := called.flags.Lookup("json")
		called.asJSON = set != nil && set.Value.String() == "true"
	}
	return called.asJSON, err
}

func didYouMean(name, prefix string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", prefix+name)
}

// nearest returns the name that a typo was probably meant as, "" if none is near:
// at most a third of the letters, and one in any case, may be wrong.
func nearest(typed string, names []string) string {
	best := slices.MinFunc(append(names, ""), func(a, b string) int {
		return cmp.Or(cmp.Compare(distance(typed, a), distance(typed, b)), cmp.Compare(otherStart(typed, a), otherStart(typed, b)))
	})
	if distance(typed, best) > max(1, len(typed)/3) {
		return ""
	}
	return best
}

// otherStart is 1 if two words begin differently: the first letter is seldom wrong.
func otherStart(a, b string) int {
	if a == "" || b == "" || a[0] != b[0] {
		return 1
	}
	return 0
}

// distance is how many letters have to be put in, left out, changed or swapped with
// their neighbour to make a into b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := []int(nil), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			change := 1
			if x[i] == y[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, make([]int, len(y)+1)
	}
	return last[len(y)]
}
