package commands

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testTree(t *testing.T) *cli.Command {
	t.Helper()
	tree, err := commandTree()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// example is a command that a person could type, in a help text.
var example = regexp.MustCompile(`(?m)^  .*?(recsys-benthos [^<>()|\n]*)`)

// split splits a line as a shell does, with single quotes.
func split(line string) (words []string) {
	for i, piece := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, piece)
		} else {
			words = append(words, strings.Fields(piece)...)
		}
	}
	return words
}

func TestEveryCommandOfOursHasTwoExamplesThatCanBeRun(t *testing.T) {
	var walk func(path string, command *cli.Command)
	walk = func(path string, command *cli.Command) {
		path += " " + command.Name
		if command.Usage == "" || command.Description == "" {
			t.Errorf("%s has no usage or description", path)
		}
		examples := 0
		for _, match := range example.FindAllStringSubmatch(command.Description, -1) {
			words := split(match[1])
			found, err := parse(testTree(t), words[1:])
			if err != nil {
				t.Errorf("example %q: %v", match[1], err)
			}
			if strings.HasPrefix(found.name(), path) {
				examples++
			}
		}
		if examples < 2 {
			t.Errorf("%s has %d examples", path, examples)
		}
		for _, sub := range command.Subcommands {
			walk(path, sub)
		}
	}
	for _, command := range ownCommands() {
		walk("recsys-benthos", command)
	}
}

// silent are commands that print no results: a script, or the view until it ends.
var silent = []string{"completion", "models"}

func TestEveryCommandOfOursThatPrintsHasJSON(t *testing.T) {
	var walk func(command *cli.Command)
	walk = func(command *cli.Command) {
		if flagOf(command, "json") == nil && !slices.Contains(silent, command.Name) {
			t.Errorf("%s has no --json", command.Name)
		}
		for _, sub := range command.Subcommands {
			walk(sub)
		}
	}
	for _, command := range ownCommands() {
		walk(command)
	}
}

func TestMistakesAreToldWithWhatWasMeant(t *testing.T) {
	for typed, says := range map[string][]string{
		"modles":                          {`unknown command "modles"`, `did you mean "models"?`},
		"lnit":                            {`did you mean "lint"?`}, // Benthos's own
		"models pormote x":                {`unknown command of models "pormote"`, `did you mean "promote"?`},
		"template ling":                   {`did you mean "lint"?`},
		"models list --jsno":              {`unknown flag "--jsno"`, `did you mean "--json"?`, "recsys-benthos models list --help"},
		"streams --observabilty x":        {`did you mean "--observability"?`},
		"train --rank=two --ratings x":    {`invalid value "two" of --rank`},
		"train --ratings":                 {"there is no value after --ratings"},
		"load":                            {"give --data (MovieLens folder or archive)"},
		"models challenge v --name new":   {"flags come before v"},
		"wildly-different":                {`unknown command "wildly-different" (see`},
		"eval --ratings x --qqqqqqqqqqqq": {`unknown flag "--qqqqqqqqqqqq" (see`},
	} {
		_, err := parse(testTree(t), strings.Fields(typed))
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: got %v", typed, err)
			continue
		}
		for _, part := range says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", typed, err, part)
			}
		}
	}
}

func TestWhatIsRightIsNotRefused(t *testing.T) {
	for _, typed := range []string{
		"", "--version", "--help", "-h", "help", "models", "models help", "models list -h", "load --help", "lint ./pipelines/... -r x",
		"streams -o config/service.yaml -r config/embedded.yaml pipelines", "blobl root=this", "blobl server --port 4200", "-c x.yaml",
		"list inputs", "create kafka//file", "run --set a=b x.yaml", "models promote --force -- -odd", "predict --user=1 --movie=2 -json",
		"doctor -r config/cluster.yaml",
	} {
		if _, err := parse(testTree(t), strings.Fields(typed)); err != nil {
			t.Errorf("%s: %v", typed, err)
		}
	}
}

func TestDistanceCountsWhatFingersDo(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"models", "modles", 1}, {"models", "model", 1}, {"list", "lisst", 1}, {"lint", "list", 1}, {"ab", "ba", 1}, {"größe", "grösse", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q are %d apart, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for code, err := range map[int]error{
		0: nil, 1: errors.New("any"), 2: usagef("x: %w", errFailed), 3: errFound, 130: stoppedError{2}, 143: stoppedError{15},
	} {
		if got := exitCode(err); got != code {
			t.Errorf("%v ends with %d, want %d", err, got, code)
		}
	}
}
