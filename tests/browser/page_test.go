package browser

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
)

// readPage gives all that stands on the page at one moment.
//
//go:embed testdata/read_page.js
var readPage string

// page is what stands on the page at one moment.
type page struct {
	Now           int64               `json:"now"` // of the snapshot that is shown
	Title         string              `json:"title"`
	Heading       string              `json:"heading"`
	Notice        string              `json:"notice"` // empty while it is hidden
	Connection    string              `json:"connection"`
	ConnectionIs  string              `json:"connectionIs"`
	Figures       map[string]string   `json:"figures"`
	Empty         map[string][]string `json:"empty"`  // sentences in place of data, by panel
	Colours       map[string]int      `json:"colors"` // that a chart is drawn in
	TopRated      [][]string          `json:"topRated"`
	MostRequested [][]string          `json:"mostRequested"`
	Cloud         []string            `json:"cloud"`
	Accuracy      [][]string          `json:"accuracy"`
	Lags          [][]string          `json:"lags"`
	Labels        map[string]string   `json:"labels"` // of charts, for who cannot see them
	Models        [][]string          `json:"models"`
	Reasons       [][]string          `json:"reasons"`
	Latest        [][]string          `json:"latest"`
	Width         int                 `json:"width"`  // of the window
	Needs         int                 `json:"needs"`  // width of all that is in it
	Sticking      []string            `json:"sticks"` // what reaches over the window's edge
	Foreign       int                 `json:"foreign"`
	Harmed        bool                `json:"harmed"` // script in data was run
	Reloaded      bool                `json:"reloaded"`
}

func read(t testing.TB, b *tab) page {
	t.Helper()
	return evaluate[page](t, b, readPage)
}

// readBoth reads page and snapshot of the very same moment: whoever looks within
// one refresh is given the same snapshot.
func readBoth(t testing.TB, b *tab, p *process) (shown page, s live.Snapshot) {
	t.Helper()
	eventually(t, patience, p, func() (err error) {
		if s, err = p.snapshot(); err != nil {
			return err
		}
		if shown = read(t, b); shown.Now != s.Now {
			return fmt.Errorf("the page shows the moment %d, the snapshot is of %d", shown.Now, s.Now)
		}
		return nil
	})
	return shown, s
}

// differences says where the page is not what the snapshot says.
func differences(shown page, s live.Snapshot) (wrong []string) {
	compare := func(what string, got, want any) {
		if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
			wrong = append(wrong, fmt.Sprintf("%s is %s on the page and %s in the snapshot", what, g, w))
		}
	}
	figure := func(id, want string) { compare(id, shown.Figures[id], want) }
	figure("predictions", whole(s.Totals.Predictions))
	figure("cold", whole(s.Totals.Cold))
	figure("dead-letters", whole(s.Totals.DeadLetters))
	figure("rate10", rate(s.Throughput.Last10))
	figure("rate60", rate(s.Throughput.Last60))
	figure("rmse", decimals(s.Accuracy.Latest.RMSE, 3))
	detail := fmt.Sprintf("MAE %s; latest %s rated, all %s",
		decimals(s.Accuracy.Latest.MAE, 3), whole(s.Accuracy.Latest.Count), decimals(s.Accuracy.Overall.RMSE, 3))
	if s.Accuracy.Baseline.Count > 0 {
		detail += fmt.Sprintf("; biases alone %s where this has %s", decimals(s.Accuracy.Baseline.RMSE, 3), decimals(s.Accuracy.BesideBaseline.RMSE, 3))
	}
	figure("rmse-detail", detail)
	figure("coverage", coverage(s.Calibration))
	if s.Model != nil {
		figure("model", s.Model.Version)
		figure("model-detail", fmt.Sprintf("holdout RMSE %s, biases alone %s stars", decimals(s.Model.RMSE, 3), decimals(s.Model.BiasRMSE, 3)))
	}
	rows := func(movies []live.Movie, value func(live.Movie) string) (want [][]string) {
		for _, m := range movies[:min(len(movies), 15)] {
			want = append(want, []string{m.Title, value(m)})
		}
		return want
	}
	compare("top movies", shown.TopRated, rows(s.TopRated, func(m live.Movie) string { return decimals(m.Mean, 2) }))
	compare("most requested movies", shown.MostRequested, rows(s.MostRequested, func(m live.Movie) string { return whole(m.Count) }))
	compare("movies in demand", slices.Sorted(slices.Values(shown.Cloud)), titlesInOrder(s.MostRequested))
	compare("live accuracy", without(shown.Accuracy, 1), accuracyRows(s))
	compare("consumer groups", shown.Lags, lagRows(s))
	compare("calibration", shown.Labels["calibration"], calibrationLabel(s.Calibration))
	compare("errors", shown.Labels["error"], errorLabel(s))
	compare("model versions", without(shown.Models, 1), modelRows(s)) // not the time of day
	compare("latest predictions", without(shown.Latest, 0), latestRows(s))
	return wrong
}

func titlesInOrder(movies []live.Movie) (titles []string) {
	for _, m := range movies {
		titles = append(titles, m.Title)
	}
	slices.Sort(titles)
	return titles
}

// accuracyRows are the rows of the live accuracy, without the roles.
func accuracyRows(s live.Snapshot) (rows [][]string) {
	row := func(name string, a live.Accuracy) {
		if a.Count > 0 {
			rows = append(rows, []string{name, whole(a.Count), decimals(a.RMSE, 3), decimals(a.MAE, 3)})
		}
	}
	for _, v := range s.Series.Versions {
		row(v.Version, v.Accuracy)
	}
	row("biases alone", s.Series.BaselineAccuracy)
	return rows
}

func lagRows(s live.Snapshot) (rows [][]string) {
	for _, l := range s.Lags {
		members := whole(int64(l.Members))
		if l.Members == 0 {
			members = "nobody"
		}
		rows = append(rows, []string{l.Group, l.Topic, members, whole(l.Lag)})
	}
	return rows
}

// coverage is what stands under the calibration.
func coverage(c live.Calibration) string {
	if c.Stated == 0 {
		return "How sure versions are is told where als_predict evaluates (RECSYS_EVALUATE=true)."
	}
	return fmt.Sprintf("%.0f %% of %s ratings lie within the stated 80 %% interval.", math.Floor(100*float64(c.Within)+.5), whole(c.Stated))
}

func calibrationLabel(c live.Calibration) string {
	var bins []string
	for _, bin := range c.Bins {
		bins = append(bins, fmt.Sprintf("at %s stars %s", decimals(bin.Predicted, 1), signed(bin.MeanError)))
	}
	return "Mean error by predicted rating: " + strings.Join(bins, ", ")
}

func errorLabel(s live.Snapshot) string {
	var versions []string
	for _, v := range s.Series.Versions {
		if v.Accuracy.Count > 0 {
			versions = append(versions, fmt.Sprintf("Version %s %s stars", v.Version, decimals(v.Accuracy.RMSE, 3)))
		}
	}
	return "Root mean square error over time. " + strings.Join(versions, ", ")
}

// signed is a deviation with its sign, three decimals.
func signed(x live.Number) string {
	size := strconv.FormatFloat(math.Floor(math.Abs(float64(x))*1e3+.5)/1e3, 'f', 3, 64)
	switch {
	case x > 0:
		return "+" + size
	case x < 0:
		return "-" + size
	}
	return size
}

// modelRows are the rows of the model versions, without their times.
func modelRows(s live.Snapshot) (rows [][]string) {
	for _, m := range s.Models {
		name := m.Version
		if s.Model != nil && m.Sequence == s.Model.Sequence {
			name += " in use"
		}
		if m.Simulated {
			name += " simulated ratings"
		}
		row := []string{name, whole(m.Ratings), decimals(m.RMSE, 3), "–", "0"}
		if i := slices.IndexFunc(s.ByModel, func(r live.ModelResult) bool { return r.Version == m.Version }); i >= 0 {
			row[3], row[4] = decimals(s.ByModel[i].RMSE, 3), whole(s.ByModel[i].Predictions)
		}
		rows = append(rows, row)
	}
	return rows
}

// latestRows are the rows of the latest predictions, without their times.
func latestRows(s live.Snapshot) (rows [][]string) {
	for _, p := range s.Latest {
		actual, cold := "", []string{}
		if p.Actual != nil {
			actual = decimals(*p.Actual, 1)
		}
		if p.ColdUser {
			cold = append(cold, "user")
		}
		if p.ColdMovie {
			cold = append(cold, "movie")
		}
		rows = append(rows, []string{
			strconv.FormatInt(p.User, 10), p.Title, strings.Join(p.Genres, ", "), decimals(p.Value, 2), actual, strings.Join(cold, ", "), p.ModelVersion,
		})
	}
	return rows
}

// without leaves one column out.
func without(rows [][]string, column int) (rest [][]string) {
	for _, row := range rows {
		rest = append(rest, slices.Concat(row[:min(column, len(row))], row[min(column+1, len(row)):]))
	}
	return rest
}

// whole is a count as English readers write it.
func whole(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// rate is predictions per second.
func rate(x live.Number) string {
	if x < 10 {
		return decimals(x, 1)
	}
	return whole(int64(math.Round(float64(x))))
}

// decimals is a number of the snapshot, which has four decimals at most, with
// fewer of them, half rounded up as browsers do. The snapshot's null is read as 0.
func decimals(x live.Number, digits int) string {
	if x == 0 && digits > 1 {
		return "–"
	}
	unit := int64(math.Pow10(4 - digits))
	n := (int64(math.Round(float64(x)*1e4)) + unit/2) / unit
	return strconv.FormatFloat(float64(n)/math.Pow10(digits), 'f', digits, 64)
}
