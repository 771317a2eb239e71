package e2e

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// played is one event of the data, in the order in which it is played.
type played struct {
	user, movie, time int64
	value             float32
	tag               string
}

// timeline returns all events of the data in the order of the simulation.
func timeline(t testing.TB, data string) []played {
	t.Helper()
	rated, err := ratings.ReadRatings(data)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := ratings.ReadTags(data)
	if err != nil {
		t.Fatal(err)
	}
	var all []played
	for _, r := range rated {
		all = append(all, played{user: r.User, movie: r.Movie, time: r.Time, value: r.Value})
	}
	for _, g := range tags {
		all = append(all, played{user: g.User, movie: g.Movie, time: g.Time, tag: g.Tag})
	}
	slices.SortStableFunc(all, func(a, b played) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.user, b.user), cmp.Compare(a.movie, b.movie), cmp.Compare(a.tag, b.tag))
	})
	return all
}

// ratingRows is what the rating store's table ratings holds once the events are
// stored: of each pair the newest rating, on equal time the greater.
func ratingRows(events []played) []string {
	newest := map[[2]int64]played{}
	for _, e := range events {
		pair := [2]int64{e.user, e.movie}
		if old, ok := newest[pair]; e.tag == "" && (!ok || e.time > old.time || e.time == old.time && e.value > old.value) {
			newest[pair] = e
		}
	}
	var found []string
	for _, e := range newest {
		found = append(found, fmt.Sprintf("%d|%d|%v|%d", e.user, e.movie, e.value, e.time))
	}
	slices.Sort(found)
	return found
}

// liveRequests is the ids of the requests of events[history:next].
func liveRequests(events []played, history, next int) []string {
	var ids []string
	for i := history; i < next; i++ {
		if events[i].tag == "" {
			ids = append(ids, "movielens-"+strconv.Itoa(i))
		}
	}
	slices.Sort(ids)
	return ids
}

// smallData is a copy of the data with the ratings and tags of users up to
// maxUser only.
func smallData(t testing.TB, data string, maxUser int) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "ml-small")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ratings.csv", "tags.csv", "movies.csv", "links.csv"} {
		source, err := os.Open(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		var kept strings.Builder
		for lines := bufio.NewScanner(source); lines.Scan(); {
			user, _, _ := strings.Cut(lines.Text(), ",")
			id, err := strconv.Atoi(user)
			if err != nil || id <= maxUser || name == "movies.csv" || name == "links.csv" {
				kept.WriteString(lines.Text() + "\n")
			}
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(kept.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// withoutGenres is the movies of which the data say that no genre is known.
func withoutGenres(t testing.TB, data string) map[int64]bool {
	t.Helper()
	movies, err := ratings.ReadMovies(data)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int64]bool{}
	for _, m := range movies {
		if len(m.Genres) == 0 {
			found[m.ID] = true
		}
	}
	return found
}
