package terminal

import (
	"io"
	"slices"
	"strings"
)

// Table is columns that fit the width of the terminal: text gives way, numbers and
// names that one has to type stay whole. What does not fit even so becomes one
// block of lines for each row.
type Table struct {
	columns []Column
	rows    [][]string
}

// Column is one column of a table.
type Column struct {
	Name string
	Fit  Fit
}

// Fit is how a column gives way.
type Fit int

const (
	Whole   Fit = iota // never
	Cut                // it ends in …
	Wrapped            // it goes on in the next line
	Spare              // it is left out: another column says it too
)

// leastColumn is how narrow a column may become.
const leastColumn = 10

// longWord is more than a version or a role takes.
const longWord = 32

const columnGap = 2

// NewTable returns an empty table.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Row adds a row of as many cells as there are columns.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table with lines of at most width columns; 0 is no limit.
func (t *Table) Write(to io.Writer, width int) error {
	_, err := io.WriteString(to, t.Text(width))
	return err
}

// Text returns what Write writes.
func (t *Table) Text(width int) string {
	if columns := t.narrow(width); columns != nil {
		return t.lines(columns)
	}
	return t.blocks(width)
}

// narrow returns the width of each column, 0 of those that are left out; nil if the
// table does not fit.
func (t *Table) narrow(width int) []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = Width(c.Name)
		for _, row := range t.rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	if width <= 0 {
		return widths
	}
	natural := slices.Clone(widths)
	if t.shrink(widths, width) {
		return widths
	}
	widths = natural
	for i, c := range t.columns {
		if c.Fit == Spare {
			widths[i] = 0
		}
	}
	if t.shrink(widths, width) {
		return widths
	}
	return nil
}

// shrink takes from the widest column that gives way until all fit.
func (t *Table) shrink(widths []int, width int) bool {
	least := make([]int, len(widths))
	for i := range least {
		least[i] = t.least(i)
	}
	for {
		total, widest := -columnGap, -1
		for i, w := range widths {
			if w > 0 || t.columns[i].Fit != Spare {
				total += w + columnGap
			}
			gives := t.columns[i].Fit == Cut || t.columns[i].Fit == Wrapped
			if gives && w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if total <= width {
			return true
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
}

// least is how narrow column i may become: words that are wrapped are broken only if
// they are very long.
func (t *Table) least(i int) int {
	least := max(leastColumn, Width(t.columns[i].Name))
	if t.columns[i].Fit != Wrapped {
		return least
	}
	for _, row := range t.rows {
		for _, word := range strings.Fields(row[i]) {
			least = max(least, min(Width(word), longWord))
		}
	}
	return least
}

func (t *Table) lines(widths []int) string {
	var out strings.Builder
	header := make([]string, len(t.columns))
	for i, c := range t.columns {
		header[i] = c.Name
	}
	if strings.Join(header, "") != "" {
		t.line(&out, header, widths)
	}
	for _, row := range t.rows {
		t.line(&out, row, widths)
	}
	return out.String()
}

// line writes one row, which takes more than one line if text is wrapped.
func (t *Table) line(out *strings.Builder, cells []string, widths []int) {
	pieces, height := make([][]string, len(cells)), 1
	for i, cell := range cells {
		switch t.columns[i].Fit {
		case Cut:
			pieces[i] = []string{Shorten(cell, widths[i])}
		case Wrapped:
			pieces[i] = Wrap(cell, widths[i])
		default:
			pieces[i] = []string{cell}
		}
		height = max(height, len(pieces[i]))
	}
	for k := range height {
		var line strings.Builder
		for i, w := range widths {
			if w == 0 && t.columns[i].Fit == Spare {
				continue
			}
			piece := ""
			if k < len(pieces[i]) {
				piece = pieces[i][k]
			}
			line.WriteString(piece + strings.Repeat(" ", max(0, w-Width(piece))+columnGap))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// blocks writes each row as lines of name and value.
func (t *Table) blocks(width int) string {
	var out strings.Builder
	names := 0
	for _, c := range t.columns {
		names = max(names, Width(c.Name))
	}
	for k, row := range t.rows {
		if k > 0 {
			out.WriteString("\n")
		}
		for i, c := range t.columns {
			for j, piece := range Wrap(row[i], max(leastColumn, width-names-columnGap)) {
				name := c.Name
				if j > 0 {
					name = ""
				}
				out.WriteString(strings.TrimRight(name+strings.Repeat(" ", names-Width(name)+columnGap)+piece, " ") + "\n")
			}
		}
	}
	return out.String()
}
