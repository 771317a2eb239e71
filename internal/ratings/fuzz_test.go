package ratings_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// FuzzReaders gives any bytes to all readers of MovieLens's formats: what they take
// for ratings are ratings.
func FuzzReaders(f *testing.F) {
	for _, seed := range []string{csvRatings, datRatings, tabRatings, csvMovies, csvTags, csvLinks, "", "\"", "1|2|3|4|5|6", "1::", "\xef\xbb\xbf1,2,3", "PK\x03\x04", "\x1f\x8b"} {
		f.Add([]byte(seed))
	}
	f.Add([]byte(zipped(f, files{"ratings.csv": csvRatings})))
	f.Add([]byte(gzipped(f, csvMovies)))
	path := filepath.Join(f.TempDir(), "data")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		rated, err := ratings.ReadRatings(path)
		for _, r := range rated {
			if err == nil && (r.User < 0 || r.Movie < 0 || math.IsNaN(float64(r.Value)) || math.IsInf(float64(r.Value), 0)) {
				t.Fatalf("%q is read as the rating %+v", content, r)
			}
		}
		_, _ = ratings.ReadMovies(path)
		_, _ = ratings.ReadTags(path)
		_, _ = ratings.ReadLinks(path)
	})
}

// FuzzStates gives any text as what stores keep of a movie and a user: what is read
// is written as what is read again.
func FuzzStates(f *testing.F) {
	f.Add(`{"title":"x","genres":["a"],"hidden":true,"labels":"{}","added_at":1,"timestamp":2}`)
	f.Add(`{"labels":"[]","comment":"c","timestamp":-1}`)
	f.Fuzz(func(t *testing.T, state string) {
		if item, err := ratings.ParseItem(5, state); err == nil {
			again, err := ratings.ParseItem(5, item.State())
			if err != nil || again.State() != item.State() || item.Newer(again) {
				t.Errorf("%q is %+v and then %+v, %v", state, item, again, err)
			}
		}
		if profile, err := ratings.ParseProfile(5, state); err == nil {
			again, err := ratings.ParseProfile(5, profile.State())
			if err != nil || again != profile && again.State() != profile.State() {
				t.Errorf("%q is %+v and then %+v, %v", state, profile, again, err)
			}
		}
	})
}
