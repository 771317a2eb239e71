package terminal

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestATableShortensTextAndNeverNumbers(t *testing.T) {
	table := NewTable(Column{"VERSION", Whole}, Column{"MADE", Spare}, Column{"RMSE", Whole}, Column{"VERDICT", Cut})
	table.Row("20260102-150405-9f86d0", "2026-01-02", "0.8739", "it is worse than the champion by a lot")
	table.Row("v2", "2026-01-03", "0.8741", "short")
	for width, want := range map[int]string{
		0: `VERSION                 MADE        RMSE    VERDICT
20260102-150405-9f86d0  2026-01-02  0.8739  it is worse than the champion by a lot
v2                      2026-01-03  0.8741  short
`,
		60: `VERSION                 MADE        RMSE    VERDICT
20260102-150405-9f86d0  2026-01-02  0.8739  it is worse tha…
v2                      2026-01-03  0.8741  short
`,
		45: `VERSION                 RMSE    VERDICT
20260102-150405-9f86d0  0.8739  it is worse…
v2                      0.8741  short
`,
		40: `VERSION  20260102-150405-9f86d0
MADE     2026-01-02
RMSE     0.8739
VERDICT  it is worse than the champion
         by a lot

VERSION  v2
MADE     2026-01-03
RMSE     0.8741
VERDICT  short
`,
	} {
		if got := table.Text(width); got != want {
			t.Errorf("at %d columns:\n%s\nwant\n%s", width, got, want)
		}
	}
}

func TestWrappedTextIsWholeAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab é漢字 👍🏽 -"))).Draw(t, "text")
		width := rapid.IntRange(2, 30).Draw(t, "width")
		lines := Wrap(text, width)
		for _, line := range lines {
			if Width(line) > width {
				t.Fatalf("%q takes %d columns of %d", line, Width(line), width)
			}
		}
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(strings.Join(strings.Fields(text), ""), " ", ""); got != want {
			t.Fatalf("%q became %q", want, got)
		}
		if short := Shorten(text, width); Width(short) > width {
			t.Fatalf("%q takes %d columns of %d", short, Width(short), width)
		}
	})
}
