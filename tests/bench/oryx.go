package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// What Oryx 2 publishes: 70 queries a second of a million items with 50 features,
// exactly (its LSH off), on 32 cores.
const (
	oryxItems    = 1_000_000
	oryxFeatures = 50
	oryxUsers    = 1000
	oryxQueries  = 2.19 // a second and core
)

// oryxTable asks for the best ten of a million movies. Factors are independent
// normals, which is the worst for whoever looks at the longest vectors first.
func oryxTable(ctx context.Context, b *bench) (table, error) {
	m, err := millionMovies()
	if err != nil {
		return table{}, err
	}
	of := model.Recommender{Version: &model.Version{Model: m}}
	ask := func(user int64) { of.Recommend(&model.Query{User: user, N: 10, Popularity: 0}) }
	ask(0) // makes what lists are made with
	var alone, together []float64
	for round := range b.rounds {
		one, err := queriesPerCore(ctx, 1, b.duration, ask)
		if err != nil {
			return table{}, err
		}
		many, err := queriesPerCore(ctx, 16, b.duration, ask)
		if err != nil {
			return table{}, err
		}
		alone, together = append(alone, one), append(together, many)
		progressf("round %d: %s queries per core-second alone, %s by 16 at once", round+1, digits(one), digits(many))
	}
	published := repeated(oryxQueries, b.rounds)
	note := fmt.Sprintf("for %s each: top 10 of %d movies with %d factors, exactly, in this process; CPU is what the process used, garbage collection included. Oryx's figure is its own, of another machine", b.duration, oryxItems, oryxFeatures)
	return table{note: note, rows: []row{
		{what: "one request after the other, against Oryx's 2.19", unit: "queries per core-second", ours: alone, yardstick: published, floor: 50},
		{what: "16 requests at once, against Oryx's 2.19", unit: "queries per core-second", ours: together, yardstick: published, floor: 100, aim: 300},
	}}, nil
}

func millionMovies() (*model.Model, error) {
	r := rand.New(rand.NewPCG(1, 2))
	normals := func(n int) []float32 {
		values := make([]float32, n)
		for k := range values {
			values[k] = float32(r.NormFloat64())
		}
		return values
	}
	ids := func(n int) []int64 {
		ids := make([]int64, n)
		for k := range ids {
			ids[k] = int64(k)
		}
		return ids
	}
	return model.New(&als.Factors{
		Rank: oryxFeatures, Mean: 3, Users: ids(oryxUsers), Movies: ids(oryxItems),
		UserBias: make([]float32, oryxUsers), MovieBias: make([]float32, oryxItems),
		UserFactors: normals(oryxUsers * oryxFeatures), MovieFactors: normals(oryxItems * oryxFeatures),
		UserCounts: make([]int32, oryxUsers), MovieCounts: make([]int32, oryxItems), Lambda: 1, Nu: 0.5,
	}, model.MovieLensScale)
}

// queriesPerCore asks from so many goroutines for a while, and returns how many
// queries a second of processor time answered.
func queriesPerCore(ctx context.Context, askers int, duration time.Duration, ask func(user int64)) (float64, error) {
	runtime.GC()
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var asked atomic.Int64
	var group sync.WaitGroup
	before, err := ownCPU()
	if err != nil {
		return 0, err
	}
	for range askers {
		group.Go(func() {
			for ctx.Err() == nil {
				ask(asked.Add(1) % oryxUsers)
			}
		})
	}
	group.Wait()
	after, err := ownCPU()
	return float64(asked.Load()) / (after - before).Seconds(), err
}

func ownCPU() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
