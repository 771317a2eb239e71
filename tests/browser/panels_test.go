package browser

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/broker"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// fed is a broker that the test writes to, and what it wrote.
type fed struct {
	testing.TB
	dir, address string
	broker       *broker.Broker
	client       *kgo.Client
	predictions  []predicted
}

type predicted struct {
	ID       string    `json:"request_id"`
	User     int64     `json:"user_id"`
	Movie    int64     `json:"movie_id"`
	Value    float64   `json:"prediction"`
	Title    string    `json:"title"`
	Genres   []string  `json:"genres"`
	Version  string    `json:"model_version"`
	Asked    time.Time `json:"requested_at"`
	At       time.Time `json:"predicted_at"`
	Cold     []string  `json:"cold"`
	Actual   float64   `json:"actual"`
	Baseline float64   `json:"baseline"`
	StdDev   float64   `json:"stddev"`
}

func newFed(t testing.TB) *fed {
	t.Helper()
	f := &fed{TB: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	f.open()
	var err error
	if f.client, err = kgo.NewClient(kgo.SeedBrokers(f.address)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.client.Close()
		f.broker.Close()
	})
	return f
}

// open starts the broker, the second time on the same data and port.
func (f *fed) open() {
	f.Helper()
	var topics []broker.Topic
	for _, name := range []string{"predictions", "models", "dead_letters", "requests"} {
		topics = append(topics, broker.Topic{Name: name, Partitions: 1})
	}
	b, err := broker.Open(broker.Config{Dir: f.dir, Address: f.address, Topics: topics})
	if err != nil {
		f.Fatal(err)
	}
	f.broker, f.address = b, b.Addr()
}

func (f *fed) write(records ...*kgo.Record) {
	f.Helper()
	if err := f.client.ProduceSync(f.Context(), records...).FirstErr(); err != nil {
		f.Fatal(err)
	}
}

func (f *fed) predict(all ...predicted) {
	f.Helper()
	var records []*kgo.Record
	for _, p := range all {
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		records = append(records, &kgo.Record{Topic: "predictions", Value: text})
	}
	f.write(records...)
	f.predictions = append(f.predictions, all...)
}

// startPage runs the page's pipeline, as it is in the repository, alone.
func (f *fed) startPage(address string) *process {
	f.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		f.Fatal(err)
	}
	p := &process{origin: "http://" + address, started: time.Now()}
	command := exec.Command(program, "run", "--set", "http.enabled=false", "--set", "logger.level=WARN",
		"-r", filepath.Join(root, "config/embedded.yaml"), filepath.Join(root, "pipelines/dashboard.yaml"))
	command.Dir = f.TempDir()
	command.Stdout, command.Stderr = &p.said, &p.said
	if p.Process, err = binary.Start(command, "KAFKA_BROKERS="+f.address, "RECSYS_LISTEN="+address, "RECSYS_STATE="+command.Dir); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Kill)
	return p
}

// oddTitle is one of many titles that are text and nothing else.
func oddTitle(n int) string {
	parts := [...]string{
		`<b>bold</b>`, `"double"`, `'single'`, `&amp;`, `<script>window.harmed=1</script>`, `🎬🍿`, `👨‍👩‍👧`, `{a|b}`, `\u003cb\u003e`, `<img src=x onerror=window.harmed=1>`,
		`東京`, `عمر`, `${n}`, `</td></tr>`, `<!--`, `]]>`, `%3Cb%3E`, "tab\tin it", `javascript:1`, `A` + strings.Repeat("́", 3),
	}
	return fmt.Sprintf("%s %s %s (%d)", parts[n%20], parts[n/20%20], parts[n/400%20], n)
}

// feed writes predictions of 10,000 odd titles by two versions, 50 to each user,
// the first movies more often.
func (f *fed) feed() {
	const titles = 10_000
	var all []predicted
	now := time.Now().UTC().Truncate(time.Millisecond)
	for n := range titles + 400 {
		movie := n
		if n >= titles {
			movie = int(40 * math.Sqrt(float64(n-titles)/400)) // 40 movies, the later ones more often
		}
		p := predicted{
			ID: fmt.Sprint("p", n), User: int64(n / 50), Movie: int64(movie), Title: oddTitle(movie), Genres: []string{"Drama", oddGenres[movie%3]},
			Value: 1 + float64(n*7%400)/100, Actual: 0.5 + float64(n*3%10)/2, Baseline: 3.25, StdDev: 1, Version: "v2", Cold: []string{},
			At: now, Asked: now.Add(-20 * time.Millisecond),
		}
		if n%4 == 0 {
			p.Version, p.Cold = "v1", []string{"user"}
		}
		all = append(all, p)
	}
	f.predict(all...)
	for sequence, version := range []string{"v1", "v2"} {
		f.write(&kgo.Record{Topic: "models", Value: fmt.Appendf(nil,
			`{"role":"champion","version":%q,"sequence":%d,"promoted_at":%q,"metrics":{"rmse":0.85,"bias_rmse":0.875,"ratings":80000}}`,
			version, sequence+1, now.Format(time.RFC3339))})
	}
	f.write(&kgo.Record{Topic: "dead_letters", Value: []byte("x"), Headers: []kgo.RecordHeader{
		{Key: "error", Value: []byte(`<b>no</b> "reason"`)},
		{Key: "component", Value: []byte("als_predict")},
		{Key: "topic", Value: []byte("requests")},
		{Key: "partition", Value: []byte("0")},
		{Key: "offset", Value: []byte("7")},
	}})
}

var oddGenres = [...]string{`Sci-Fi`, `<i>Noir</i>`, `"War" & peace`}

// TestEachPanelShowsWhatWasWritten compares the page with figures that are computed
// here from what is in the topics, before and after broker and server restart.
func TestEachPanelShowsWhatWasWritten(t *testing.T) {
	needsChromium(t)
	f, address := newFed(t), freeAddress(t)
	f.feed()
	b := newTab(t)
	p := f.startPage(address)
	b.open(t, p)
	isLight(t, b)
	f.isShown(b, p)
	f.titlesAreText(b, p)
	b.silent(t, p.origin)

	for _, n := range []int{1, 2, 3} {
		begun := time.Now()
		f.predict(f.next())
		f.isCounted(b, p)
		t.Logf("new prediction %d on the page after %.2f s", n, time.Since(begun).Seconds())
	}
	f.controlsWork(b, p)
	if err := f.broker.Close(); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.predict(f.next())
	f.isShown(b, p)

	p.Kill()
	p = f.startPage(address)
	f.isShown(b, p)
	f.predict(f.next())
	f.isCounted(b, p)
	if read(t, b).Reloaded {
		t.Error("the page was loaded again")
	}
	b.silent(t, p.origin, "network") // the refused connections
}

// isLight demands that the page is loaded with few bytes, and says how soon it is
// painted first.
func isLight(t testing.TB, b *tab) {
	t.Helper()
	const most = 600_000
	type loading struct {
		Bytes, Files int
		Paint        float64 // milliseconds
	}
	var loaded loading
	eventually(t, patience, nil, func() error {
		loaded = evaluate[loading](t, b, `(() => {
			const parts = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
			const paint = performance.getEntriesByName('first-contentful-paint')[0];
			return { Bytes: parts.reduce((sum, part) => sum + part.transferSize, 0), Files: parts.length, Paint: paint ? paint.startTime : 0 };
		})()`)
		if loaded.Paint == 0 {
			return fmt.Errorf("nothing is painted yet")
		}
		return nil
	})
	t.Logf("first paint after %.0f ms; %d files of %d bytes in all", loaded.Paint, loaded.Files, loaded.Bytes)
	if loaded.Bytes > most || loaded.Files < 8 {
		t.Errorf("%d files of %d bytes were loaded, at most %d bytes are promised", loaded.Files, loaded.Bytes, most)
	}
}

func (f *fed) next() predicted {
	p := f.predictions[len(f.predictions)-1]
	p.ID, p.At = fmt.Sprint("next", len(f.predictions)), time.Now().UTC().Truncate(time.Millisecond)
	p.Asked = p.At
	return p
}

// choose gives a field of the page a value, as a person does.
func (f *fed) choose(b *tab, id, value string) {
	f.Helper()
	evaluate[bool](f, b, fmt.Sprintf(`(() => {
		const field = document.getElementById(%q);
		field.value = %q;
		for (const event of ['input', 'change']) field.dispatchEvent(new Event(event, {bubbles: true}));
		return true;
	})()`, id, value))
}

// controlsWork looks further back, pauses, chooses colours, and searches by title.
func (f *fed) controlsWork(b *tab, p *process) {
	f.Helper()
	is := func(what, expression string) {
		f.Helper()
		eventually(f, patience, p, func() error {
			if !evaluate[bool](f, b, expression) {
				return fmt.Errorf("%s is not so", what)
			}
			return nil
		})
	}
	f.choose(b, "window", "86400")
	is("a range of a day", `state.window_seconds === 86400 && document.getElementById('footer').textContent.includes('last 24 hours')`)
	f.choose(b, "window", "900")
	is("a range of 15 minutes", `state.window_seconds === 900`)

	click := `document.getElementById('pause').click(), true`
	evaluate[bool](f, b, click)
	shown := read(f, b).Figures["predictions"]
	f.predict(f.next())
	is("that updates come while the page is paused", fmt.Sprintf(`state.totals.predictions === %d`, len(f.predictions)))
	if now := read(f, b); now.Figures["predictions"] != shown || now.Connection != "Paused" {
		f.Errorf("a paused page shows %s predictions after %s, and says %q", now.Figures["predictions"], shown, now.Connection)
	}
	evaluate[bool](f, b, click)
	f.isCounted(b, p)
	is("that the page is live again", `document.getElementById('connection').dataset.state === 'live'`)

	for _, theme := range []string{"dark", "light"} {
		f.choose(b, "theme", theme)
		is("the colours "+theme, fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
	}
	f.choose(b, "theme", "")

	f.choose(b, "search-title", "<B>BOLD</b> "+`"double"`)
	is("titles that fit", `(() => { const rows = [...document.querySelectorAll('#latest tr')].map((r) => r.children[2]?.textContent); return rows.length > 10 && rows.every((t) => t?.includes('<b>bold</b> "double"')); })()`)
	f.choose(b, "search-title", "")
}

func (f *fed) isCounted(b *tab, p *process) {
	f.Helper()
	eventually(f, patience, p, func() error {
		if now := read(f, b); number(f, now, "predictions") != int64(len(f.predictions)) {
			return fmt.Errorf("%s predictions of %d", now.Figures["predictions"], len(f.predictions))
		}
		return nil
	})
}

// isShown waits until every panel says what the predictions amount to.
func (f *fed) isShown(b *tab, p *process) {
	f.Helper()
	f.isCounted(b, p)
	eventually(f, patience, p, func() error {
		shown := read(f, b)
		for what, pair := range f.panels(shown) {
			if got, want := fmt.Sprintf("%q", pair[0]), fmt.Sprintf("%q", pair[1]); got != want {
				return fmt.Errorf("%s: %.600s on the page, %.600s was written", what, got, want)
			}
		}
		return nil
	})
	checkHarmless(f, read(f, b))
}

// panels are what stands in each panel, and what has to.
func (f *fed) panels(shown page) map[string][2]any {
	var cold int64
	versions, all, baseline := map[string]*errors{}, &errors{}, &errors{}
	rated, movies, genres := map[float64]*errors{}, map[int64]*errors{}, map[string]int{}
	titles := map[int64]string{}
	within := 0
	of := func(m map[float64]*errors, key float64) *errors {
		if m[key] == nil {
			m[key] = &errors{}
		}
		return m[key]
	}
	for _, p := range f.predictions {
		if len(p.Cold) > 0 {
			cold++
		}
		if versions[p.Version] == nil {
			versions[p.Version] = &errors{}
		}
		if movies[p.Movie] == nil {
			movies[p.Movie] = &errors{}
		}
		err := p.Value - p.Actual
		for _, e := range []*errors{all, versions[p.Version], of(rated, math.Round(2*p.Value)/2)} {
			e.add(err)
		}
		baseline.add(p.Baseline - p.Actual)
		movies[p.Movie].add(p.Value) // its sum is of what was predicted
		titles[p.Movie] = p.Title
		for _, g := range p.Genres {
			genres[g]++
		}
		if math.Abs(err) <= 1.2815515655446*p.StdDev {
			within++
		}
	}
	accuracy := [][]string{}
	for _, v := range []string{"v2", "v1"} {
		accuracy = append(accuracy, []string{v, map[string]string{"v2": "champion", "v1": "no role any more"}[v], whole(versions[v].n), fixed(versions[v].rmse()), fixed(versions[v].size / float64(versions[v].n))})
	}
	accuracy = append(accuracy, []string{"biases alone", "baseline", whole(baseline.n), fixed(baseline.rmse()), fixed(baseline.size / float64(baseline.n))})
	var bins []string
	for half := 0.0; half <= 5; half += 0.5 {
		if e := rated[half]; e != nil {
			mean := e.sum / float64(e.n)
			sign := map[bool]string{true: "+", false: "-"}[mean > 0]
			bins = append(bins, fmt.Sprintf("at %.1f stars %s%s", half, sign, fixed(math.Abs(mean))))
		}
	}
	return map[string][2]any{
		"cold":     {shown.Figures["cold"], whole(cold)},
		"letters":  {without(shown.Reasons, 0), [][]string{{`<b>no</b> "reason"`, "als_predict, requests 0/7"}}},
		"model":    {shown.Figures["model"], "v2"},
		"accuracy": {shown.Accuracy, accuracy},
		"demand":   {shown.MostRequested, bestOf(movies, titles, 1, func(e *errors) float64 { return float64(e.n) }, func(e *errors) string { return whole(e.n) })},
		"top":      {shown.TopRated, bestOf(movies, titles, 5, (*errors).mean, func(e *errors) string { return rounded(e.mean(), 2) })},
		"genres":   {shown.Labels["genres"], genreShares(genres)},
		"bins":     {shown.Labels["calibration"], "Mean error by predicted rating: " + strings.Join(bins, ", ")},
		"coverage": {shown.Figures["coverage"], fmt.Sprintf("%.0f %% of %s ratings lie within the stated 80 %% interval.", math.Floor(100*float64(within)/float64(all.n)+0.5), whole(all.n))},
		"models":   {without(shown.Models, 1), [][]string{{"v2 in use", "80,000", "0.850", fixed(versions["v2"].rmse()), whole(versions["v2"].n)}, {"v1", "80,000", "0.850", fixed(versions["v1"].rmse()), whole(versions["v1"].n)}}},
	}
}

type errors struct {
	n                  int64
	sum, squares, size float64
}

func (e *errors) add(x float64) {
	e.n++
	e.sum += x
	e.squares += x * x
	e.size += math.Abs(x)
}

func (e *errors) rmse() float64 { return math.Sqrt(e.squares / float64(e.n)) }

func (e *errors) mean() float64 { return e.sum / float64(e.n) }

// fixed has three decimals, of the four that the server sends.
func fixed(x float64) string { return rounded(x, 3) }

func rounded(x float64, digits int) string {
	unit := math.Pow10(digits)
	return fmt.Sprintf("%.*f", digits, math.Floor(math.Round(1e4*x)/1e4*unit+0.5)/unit)
}

// bestOf are the rows of a panel of movies.
func bestOf(movies map[int64]*errors, titles map[int64]string, least int64, value func(*errors) float64, text func(*errors) string) (rows [][]string) {
	var ids []int64
	for id, e := range movies {
		if e.n >= least {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int {
		x, y := movies[a], movies[b]
		return cmp.Or(cmp.Compare(value(y), value(x)), cmp.Compare(y.n, x.n), cmp.Compare(y.mean(), x.mean()), cmp.Compare(a, b))
	})
	for _, id := range ids[:min(15, len(ids))] {
		rows = append(rows, []string{titles[id], text(movies[id])})
	}
	return rows
}

func genreShares(genres map[string]int) string {
	names, sum := []string{}, 0
	for name, n := range genres {
		names, sum = append(names, name), sum+n
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(genres[b], genres[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.0f %%", name, math.Floor(100*float64(genres[name])/float64(sum)+0.5))
	}
	return "Share of predictions by genre: " + strings.Join(names, ", ")
}

// titlesAreText searches for every user, and so sees every title.
func (f *fed) titlesAreText(b *tab, p *process) {
	f.Helper()
	want := map[int64]map[string]bool{}
	for _, p := range f.predictions[len(f.predictions)-10_000:] { // that many the page searches
		if want[p.User] == nil {
			want[p.User] = map[string]bool{}
		}
		want[p.User][p.Title] = true
	}
	seen := 0
	for user, titles := range want {
		f.choose(b, "search-user", fmt.Sprint(user))
		eventually(f, patience, p, func() error {
			rows := evaluate[[][]string](f, b, `[...document.querySelectorAll('#latest tr')].map((r) => [...r.children].map((c) => c.textContent))`)
			got := map[string]bool{}
			for _, row := range rows {
				if len(row) < 3 || row[1] != fmt.Sprint(user) {
					return fmt.Errorf("searching for user %d shows %q", user, row)
				}
				got[row[2]] = true
			}
			for title := range titles {
				if !got[title] {
					return fmt.Errorf("user %d has no %q among %v", user, title, got)
				}
			}
			return nil
		})
		seen += len(titles)
	}
	f.Logf("%d titles are shown as they are", seen)
	f.choose(b, "search-user", "")
	checkHarmless(f, read(f, b))
}
