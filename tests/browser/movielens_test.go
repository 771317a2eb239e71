package browser

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

const (
	fills    = 20 * time.Second // what is promised of an opened page
	slow     = 6                // times as long takes what a machine of CI does beside other tests
	patience = time.Minute      // with what comes later
)

func TestThePageFillsAndFollowsAndSaysWhatTheSnapshotSays(t *testing.T) {
	needsChromium(t)
	data, state, address := recsystest.DataDir(t), t.TempDir(), freeAddress(t)
	titles := titlesOf(t, data)
	b := newTab(t)
	p := start(t, address, up(address, state, data, "--rate", "200", "--retrain", "500")...)
	b.open(t, p)
	opened := time.Now()
	eventually(t, slow*fills, p, func() error { return filled(read(t, b)) })
	t.Logf("filled %.1f s after it was opened, %.1f s after the start", time.Since(opened).Seconds(), time.Since(p.started).Seconds())

	saysWhatTheSnapshotSays(t, b, p, titles)
	grows(t, b, p)
	showsTheChampion(t, b, p, filepath.Join(state, "registry"))
	rollsOver(t, b, p)
	shown := saysWhatTheSnapshotSays(t, b, p, titles)
	if len(shown.TopRated) < 5 || len(shown.MostRequested) < 5 || len(shown.Latest) < 20 {
		t.Errorf("%d top movies, %d most requested, %d latest predictions: too few", len(shown.TopRated), len(shown.MostRequested), len(shown.Latest))
	}
	if shown.Notice != "" {
		t.Errorf("real ratings have the banner %q", shown.Notice)
	}
	b.screenshot(t, "live-1400-light")
	b.prefer(t, "dark")
	b.screenshot(t, "live-1400-dark")
	b.prefer(t, "light")
	fitsAPhone(t, b, "live")
	b.silent(t, p.origin)
}

// filled says which panel has nothing to show yet.
func filled(shown page) error {
	for panel, sentences := range shown.Empty {
		if len(sentences) > 0 && (panel != "h-letters" || sentences[0] != "None: every message was handled.") {
			return fmt.Errorf("the panel %s says %q", panel, sentences)
		}
	}
	if len(shown.Empty) != 13 {
		return fmt.Errorf("%d panels instead of 13", len(shown.Empty))
	}
	for _, chart := range []string{"rating", "error", "attraction", "genres", "calibration"} {
		if shown.Colours[chart] < 5 {
			return fmt.Errorf("the chart %s is drawn in %d colours only", chart, shown.Colours[chart])
		}
	}
	for id, figure := range shown.Figures {
		if figure == "" || figure == "–" || figure == "no actual ratings yet" || figure == "Waiting for the first model…" {
			return fmt.Errorf("the figure %s is %q", id, figure)
		}
	}
	if shown.ConnectionIs != "live" {
		return fmt.Errorf("the page is not live but says %q", shown.Connection)
	}
	return nil
}

// titlesOf are the titles in movies.csv.
func titlesOf(t testing.TB, data string) map[string]bool {
	t.Helper()
	movies, err := ratings.ReadMovies(data)
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, m := range movies {
		titles[m.Title] = true
	}
	return titles
}

// saysWhatTheSnapshotSays demands that every number and name on the page is that
// of the snapshot of the same moment, and every title one of the data.
func saysWhatTheSnapshotSays(t testing.TB, b *tab, p *process, titles map[string]bool) page {
	t.Helper()
	shown, s := readBoth(t, b, p)
	for _, wrong := range differences(shown, s) {
		t.Error(wrong)
	}
	checkTitles(t, shown, titles)
	return shown
}

// checkTitles demands that every movie on the page has a title of the data.
func checkTitles(t testing.TB, shown page, titles map[string]bool) {
	t.Helper()
	var named []string
	for _, row := range append(shown.TopRated, shown.MostRequested...) {
		named = append(named, row[0])
	}
	for _, row := range shown.Latest {
		named = append(named, row[2])
	}
	for _, title := range named {
		if !titles[title] {
			t.Errorf("%q is no title of the data", title)
		}
	}
}

func grows(t testing.TB, b *tab, p *process) {
	t.Helper()
	before := read(t, b)
	eventually(t, patience, p, func() error {
		now := read(t, b)
		if now.Now == before.Now || number(t, now, "predictions") <= number(t, before, "predictions") {
			return fmt.Errorf("predictions stay at %s", now.Figures["predictions"])
		}
		return nil
	})
}

// number reads a count on the page.
func number(t testing.TB, shown page, id string) (n int64) {
	t.Helper()
	for _, digit := range shown.Figures[id] {
		if digit >= '0' && digit <= '9' {
			n = 10*n + int64(digit-'0')
		}
	}
	return n
}

// showsTheChampion compares the page with what the command line says, which a
// promotion in between may make differ for a moment.
func showsTheChampion(t testing.TB, b *tab, p *process, registry string) {
	t.Helper()
	eventually(t, patience, p, func() error {
		list := exec.Command(program, "models", "list", "--registry", "file://"+registry, "--json")
		list.Env = binary.Inherited()
		text, err := list.Output()
		if err != nil {
			return fmt.Errorf("models list: %w", err)
		}
		var models []struct{ Version, Role string }
		if err := json.Unmarshal(text, &models); err != nil {
			return fmt.Errorf("models list: %w", err)
		}
		shown := read(t, b).Figures["model"]
		for _, m := range models {
			if m.Role == "champion" && m.Version == shown {
				return nil
			}
		}
		return fmt.Errorf("the page shows model %q, which is not the champion of %s", shown, text)
	})
}

// rollsOver waits until the page, which is not loaded again, shows another model
// that has made predictions.
func rollsOver(t testing.TB, b *tab, p *process) {
	t.Helper()
	before := read(t, b)
	if before.Reloaded {
		t.Error("the page was loaded again")
	}
	eventually(t, patience, p, func() error {
		now := read(t, b)
		if now.Reloaded {
			t.Fatal("the page was loaded again")
		}
		if model := now.Figures["model"]; model == before.Figures["model"] || now.Latest[0][7] != model {
			return fmt.Errorf("the model is %s, the latest prediction is of %s", model, now.Latest[0][7])
		}
		if len(now.Models) <= len(before.Models) {
			return fmt.Errorf("still %d versions in the list", len(now.Models))
		}
		return nil
	})
}

// fitsAPhone demands that the page does not scroll sideways in narrow windows,
// once it is laid out anew.
func fitsAPhone(t testing.TB, b *tab, name string) {
	t.Helper()
	for _, width := range []int64{390, 320} {
		b.resize(t, width, 844)
		eventually(t, patience, nil, func() error {
			shown := read(t, b)
			if shown.Width != int(width) || shown.Needs > shown.Width {
				return fmt.Errorf("in a window of %d pixels, %d were asked for, the page is %d wide: it scrolls sideways", shown.Width, width, shown.Needs)
			}
			if len(shown.Sticking) > 0 {
				return fmt.Errorf("in a window of %d pixels these reach over the edge: %q", width, shown.Sticking)
			}
			return nil
		})
		b.screenshot(t, fmt.Sprintf("%s-%d", name, width))
	}
}
