package browser

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

//go:embed testdata/read_foryou.js
var readForYou string

// forYou is what stands in the view “For you”.
type forYou struct {
	User    string     `json:"user"`
	Status  string     `json:"status"`
	Problem string     `json:"problem"`
	Basis   string     `json:"basis"`
	Hidden  bool       `json:"hidden"` // list and ratings
	Cards   []card     `json:"cards"`
	Because []string   `json:"because"` // of an opened card
	Found   []string   `json:"found"`
	Rated   [][]string `json:"rated"`
	Focus   string     `json:"focus"`
}

type card struct {
	Title  string `json:"title"`
	About  string `json:"about"`
	Score  string `json:"score"`
	Reason string `json:"reason"`
}

func (f forYou) titles() (all []string) {
	for _, c := range f.Cards {
		all = append(all, c.Title)
	}
	return all
}

func readView(t testing.TB, b *tab) forYou {
	t.Helper()
	return evaluate[forYou](t, b, readForYou)
}

// until reads the view until it is as wanted; what says what is wanted.
func until(t testing.TB, b *tab, p *process, what string, wanted func(forYou) bool) (shown forYou) {
	t.Helper()
	eventually(t, 2*patience, p, func() error {
		if shown = readView(t, b); !wanted(shown) {
			return fmt.Errorf("want %s; the view is %+v", what, shown)
		}
		return nil
	})
	return shown
}

func TestANewUserRatesAndTheListFollows(t *testing.T) {
	needsChromium(t)
	data, state, address := recsystest.DataDir(t), t.TempDir(), freeAddress(t)
	// A version that was made while the history was still read would not know the movies.
	command(t, "train", "--ratings", data, "--registry", "file://"+filepath.Join(state, "registry"), "--json")
	b := newTab(t)
	p := start(t, address, up(address, state, data, "--rate", "100", "--retrain", "1000000")...)
	ready(t, p)
	b.open(t, p)
	b.view(t, "for-you")
	b.press(t, "#fy-new")
	shown := until(t, b, p, "a list for a new user", func(f forYou) bool { return len(f.Cards) == 12 })
	if !strings.Contains(shown.Basis, "Nothing is known of this user yet") || len(shown.Rated) > 0 || shown.Cards[0].Reason != "" {
		t.Errorf("a new user is shown %+v", shown)
	}
	user, err := strconv.ParseInt(shown.User, 10, 64)
	if err != nil || user < 1_000_000 {
		t.Errorf("the new user has the id %q", shown.User)
	}

	// By the mouse, by the keyboard, and what the search has found.
	first := shown.Cards[0].Title
	shown = b.rates(t, p, first, "5.0 ★", func() { b.press(t, `#fy-list .card .stars [value="5"]`) })
	if strings.Contains(shown.Basis, "Nothing is known") {
		t.Errorf("after a rating the list is %q", shown.Basis)
	}
	second := shown.Cards[1].Title
	shown = b.rates(t, p, second, "4.5 ★", func() {
		b.focus(t, `#fy-list .card:nth-child(2) .stars [value="4"]`)
		b.keys(t, kb.ArrowRight)
		if offered := evaluate[string](t, b, `document.querySelector('.confirm:not([hidden])')?.textContent ?? ''`); offered != "Rate 4.5 stars" {
			t.Errorf("the keyboard is offered %q", offered)
		}
		b.screenshot(t, "keyboard-1400")
		b.keys(t, kb.Enter)
	})
	if !strings.HasPrefix(shown.Focus, "INPUT ") {
		t.Errorf("after a rating by the keyboard the focus is on %q", shown.Focus)
	}
	b.fill(t, "#fy-search", "toy story (1995")
	b.keys(t, kb.Enter)
	until(t, b, p, "a movie found", func(f forYou) bool { return slices.Equal(f.Found, []string{"Toy Story"}) })
	shown = b.rates(t, p, "Toy Story", "2.0 ★", func() { b.press(t, `#fy-found .stars [value="2"]`) })

	if !strings.HasPrefix(shown.Cards[0].Reason, "Because of ") {
		t.Errorf("the first movie has the reason %q", shown.Cards[0].Reason)
	}
	b.press(t, "#fy-list summary")
	shown = until(t, b, p, "reasons", func(f forYou) bool { return len(f.Because) > 0 })
	if !slices.ContainsFunc(shown.Because, func(reason string) bool { return strings.Contains(reason, first) }) {
		t.Errorf("the reasons %q are without the movie with five stars, %s", shown.Because, first)
	}
	b.lookedOnAPhone(t, "for-you")
	b.choosesAndTakesBack(t, p, user, first)
	b.view(t, "live")
	eventually(t, slow*fills, p, func() error {
		if shown := read(t, b); shown.Colours["rating"] < 5 || len(shown.Latest) == 0 {
			return fmt.Errorf("the chart is drawn in %d colours, and there are %d predictions", shown.Colours["rating"], len(shown.Latest))
		}
		return nil
	})
	b.looked(t, "live-view")
	b.silent(t, p.origin)
	b.view(t, "for-you")
	b.saysWhatIsWrong(t, p)
	b.silent(t, p.origin, "network") // the refused years
}

// rates does what rates a movie, and waits until the rating and another list are shown.
func (b *tab) rates(t testing.TB, p *process, title, stars string, act func()) forYou {
	t.Helper()
	before := readView(t, b)
	act()
	began := time.Now()
	shown := until(t, b, p, "the rating and another list", func(f forYou) bool {
		return contains(f.Rated, title, stars) && !slices.Equal(f.Cards, before.Cards) && strings.HasPrefix(f.Status, "Updated: ")
	})
	t.Logf("%s with %s: the list is another one after %d ms", title, stars, time.Since(began).Milliseconds())
	if slices.Contains(shown.titles(), title) {
		t.Errorf("%s was rated, and is recommended all the same", title)
	}
	if shown.Problem != "" {
		t.Errorf("the view says %q", shown.Problem)
	}
	return shown
}

// choosesAndTakesBack uses filters, sets a movie aside, and takes a rating back.
func (b *tab) choosesAndTakesBack(t testing.TB, p *process, user int64, first string) {
	t.Helper()
	b.fill(t, "#fy-genre", "Comedy")
	b.fill(t, "#fy-from", "1990")
	b.fill(t, "#fy-to", "1999")
	b.keys(t, kb.Enter)
	until(t, b, p, "comedies of the nineties only", func(f forYou) bool {
		return len(f.Cards) == 12 && !slices.ContainsFunc(f.Cards, func(c card) bool {
			return !strings.HasPrefix(c.About, "199") || !strings.Contains(c.About, "Comedy")
		})
	})
	dull := readView(t, b).Cards[0].Title
	b.press(t, `#fy-list .card .bottom > button`)
	shown := until(t, b, p, "a list without "+dull, func(f forYou) bool { return len(f.Cards) == 12 && !slices.Contains(f.titles(), dull) })
	b.press(t, "#fy-bring-back")
	until(t, b, p, "a list with it again", func(f forYou) bool { return slices.Contains(f.titles(), dull) })

	path := fmt.Sprintf("/api/user/%d/feedback/rate", user)
	if rated := told[[]any](t, p, path, ""); len(rated) != 3 || len(shown.Rated) != 3 {
		t.Errorf("the store has %v, the view %v", rated, shown.Rated)
	}
	b.press(t, fmt.Sprintf(`#fy-rated button[aria-label=%q]`, "Take back the rating of "+first))
	until(t, b, p, "no rating of "+first, func(f forYou) bool {
		return len(f.Rated) == 2 && !slices.ContainsFunc(f.Rated, func(row []string) bool { return row[0] == first })
	})
	if rated := told[[]any](t, p, path, ""); len(rated) != 2 {
		t.Errorf("after one was taken back the store has %v", rated)
	}
}

// saysWhatIsWrong demands that a refusal of the interface is shown in its words.
func (b *tab) saysWhatIsWrong(t testing.TB, p *process) {
	t.Helper()
	b.fill(t, "#fy-from", "1999")
	b.fill(t, "#fy-to", "1990")
	b.keys(t, kb.Enter)
	until(t, b, p, "what is wrong with the years", func(f forYou) bool { return f.Problem == "year_from 1999 is after year_to 1990" })
}
