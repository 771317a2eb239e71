package commands

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"github.com/recsys-benthos/recsys-benthos/internal/terminal"
)

// isTerminal reports whether a file is a terminal that can draw.
func isTerminal(file *os.File) bool {
	return isatty.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb"
}

// coloured reports whether colours may be written to a file: https://no-color.org.
func coloured(file *os.File) bool { return isTerminal(file) && os.Getenv("NO_COLOR") == "" }

// outputWidth is how many columns standard output has: COLUMNS, else those of the
// terminal, else 0 for as many as it takes.
func outputWidth() int {
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	if !isatty.IsTerminal(os.Stdout.Fd()) {
		return 0
	}
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// printTable prints a table that fits standard output.
func printTable(t *terminal.Table) error { return t.Write(os.Stdout, outputWidth()) }

// cells formats values as fmt.Sprint does.
func cells(values ...any) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return texts
}

// colourLevels colours the level that each line begins with.
func colourLevels(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		for _, mark := range []struct {
			level level
			code  string
		}{{fine, "32"}, {warning, "33"}, {trouble, "31"}} {
			if rest, ok := strings.CutPrefix(line, string(mark.level)); ok {
				lines[i] = "\x1b[" + mark.code + "m" + string(mark.level) + "\x1b[0m" + rest
			}
		}
	}
	return strings.Join(lines, "")
}
