package browser

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostile are titles that would do harm, or look wrong, as anything but text.
var hostile = []string{
	`<img src=x onerror="window.harmed=1"> (1999)`,
	`<script>window.harmed=1</script> (2000)`,
	`"Quoted", 'single' & "doubled ""quotes""" (2001)`,
	`Emoji 🎬🍿 family 👨‍👩‍👧‍👦 flag 🇫🇷 (2002)`,
	`{style|rich text} of a chart {a|b} (2003)`,
	`javascript:window.harmed=1 (2004)`,
	`</li></ol></section><b>Out of the list</b> (2005)`,
	`Amélie — Œuvre, Дурак, 東京物語, عمر (2006)`,
	`<style>body{display:none}</style> (2007)`,
	`&lt;not decoded twice&gt; &amp; &#x41; (2008)`,
	`Averyveryverylongwordwithoutanyspacethatcannotbebrokenanywhereandgoesonandonandonandonandon (2009)`,
	`%s %d ${title} {{title}} \u003cb\u003e (2010)`,
}

const hostileGenre = `<b onclick="harmed=1">A</b> & {a}`

// hostileData is a MovieLens folder of these titles.
func hostileData(t testing.TB) (folder string) {
	t.Helper()
	folder = t.TempDir()
	movies, rated := [][]string{{"movieId", "title", "genres"}}, [][]string{{"userId", "movieId", "rating", "timestamp"}}
	for i, title := range hostile {
		movies = append(movies, []string{fmt.Sprint(i + 1), title, "Drama|" + hostileGenre})
	}
	const users = 150
	for n := range users * len(hostile) {
		user, movie := n*7%users, n%len(hostile)
		stars := 0.5 + float64((user*5+movie*3+user*movie)%10)/2
		rated = append(rated, []string{fmt.Sprint(user + 1), fmt.Sprint(movie + 1), fmt.Sprint(stars), fmt.Sprint(1_000_000_000 + n)})
	}
	for name, rows := range map[string][][]string{"movies.csv": movies, "ratings.csv": rated} {
		var text strings.Builder
		if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), text.String())
	}
	return folder
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkHarmless demands that nothing from the data became a part of the page.
func checkHarmless(t testing.TB, shown page) {
	t.Helper()
	if shown.Harmed {
		t.Error("script in the data was run")
	}
	if shown.Foreign > 0 {
		t.Errorf("%d elements of the page come from the data", shown.Foreign)
	}
}

func TestHostileTitlesOfMoviesAreShownAsText(t *testing.T) {
	needsChromium(t)
	data, address := hostileData(t), freeAddress(t)
	b := newTab(t)
	p := start(t, address, up(address, t.TempDir(), data, "--rate", "100", "--retrain", "100", "--history", "0.5")...)
	b.open(t, p)
	var shown page
	eventually(t, fills, p, func() error {
		shown = read(t, b)
		if len(shown.TopRated) < len(hostile) {
			return fmt.Errorf("%d of %d movies are among the top movies", len(shown.TopRated), len(hostile))
		}
		return filled(shown)
	})
	titles := map[string]bool{}
	for _, row := range shown.TopRated {
		titles[row[0]] = true
	}
	if got, want := slices.Sorted(maps.Keys(titles)), slices.Sorted(slices.Values(hostile)); !slices.Equal(got, want) {
		t.Errorf("the titles on the page are\n%q\ninstead of\n%q", got, want)
	}
	checkTitles(t, shown, titles)
	if genres := shown.Latest[0][3]; genres != "Drama, "+hostileGenre {
		t.Errorf("the genres on the page are %q", genres)
	}
	checkHarmless(t, shown)
	b.screenshot(t, "titles-1400")
	fitsAPhone(t, b, "titles")
	b.silent(t, p.origin)
}

// hostilePage is a configuration of a page that is given hostile messages.
const hostilePage = `
http: {enabled: false}
logger: {level: WARN}
input:
  broker:
    inputs:
      - file: {paths: [%[1]q], scanner: {lines: {}}}
        processors:
          - mapping: |
              root = this.content
              meta = this.meta
      - generate: {interval: 1h, mapping: root = deleted()} # goes on
output:
  dashboard: {address: %[2]q, title: %[3]q, notice: %[4]q, refresh: 100ms}
`

// hostileMessages are lines of {content, meta}: for each of the hostile titles a
// prediction, a model and a dead letter that have it wherever a text may be.
func hostileMessages(t testing.TB) string {
	t.Helper()
	type content = map[string]any
	type meta = map[string]string
	var lines strings.Builder
	encoder := json.NewEncoder(&lines)
	for i, title := range hostile {
		prediction := content{
			"request_id": fmt.Sprint("p", i), "user_id": 1, "movie_id": i, "prediction": 3.5, "title": title, "genres": []string{title},
			"model_version": title, "predicted_at": time.Now(), "cold": []string{},
		}
		model := content{"role": "champion", "version": title, "sequence": i + 1, "uri": "file://x", "sha256": "", "simulated": true}
		deadLetter := meta{
			"kafka_topic": "dead_letters", "kafka_partition": "0", "kafka_offset": fmt.Sprint(i),
			"error": title, "component": title, "topic": title, "partition": "1", "offset": "2",
		}
		for _, message := range []content{
			{"content": prediction, "meta": meta{"kafka_topic": "predictions"}},
			{"content": model, "meta": meta{"kafka_topic": "models"}},
			{"content": "broken", "meta": deadLetter},
		} {
			if err := encoder.Encode(message); err != nil {
				t.Fatal(err)
			}
		}
	}
	return lines.String()
}

func TestABannerAHeadingAndReasonsOfDeadLettersAreShownAsText(t *testing.T) {
	needsChromium(t)
	const heading, notice = `<u>Movies</u> & "more" 🎬`, `Simulated <b>ratings</b>, <img src=x onerror="window.harmed=1"> "generated" 🎲`
	folder, address := t.TempDir(), freeAddress(t)
	messages, config := filepath.Join(folder, "messages.jsonl"), filepath.Join(folder, "page.yaml")
	write(t, messages, hostileMessages(t))
	write(t, config, fmt.Sprintf(hostilePage, messages, address, heading, notice))
	b := newTab(t)
	p := start(t, address, "run", config)
	b.open(t, p)
	var shown page
	eventually(t, fills, p, func() error {
		if shown = read(t, b); len(shown.Latest) < len(hostile) || len(shown.Reasons) < len(hostile) || len(shown.Models) < len(hostile) {
			return fmt.Errorf("%d predictions, %d reasons, %d models", len(shown.Latest), len(shown.Reasons), len(shown.Models))
		}
		return nil
	})
	if shown.Notice != notice || shown.Heading != heading || shown.Title != heading {
		t.Errorf("the banner is %q, the heading %q, the title %q", shown.Notice, shown.Heading, shown.Title)
	}
	for _, title := range hostile {
		reason := func(row []string) bool { return row[1] == title && row[2] == title+", "+title+" 1/2" }
		if !slices.ContainsFunc(shown.Reasons, reason) {
			t.Errorf("no dead letter has the reason %q from there in %q", title, shown.Reasons)
		}
		if !slices.ContainsFunc(shown.Models, func(row []string) bool { return strings.HasPrefix(row[0], title) }) {
			t.Errorf("no model has the version %q", title)
		}
	}
	checkHarmless(t, shown)
	b.screenshot(t, "hostile-1400")
	fitsAPhone(t, b, "hostile")
	b.silent(t, p.origin)
}
