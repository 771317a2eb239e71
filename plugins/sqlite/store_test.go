package sqlite

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := OpenStore(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func apply(t testing.TB, s *Store, changes ...ratings.Changes) {
	t.Helper()
	for _, c := range changes {
		if err := s.Apply(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t testing.TB, s *Store) []ratings.Rating {
	t.Helper()
	var all []ratings.Rating
	err := s.Scan(context.Background(), func(batch []ratings.Rating) error {
		all = append(all, batch...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func revision(t testing.TB, s *Store) int64 {
	t.Helper()
	n, err := s.Revision(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rated(rs ...ratings.Rating) ratings.Changes { return ratings.Changes{Ratings: rs} }

func TestRevisionCountsRatingsReallyChanged(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "new", "folder", "r.db"))
	for _, step := range []struct {
		name string
		do   ratings.Changes
		want int64
	}{
		{"nothing", ratings.Changes{}, 0},
		{"two new ratings", rated(ratings.Rating{User: 1, Movie: 1, Value: 3, Time: 10}, ratings.Rating{User: 1, Movie: 2, Value: 4, Time: 10}), 2},
		{"the same again", rated(ratings.Rating{User: 1, Movie: 1, Value: 3, Time: 10}), 2},
		{"an older one", rated(ratings.Rating{User: 1, Movie: 1, Value: 5, Time: 9}), 2},
		{"equal time, lesser value", rated(ratings.Rating{User: 1, Movie: 1, Value: 2.5, Time: 10}), 2},
		{"equal time, greater value", rated(ratings.Rating{User: 1, Movie: 1, Value: 3.5, Time: 10}), 3},
		{"a newer, lesser one", rated(ratings.Rating{User: 1, Movie: 1, Value: 0.5, Time: 11}), 4},
		{"one pair twice at once", rated(ratings.Rating{User: 2, Movie: 1, Value: 1, Time: 2}, ratings.Rating{User: 2, Movie: 1, Value: 5, Time: 1}), 5},
		{"an unrate older than the rating", ratings.Changes{Unrated: []ratings.Unrated{{User: 1, Movie: 1, Time: 10}}}, 5},
		{"an unrate at the rating's time", ratings.Changes{Unrated: []ratings.Unrated{{User: 1, Movie: 1, Time: 11}}}, 6},
		{"a rating at the unrate's time", rated(ratings.Rating{User: 1, Movie: 1, Value: 5, Time: 11}), 6},
		{"a rating newer than the unrate", rated(ratings.Rating{User: 1, Movie: 1, Value: 5, Time: 12}), 7},
		{"a forgotten user", ratings.Changes{Forgotten: []ratings.Forgotten{{User: 1, Time: 12}}}, 9},
		{"a rating of before the forgetting", rated(ratings.Rating{User: 1, Movie: 7, Value: 5, Time: 12}), 9},
		{"a rating of after the forgetting", rated(ratings.Rating{User: 1, Movie: 7, Value: 5, Time: 13}), 10},
	} {
		apply(t, s, step.do)
		if got := revision(t, s); got != step.want {
			t.Fatalf("after %s: revision %d, want %d", step.name, got, step.want)
		}
	}
	want := []ratings.Rating{{User: 1, Movie: 7, Value: 5, Time: 13}, {User: 2, Movie: 1, Value: 1, Time: 2}}
	if got := content(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("content %v, want %v", got, want)
	}
}

// randomChanges gives changes of few users, movies and times, so that most of
// them meet another on the same pair.
func randomChanges(rng *rand.Rand, n int) []ratings.Changes {
	all := make([]ratings.Changes, n)
	for i := range all {
		user, movie, at := rng.Int64N(4), rng.Int64N(5), rng.Int64N(20)
		switch k := rng.IntN(20); {
		case k < 12:
			all[i].Ratings = []ratings.Rating{{User: user, Movie: movie, Value: float32(1+rng.IntN(10)) / 2, Time: at}}
		case k < 14:
			all[i].Tags = []ratings.Tag{{User: user, Movie: movie, Tag: "a", Time: at}}
		case k < 16:
			all[i].Views = []ratings.View{{User: user, Movie: movie, Time: at}}
		case k < 19:
			all[i].Unrated = []ratings.Unrated{{User: user, Movie: movie, Time: at}}
		default:
			all[i].Forgotten = []ratings.Forgotten{{User: user, Time: at / 2}}
		}
	}
	return all
}

func dump(t *testing.T, s *Store) map[string][][3]any {
	t.Helper()
	out := map[string][][3]any{}
	for name, query := range map[string]string{
		"ratings":   "SELECT user_id || ',' || movie_id, rating, timestamp FROM ratings ORDER BY user_id, movie_id",
		"tags":      "SELECT user_id || ',' || movie_id, tag, timestamp FROM tags ORDER BY user_id, movie_id, tag",
		"views":     "SELECT user_id || ',' || movie_id, 0, timestamp FROM views ORDER BY user_id, movie_id, timestamp",
		"forgotten": "SELECT user_id, 0, timestamp FROM forgotten ORDER BY user_id",
	} {
		rows, err := s.reader.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var r [3]any
			if err := rows.Scan(&r[0], &r[1], &r[2]); err != nil {
				t.Fatal(err)
			}
			out[name] = append(out[name], r)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestAnyOrderAndAnyBatchingGivesTheSameContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	changes := randomChanges(rng, 150)
	first := openStore(t, filepath.Join(t.TempDir(), "first.db"))
	apply(t, first, changes...)
	want := dump(t, first)
	for range 4 {
		again := append(append([]ratings.Changes(nil), changes...), changes[:50]...)
		rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		other := openStore(t, filepath.Join(t.TempDir(), "other.db"))
		for len(again) > 0 {
			var one ratings.Changes
			n := min(1+rng.IntN(30), len(again))
			for _, c := range again[:n] {
				one.Ratings = append(one.Ratings, c.Ratings...)
				one.Tags = append(one.Tags, c.Tags...)
				one.Views = append(one.Views, c.Views...)
				one.Unrated = append(one.Unrated, c.Unrated...)
				one.Forgotten = append(one.Forgotten, c.Forgotten...)
			}
			apply(t, other, one)
			again = again[n:]
		}
		if got := dump(t, other); !reflect.DeepEqual(got, want) {
			t.Fatalf("content depends on the order:\n got %v\nwant %v", got, want)
		}
	}
}

func TestAStoreOpenedAgainHasItsContentAndRevision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%.db")
	s := openStore(t, path)
	apply(t, s, rated(ratings.Rating{User: -1, Movie: 1 << 60, Value: 4.5, Time: -5}))
	want := content(t, s)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Revision(context.Background()); !errors.Is(err, ratings.ErrClosed) {
		t.Errorf("a closed store answers %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	s = openStore(t, path)
	if got := content(t, s); !reflect.DeepEqual(got, want) || len(got) != 1 {
		t.Errorf("content %v, want %v", got, want)
	}
	if got := revision(t, s); got != 1 {
		t.Errorf("revision %d, want 1", got)
	}
}

func TestTwoStoresOfOneProcessShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	stores := []*Store{openStore(t, path), openStore(t, path)}
	var writers sync.WaitGroup
	for n, s := range stores {
		writers.Go(func() {
			for i := range int64(100) {
				c := rated(ratings.Rating{User: int64(n), Movie: i, Value: 3, Time: 1})
				for err := s.Apply(context.Background(), c); err != nil; err = s.Apply(context.Background(), c) {
					if !errors.Is(err, ratings.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	for _, s := range stores {
		if got := revision(t, s); got != 200 {
			t.Errorf("revision %d, want 200", got)
		}
	}
}

func TestALockedStoreIsUnavailableAndWritesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	s, other := openStore(t, path), openStore(t, path)
	apply(t, s, rated(ratings.Rating{User: 1, Movie: 1, Value: 3, Time: 1}))
	lock, err := other.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	change := rated(ratings.Rating{User: 1, Movie: 2, Value: 3, Time: 1})
	if err := s.Apply(context.Background(), change); !errors.Is(err, ratings.ErrUnavailable) {
		t.Errorf("a locked store answers %v", err)
	}
	if got := content(t, s); len(got) != 1 {
		t.Errorf("while another writes, a reader sees %v", got)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	apply(t, s, change)
}

func TestAFullDiskIsUnavailableAndChangesNothing(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "r.db"))
	if _, err := s.writer.Exec("PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	many := make([]ratings.Rating, 10_000)
	for i := range many {
		many[i] = ratings.Rating{User: int64(i), Movie: 1, Value: 3, Time: 1}
	}
	if err := s.Apply(context.Background(), rated(many...)); !errors.Is(err, ratings.ErrUnavailable) {
		t.Errorf("a full disk answers %v", err)
	}
	if got := content(t, s); len(got) != 0 || revision(t, s) != 0 {
		t.Errorf("%d ratings are left of a failed change", len(got))
	}
	apply(t, s, rated(many[:10]...))
}

func TestScanStopsAtTheFirstErrorAndAtTheEndOfItsContext(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "r.db"))
	many := make([]ratings.Rating, 2*scanBatch+1)
	for i := range many {
		many[i] = ratings.Rating{User: int64(i), Movie: 1, Value: 3, Time: 1}
	}
	apply(t, s, rated(many...))
	if got := content(t, s); !reflect.DeepEqual(got, many) {
		t.Errorf("%d ratings scanned, want %d", len(got), len(many))
	}
	stop := errors.New("enough")
	if err := s.Scan(context.Background(), func([]ratings.Rating) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of fn", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	err := s.Scan(ctx, func([]ratings.Rating) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("a cancelled scan gave %d batches and %v", calls, err)
	}
}

func TestFilesThatAreNoStoreAreRefused(t *testing.T) {
	for name, build := range map[string]func(t *testing.T, path string){
		"a text file": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another program's database": func(t *testing.T, path string) { execFile(t, path, "CREATE TABLE ratings (a, b)") },
		"a newer release's store": func(t *testing.T, path string) {
			execFile(t, path, "CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('schema_version', 99)")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.db")
			build(t, path)
			_, err := OpenStore(context.Background(), path)
			if !errors.Is(err, ErrNotDatabase) {
				t.Fatalf("got %v", err)
			}
			for _, part := range []string{path, "set path to another file"} {
				if !contains(err, part) {
					t.Errorf("error %q does not name %q", err, part)
				}
			}
		})
	}
}

// BenchmarkApply writes newer and older ratings of 100,000 pairs in any order.
func BenchmarkApply(b *testing.B) {
	s := openStore(b, filepath.Join(b.TempDir(), "r.db"))
	rng := rand.New(rand.NewPCG(1, 2))
	batch := make([]ratings.Rating, 500)
	for b.Loop() {
		for i := range batch {
			batch[i] = ratings.Rating{User: rng.Int64N(600), Movie: rng.Int64N(167), Value: 3.5, Time: rng.Int64N(1 << 40)}
		}
		apply(b, s, rated(batch...))
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "ratings/s")
}

// BenchmarkApplyInOrder writes as a history does: user by user, all of it new.
func BenchmarkApplyInOrder(b *testing.B) {
	s := openStore(b, filepath.Join(b.TempDir(), "r.db"))
	batch := make([]ratings.Rating, 500)
	next := int64(0)
	for b.Loop() {
		for i := range batch {
			next++
			batch[i] = ratings.Rating{User: next / 150, Movie: next % 150, Value: 3.5, Time: next}
		}
		apply(b, s, rated(batch...))
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "ratings/s")
}

func BenchmarkScan(b *testing.B) {
	s := openStore(b, filepath.Join(b.TempDir(), "r.db"))
	const n = 100_000
	batch := make([]ratings.Rating, n)
	for i := range batch {
		batch[i] = ratings.Rating{User: int64(i / 150), Movie: int64(i % 150), Value: 3.5, Time: int64(i)}
	}
	apply(b, s, rated(batch...))
	for b.Loop() {
		if got := content(b, s); len(got) != n {
			b.Fatal(len(got))
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "ratings/s")
}

func TestTheStoreKeepsTheContractOfRatingStores(t *testing.T) {
	recsystest.StoreContract(t, func(t *testing.T) ratings.Store {
		return openStore(t, filepath.Join(t.TempDir(), "r.db"))
	})
}
