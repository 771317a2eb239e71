//go:build cluster

package cassandra

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Run with RECSYS_BENCH=1, which starts a JVM that runs fast:
//
//	RECSYS_BENCH=1 go test -tags cluster -run '^$' -bench . -benchtime 3s -count 3 ./plugins/cassandra

// benchRows is 2,000 ratings for one Apply: of few users, as in an import, or of
// many, as in a live stream.
func benchRows(users, from int) []ratings.Rating {
	rows := make([]ratings.Rating, 2000)
	for i := range rows {
		rows[i] = ratings.Rating{User: int64(from + i*users/len(rows)), Movie: rand.Int64N(10_000), Value: 3.5, Time: 1_700_000_000_000 + int64(i)}
	}
	return rows
}

// writers is how many Applys, or loops by hand, are under way in benchmarks.
const writers = 4

func benchApply(b *testing.B, users int) {
	store := openStore(b, newKeyspace(b, sharedNode(b)), StoreOptions{})
	var next atomic.Int64
	b.SetParallelism(writers / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rows := benchRows(users, int(next.Add(int64(users))))
			if err := store.Apply(b.Context(), ratings.Changes{Ratings: rows}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkApplyHistories(b *testing.B) { benchApply(b, 20) }
func BenchmarkApplyStream(b *testing.B)    { benchApply(b, 1500) }

// benchByHand is the best loop by hand: batches of one user's rows with the
// driver's own conversion, or with one row each plain queries.
func benchByHand(b *testing.B, users, concurrency int) {
	session := sessionOf(b, newKeyspace(b, sharedNode(b)))
	const insert = "INSERT INTO ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
	slots := make(chan struct{}, concurrency)
	var next atomic.Int64
	b.SetParallelism(writers / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			byUser := map[int64][]ratings.Rating{}
			for _, r := range benchRows(users, int(next.Add(int64(users)))) {
				byUser[r.User] = append(byUser[r.User], r)
			}
			var group sync.WaitGroup
			for _, rows := range byUser {
				slots <- struct{}{}
				group.Go(func() {
					defer func() { <-slots }()
					batch := session.Batch(gocql.UnloggedBatch)
					for _, r := range rows {
						batch.Query(insert, r.User, r.Movie, r.Value, time.UnixMilli(r.Time), r.Time*1000)
					}
					if err := batch.Exec(); err != nil {
						b.Error(err)
					}
				})
			}
			group.Wait()
		}
	})
	b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkHandWrittenAsyncHistories(b *testing.B) { benchByHand(b, 20, 8) }
func BenchmarkHandWrittenAsyncStream(b *testing.B)    { benchByHand(b, 1500, 256) }

// scanned is the table of the scan benchmarks.
var scanned struct {
	once     sync.Once
	settings Settings
	rows     int
}

func scanTable(b *testing.B) Settings {
	b.Helper()
	scanned.once.Do(func() {
		scanned.settings = newKeyspace(b, sharedNode(b))
		store := openStore(b, scanned.settings, StoreOptions{})
		for batch := range 100 {
			rows := make([]ratings.Rating, 5000)
			for i := range rows {
				rows[i] = ratings.Rating{User: int64(batch*40 + i/125), Movie: int64(i % 125), Value: 3.5, Time: 1_700_000_000_000}
			}
			if err := store.Apply(b.Context(), ratings.Changes{Ratings: rows}); err != nil {
				b.Fatal(err)
			}
			scanned.rows += len(rows)
		}
	})
	if scanned.rows != 500_000 {
		b.Fatal("the table is not whole")
	}
	return scanned.settings
}

func BenchmarkScan(b *testing.B) {
	store := openStore(b, scanTable(b), StoreOptions{})
	for b.Loop() {
		n := 0
		err := store.Scan(b.Context(), func(page []ratings.Rating) error {
			n += len(page)
			return nil
		})
		if err != nil || n != scanned.rows {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(scanned.rows)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkHandWrittenScan is 16 token ranges by 4 workers, paged by the driver.
func BenchmarkHandWrittenScan(b *testing.B) {
	session := sessionOf(b, scanTable(b))
	ranges := splitRing(nil, 16)
	for b.Loop() {
		var total atomic.Int64
		work := make(chan tokenRange, len(ranges))
		for _, r := range ranges {
			work <- r
		}
		close(work)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				var rows []ratings.Rating
				for r := range work {
					iter := session.Query("SELECT user_id, movie_id, rating, timestamp FROM ratings WHERE token(user_id) > ? AND token(user_id) <= ?", r.from, r.to).Iter()
					var row ratings.Rating
					var at time.Time
					for rows = rows[:0]; iter.Scan(&row.User, &row.Movie, &row.Value, &at); {
						row.Time = at.UnixMilli()
						rows = append(rows, row)
					}
					if err := iter.Close(); err != nil {
						b.Error(err)
					}
					total.Add(int64(len(rows)))
				}
			})
		}
		group.Wait()
		if int(total.Load()) != scanned.rows {
			b.Fatal(total.Load())
		}
	}
	b.ReportMetric(float64(b.N)*float64(scanned.rows)/b.Elapsed().Seconds(), "rows/s")
}
