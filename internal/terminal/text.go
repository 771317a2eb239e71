package terminal

import (
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// Width is how many columns a text takes on a terminal.
func Width(text string) int { return uniseg.StringWidth(text) }

// Shorten cuts a text to a width, with … for what is left out.
func Shorten(text string, width int) string {
	if Width(text) <= width {
		return text
	}
	return strings.TrimRight(fitting(text, width-1), " ") + "…"
}

// fitting is the beginning of a text that takes at most so many columns.
func fitting(text string, width int) string {
	taken, state, rest := 0, -1, text
	for rest != "" {
		var w int
		_, next, w, newState := uniseg.FirstGraphemeClusterInString(rest, state)
		if taken+w > width {
			break
		}
		taken, rest, state = taken+w, next, newState
	}
	return text[:len(text)-len(rest)]
}

// Wrap breaks a text into lines of at most width columns, between words where it can.
func Wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case Width(*last)+1+Width(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
		for Width(lines[len(lines)-1]) > width { // a word without end
			long := lines[len(lines)-1]
			begin := fitting(long, max(width, 2))
			lines = append(lines[:len(lines)-1], begin, long[len(begin):])
		}
	}
	return slices.Clip(lines)
}
