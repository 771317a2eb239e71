package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func session(address string) (*gocql.Session, error) {
	cluster := gocql.NewCluster(address)
	cluster.Keyspace = keyspace
	cluster.Consistency = gocql.LocalQuorum
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	cluster.Timeout = 30 * time.Second
	return cluster.CreateSession()
}

// cassandraByHand writes events with so many statements under way as there are
// workers: a batch of each user's rows of a poll ("users"), or row by row ("rows").
func cassandraByHand(c *cli.Context) error {
	db, err := session(c.String("servers"))
	if err != nil {
		return err
	}
	defer db.Close()
	client, err := consumer(c, kgo.FetchMaxPartitionBytes(256<<10))
	if err != nil {
		return err
	}
	defer client.Close()
	w := &rowWriter{db: db, slots: make(chan struct{}, c.Int("workers"))}
	for done := 0; ; {
		fetches := client.PollRecords(c.Context, 10_000)
		if err := fetches.Err(); err != nil {
			return err
		}
		rows, err := readEvents(fetches.Records())
		if err != nil {
			return err
		}
		if c.String("variant") == "users" {
			w.byUser(rows)
		} else {
			w.byRow(rows)
		}
		w.group.Wait()
		if err := w.failed.Load(); err != nil {
			return *err
		}
		done += len(rows)
		fmt.Println(done)
	}
}

func readEvents(records []*kgo.Record) ([]ratings.Rating, error) {
	rows := make([]ratings.Rating, len(records))
	for i, r := range records {
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return nil, err
		}
		user, err1 := strconv.ParseInt(e.User, 10, 64)
		movie, err2 := strconv.ParseInt(e.Movie, 10, 64)
		value, err3 := strconv.ParseFloat(e.Value, 32)
		at, err4 := time.Parse(time.DateTime, e.Timestamp)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		rows[i] = ratings.Rating{User: user, Movie: movie, Value: float32(value), Time: at.UnixMilli()}
	}
	return rows, nil
}

type rowWriter struct {
	db     *gocql.Session
	slots  chan struct{}
	group  sync.WaitGroup
	failed atomic.Pointer[error]
}

const insertRating = "INSERT INTO ratings (user_id, movie_id, rating, timestamp) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"

func (w *rowWriter) do(write func() error) {
	w.slots <- struct{}{}
	w.group.Go(func() {
		defer func() { <-w.slots }()
		if err := write(); err != nil {
			w.failed.Store(&err)
		}
	})
}

func (w *rowWriter) byUser(rows []ratings.Rating) {
	users := map[int64][]ratings.Rating{}
	for _, r := range rows {
		users[r.User] = append(users[r.User], r)
	}
	for _, rows := range users {
		w.do(func() error {
			batch := w.db.Batch(gocql.UnloggedBatch)
			for _, r := range rows {
				batch.Query(insertRating, r.User, r.Movie, r.Value, time.UnixMilli(r.Time), r.Time*1000)
			}
			return batch.Exec()
		})
	}
}

func (w *rowWriter) byRow(rows []ratings.Rating) {
	for _, r := range rows {
		w.do(func() error {
			return w.db.Query(insertRating, r.User, r.Movie, r.Value, time.UnixMilli(r.Time), r.Time*1000).Exec()
		})
	}
}

// scanByHand reads all ratings by token ranges and returns how many there are.
func scanByHand(ctx context.Context, address string, ranges, workers int) (int, error) {
	db, err := session(address)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var total atomic.Int64
	var failed atomic.Pointer[error]
	work := make(chan int, ranges)
	for i := range ranges {
		work <- i
	}
	close(work)
	width := uint64(math.MaxUint64) / uint64(ranges)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range work {
				from := int64(uint64(i)*width + 1<<63)
				to := int64(uint64(i+1)*width + 1<<63)
				if i == ranges-1 {
					to = math.MaxInt64
				}
				n, err := scanRange(ctx, db, from, to)
				if err != nil {
					failed.Store(&err)
				}
				total.Add(int64(n))
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return int(total.Load()), nil
}

func scanRange(ctx context.Context, db *gocql.Session, from, to int64) (int, error) {
	iter := db.Query("SELECT user_id, movie_id, rating, timestamp FROM ratings WHERE token(user_id) > ? AND token(user_id) <= ?", from, to).
		PageSize(10_000).IterContext(ctx)
	var rows []ratings.Rating
	var row ratings.Rating
	var at time.Time
	for iter.Scan(&row.User, &row.Movie, &row.Value, &at) {
		row.Time = at.UnixMilli()
		rows = append(rows, row)
	}
	return len(rows), iter.Close()
}
