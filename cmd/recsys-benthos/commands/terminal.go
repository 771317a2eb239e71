package commands

import (
	"fmt"
	"os"
	"strconv"

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
