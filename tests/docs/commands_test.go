package docs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// call is one program of a block of commands, with its arguments as a person
// typed them, without quotes.
type call struct {
	line      int // of the block, from 1
	program   string
	arguments []string
}

// calls parses the commands of a block as a shell does. What a command substitutes
// by another counts as a word.
func calls(text string) ([]call, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, err
	}
	var all []call
	syntax.Walk(file, func(node syntax.Node) bool {
		if expression, ok := node.(*syntax.CallExpr); ok && len(expression.Args) > 0 {
			c := call{line: int(expression.Pos().Line())}
			for _, word := range expression.Args {
				c.arguments = append(c.arguments, wordText(word))
			}
			c.program, c.arguments = c.arguments[0], c.arguments[1:]
			all = append(all, c)
		}
		return true
	})
	return all, nil
}

func wordText(word *syntax.Word) string {
	var text strings.Builder
	var add func(parts []syntax.WordPart)
	add = func(parts []syntax.WordPart) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				text.WriteString(part.Value)
			case *syntax.SglQuoted:
				text.WriteString(part.Value)
			case *syntax.DblQuoted:
				add(part.Parts)
			default:
				text.WriteString("$")
			}
		}
	}
	add(word.Parts)
	return text.String()
}

// ours returns the arguments of recsys-benthos, if that is what the call runs.
func (c call) ours() (arguments []string, ok bool) {
	if filepath.Base(c.program) == "recsys-benthos" {
		return c.arguments, true
	}
	if c.program == "go" && len(c.arguments) > 1 && c.arguments[0] == "run" && strings.HasSuffix(c.arguments[1], "cmd/recsys-benthos") {
		return c.arguments[2:], true
	}
	return nil, false
}

// help is what a command says of itself.
type help struct {
	commands []string
	flags    map[string]bool // by name without dashes, of which one or two do: whether a value follows
}

var (
	helpCommand = regexp.MustCompile(`^   ([a-z][a-z_-]*(?:, [a-z][a-z_-]*)*)(?:  +.*)?$`)
	helpFlag    = regexp.MustCompile(`(?:^ {3}|, )--?([A-Za-z0-9][A-Za-z0-9.-]*)( [A-Za-z]+)?`)
	helps       sync.Map // func() (help, error) by the path of the command
)

// helpOf asks the binary what a command has.
func helpOf(path ...string) (help, error) {
	ask, _ := helps.LoadOrStore(strings.Join(path, " "), sync.OnceValues(func() (help, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, program, append(slices.Clone(path), "--help")...)
		out, err := command.Output()
		if err != nil {
			return help{}, fmt.Errorf("asking recsys-benthos %s --help: %w", strings.Join(path, " "), err)
		}
		return parseHelp(string(out)), nil
	}))
	return ask.(func() (help, error))()
}

func parseHelp(text string) help {
	h := help{flags: map[string]bool{"help": false, "h": false}}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line != "" && !strings.HasPrefix(line, " ") {
			section = line
			continue
		}
		switch {
		case strings.HasPrefix(section, "COMMANDS"):
			if match := helpCommand.FindStringSubmatch(line); match != nil {
				h.commands = append(h.commands, strings.Split(match[1], ", ")...)
			}
		case strings.Contains(section, "OPTIONS") && strings.HasPrefix(line, "   -"):
			definition, _, _ := strings.Cut(strings.TrimSpace(line)+"  ", "  ")
			for _, match := range helpFlag.FindAllStringSubmatch("   "+definition, -1) {
				h.flags[match[1]] = match[2] != ""
			}
		}
	}
	return h
}

// checkArguments returns what is wrong with the arguments of recsys-benthos.
func checkArguments(arguments []string) error {
	var path []string
	h, err := helpOf()
	if err != nil {
		return err
	}
	for i := 0; i < len(arguments); i++ {
		argument := arguments[i]
		if strings.HasPrefix(argument, "-") && argument != "-" {
			name, _, given := strings.Cut(argument, "=")
			value, known := h.flags[strings.TrimLeft(name, "-")]
			if !known {
				return fmt.Errorf("%s has no flag %s", strings.Join(append([]string{"recsys-benthos"}, path...), " "), name)
			}
			if value && !given {
				i++
				if i == len(arguments) {
					return fmt.Errorf("%s wants a value", name)
				}
			}
			continue
		}
		if len(h.commands) == 0 || len(path) > 0 && !slices.Contains(h.commands, argument) && takesArguments(path) {
			return flagsBehind(path, h, arguments[i:])
		}
		if !slices.Contains(h.commands, argument) {
			return fmt.Errorf("recsys-benthos %s is no command; there are %q", strings.Join(append(path, argument), " "), h.commands)
		}
		path = append(path, argument)
		if h, err = helpOf(path...); err != nil {
			return err
		}
	}
	return nil
}

// takesArguments reports whether a command that lists commands takes something
// else too: those of Benthos list help as one.
func takesArguments(path []string) bool {
	h, err := helpOf(path...)
	return err == nil && !slices.ContainsFunc(h.commands, func(name string) bool { return name != "help" && name != "h" })
}

// flagsBehind finds flags behind an argument, which are taken as arguments.
func flagsBehind(path []string, h help, arguments []string) error {
	for _, argument := range arguments {
		name, _, _ := strings.Cut(argument, "=")
		if _, known := h.flags[strings.TrimLeft(name, "-")]; known && strings.HasPrefix(name, "-") {
			return fmt.Errorf("recsys-benthos %s does not see %s behind the argument %s; put flags first", strings.Join(path, " "), name, arguments[0])
		}
	}
	return nil
}

// configurationFile is an argument that names what init writes, or a page.
var configurationFile = regexp.MustCompile(`^(\./)?(config|pipelines)/[^*$…]*\.(yaml|cql|json)$`)

func TestEveryCommandExists(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		written := writtenFiles(t, page)
		for _, line := range inProse(readFile(t, page)) {
			if err := checkLine(t, line); err != nil {
				t.Errorf("%s: `%s`: %v", page, line, err)
			}
			checked++
		}
		for _, b := range pageBlocks(t, page) {
			if b.language != "sh" {
				continue
			}
			all, err := calls(b.text)
			if err != nil {
				t.Errorf("%s: these are no commands of a shell: %v", b.at(), err)
			}
			for _, c := range all {
				checked += checkCall(t, b, c, written)
			}
		}
	}
	t.Logf("%d calls of recsys-benthos are checked", checked)
}

// inProse returns the commands of ours that stand between the words of a page. What
// has … in it is no whole command.
func inProse(text string) (lines []string) {
	for _, span := range code.FindAllString(fenced.ReplaceAllString(text, ""), -1) {
		line := strings.Trim(span, "`")
		if strings.HasPrefix(strings.TrimPrefix(line, "./"), "recsys-benthos ") && !strings.Contains(line, "…") {
			lines = append(lines, line)
		}
	}
	return lines
}

// writtenFiles are those that a page has its reader write, or expects of another.
func writtenFiles(t *testing.T, page string) map[string]bool {
	t.Helper()
	written := map[string]bool{}
	for _, b := range pageBlocks(t, page) {
		if file, ok := b.note(noteFile); ok {
			written[filepath.Clean(file)] = true
		}
		if other, ok := b.note(noteFilesOf); ok {
			maps.Copy(written, writtenFiles(t, other))
		}
	}
	return written
}

func checkCall(t *testing.T, b block, c call, written map[string]bool) (checked int) {
	t.Helper()
	at := fmt.Sprintf("%s:%d", b.page, b.line+c.line)
	if c.program == "go" {
		for _, argument := range c.arguments {
			if folder, _, _ := strings.Cut(argument, "..."); strings.HasPrefix(folder, "./") {
				if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
					t.Errorf("%s: the package %s does not exist", at, argument)
				}
			}
		}
	}
	arguments, ok := c.ours()
	if !ok {
		return 0
	}
	if err := checkArguments(arguments); err != nil {
		t.Errorf("%s: %v", at, err)
	}
	for _, argument := range arguments {
		if !configurationFile.MatchString(argument) || written[filepath.Clean(argument)] {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, argument)); err != nil {
			t.Errorf("%s: there is no %s; if this page writes it, put <!-- file: %s --> right above its block", at, argument, argument)
		}
	}
	return 1
}

func TestACommandThatDoesNotExistIsTold(t *testing.T) {
	for line, want := range map[string]string{
		"recsys-benthos dance":                                       "is no command",
		"./recsys-benthos up --fast":                                 "has no flag --fast",
		"A=b go run ./cmd/recsys-benthos models lists":               "is no command",
		"recsys-benthos init my-folder --force":                      "put flags first",
		"echo $(recsys-benthos train --ratings)":                     "wants a value",
		"cat x | recsys-benthos lint --strict ./pipelines/...":       "has no flag --strict",
		"recsys-benthos models compare --live --profil x":            "has no flag --profil",
		"true && recsys-benthos streams -p 1 pipelines # -o, -r, …":  "has no flag -p",
		"recsys-benthos up --rate 500 --until-predictions 5000 --js": "has no flag --js",
	} {
		if err := checkLine(t, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, not that it %s", line, err, want)
		}
	}
	if got := inProse("Run `recsys-benthos dance`, not `recsys-benthos …`.\n\n```sh\nx `recsys-benthos a`\n```\n"); !slices.Equal(got, []string{"recsys-benthos dance"}) {
		t.Errorf("the commands in prose are %q", got)
	}
	for _, line := range []string{
		"recsys-benthos --version", "recsys-benthos help", "recsys-benthos list inputs", "recsys-benthos create kafka_franz//file",
		`A="b c" recsys-benthos streams -o config/service.yaml -r=config/embedded.yaml pipelines`, "recsys-benthos eval --split random:0.2 --seed 42",
	} {
		if err := checkLine(t, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// checkLine checks the only call of recsys-benthos of a line.
func checkLine(t *testing.T, line string) error {
	t.Helper()
	all, err := calls(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if arguments, ok := c.ours(); ok {
			return checkArguments(arguments)
		}
	}
	t.Fatalf("%s has no call of recsys-benthos", line)
	return nil
}
