package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

// digits are numbers and versions, which are never cut.
var digits = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}|\b\d+\.\d{4}\b`)

func TestTablesFitTheTerminal(t *testing.T) {
	f := prepared(t)
	for _, args := range [][]string{
		{"models", "list", "--registry", f.registry},
		{"models", "log", "--registry", f.registry},
		{"models", "compare", "--registry", f.registry, "champion", champion(t, f)},
		{"models", "show", "--registry", f.registry, "--diagnose"},
		{"recommend", "--user", "1", "--registry", f.registry, "--data", f.data},
		{"doctor", "--admin", "127.0.0.1:1", "--listen", "127.0.0.1:1"},
	} {
		whole := must(t, args...).stdout // no terminal: as wide as it takes
		for _, columns := range []int{60, 80, 120} {
			got := run(t, []string{fmt.Sprintf("COLUMNS=%d", columns)}, args...)
			for _, line := range strings.Split(got.stdout, "\n") {
				// Sentences under a table wrap by themselves.
				if width := uniseg.StringWidth(line); width > columns && strings.Contains(line, "  ") {
					t.Errorf("%q at %d columns: %q takes %d", args, columns, line, width)
				}
			}
			if args[1] == "list" {
				wanted := digits.FindAllString(firstColumns(whole), -1)
				for _, number := range wanted {
					if !strings.Contains(got.stdout, number) {
						t.Errorf("%q at %d columns: %s is cut\n%s", args, columns, number, got.stdout)
					}
				}
				if len(wanted) < 9 {
					t.Errorf("%d numbers of three versions", len(wanted))
				}
			}
		}
	}
}

// firstColumns leaves out the verdict, which is text.
func firstColumns(list string) string {
	lines := strings.Split(list, "\n")
	at := strings.Index(lines[0], "VERDICT")
	for i, line := range lines {
		lines[i] = line[:min(at, len(line))]
	}
	return strings.Join(lines, "\n")
}
