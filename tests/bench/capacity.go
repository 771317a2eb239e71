package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// What capacityTable fills memory with.
const (
	capacityUsers  = 400_000
	capacityMovies = 20_000
	capacityRated  = 50 // ratings of each user that is remembered
)

// capacityTable measures what the formulas of docs/capacity.md are made of: the memory
// that users, movies and ratings take in a process that predicts.
func capacityTable(_ context.Context, b *bench) (table, error) {
	var rows []row
	for _, of := range []struct {
		what          string
		rank, head    int
		bayesian      bool
		bytesExpected float64 // 4 bytes for each number, 8 for the id
	}{
		{"als, rank 16, no head that ranks", 16, 0, false, 8 + 4*(16+1+1)},
		{"als, rank 64, with a head that ranks of rank 64", 64, 64, false, 8 + 4*(64+64+1+1)},
		{"als_vb, rank 15 (the default), with a head that ranks of rank 64", 15, 64, true, 8 + 4*(15+64+1+1+1+136)},
	} {
		size, held, err := modelBytes(of.rank, of.head, of.bayesian)
		if err != nil {
			return table{}, err
		}
		rows = append(rows,
			row{what: "file: " + of.what, unit: "bytes a user", ours: repeated(size, b.rounds), yardstick: repeated(of.bytesExpected, b.rounds), floor: 1.05, less: true},
			row{what: "in memory: " + of.what, unit: "bytes a user", ours: repeated(held, b.rounds)})
	}
	user, rating := rememberedBytes()
	rows = append(rows,
		row{what: "users whose ratings are remembered, the first rating", unit: "bytes a user", ours: repeated(user, b.rounds)},
		row{what: "each further rating", unit: "bytes a rating", ours: repeated(rating, b.rounds)})
	note := fmt.Sprintf("once, in this process: %d users, %d movies; bytes that are in use after a collection. The yardstick is counted by hand", capacityUsers, capacityMovies)
	return table{note: note, rows: rows}, nil
}

// modelBytes returns what a user adds to the file of a model, and to the memory of who
// has loaded it: a model of all users less one of half of them.
func modelBytes(rank, head int, bayesian bool) (file, memory float64, err error) {
	var sizes, held [2]float64
	for i, users := range []int{capacityUsers / 2, capacityUsers} {
		var text bytes.Buffer
		m, err := model.New(randomFactors(users, rank, head, bayesian), model.MovieLensScale)
		if err != nil {
			return 0, 0, err
		}
		if _, err := m.WriteTo(&text); err != nil {
			return 0, 0, err
		}
		data := bytes.Clone(text.Bytes())
		sizes[i] = float64(len(data))
		m, text = nil, bytes.Buffer{}
		before := inUse() - sizes[i]
		loaded, err := model.Decode(data)
		if err != nil {
			return 0, 0, err
		}
		loaded.Predict(1, 1)
		data = nil
		held[i] = inUse() - before
		runtime.KeepAlive(loaded)
		runtime.KeepAlive(m)
	}
	const more = capacityUsers - capacityUsers/2
	return (sizes[1] - sizes[0]) / more, (held[1] - held[0]) / more, nil
}

// randomFactors are those of users 0, 1, … and all movies.
func randomFactors(users, rank, head int, bayesian bool) *als.Factors {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(r.NormFloat64()) / 8
		}
		return values
	}
	ids := func(n int) []int64 {
		values := make([]int64, n)
		for i := range values {
			values[i] = int64(i)
		}
		return values
	}
	f := &als.Factors{
		Rank: rank, Mean: 3.5, Lambda: 1, Nu: .5,
		Users: ids(users), UserBias: numbers(users), UserFactors: numbers(users * rank), UserCounts: make([]int32, users),
		Movies: ids(capacityMovies), MovieBias: numbers(capacityMovies), MovieFactors: numbers(capacityMovies * rank), MovieCounts: make([]int32, capacityMovies),
	}
	if head > 0 {
		f.Preference = &als.Preference{Rank: head, UserFactors: numbers(users * head), MovieFactors: numbers(capacityMovies * head), Alpha: 1, Lambda: 1}
	}
	if bayesian {
		size := als.Triangle(rank + 1)
		identity := make([]float32, size)
		for i, k := 0, 0; i <= rank; i++ {
			k += i + 1
			identity[k-1] = 1
		}
		covariances := func(n int) []float32 {
			values := make([]float32, 0, n*size)
			for range n {
				values = append(values, identity...)
			}
			return values
		}
		ones := make([]float32, users)
		for i := range ones {
			ones[i] = 1
		}
		f.Posterior = &als.Posterior{
			Alpha: 1, Freedom: 4, UserWeight: ones, UserCovariance: covariances(users), MovieCovariance: covariances(capacityMovies),
			UserPrecision: identity, MoviePrecision: identity,
		}
	}
	return f
}

// rememberedBytes returns what a process keeps of a user with one rating, and of each
// further one.
func rememberedBytes() (user, rating float64) {
	before := inUse()
	users := model.NewUsers()
	learn := func(from, to int) {
		for u := range int64(capacityUsers) {
			for k := from; k < to; k++ {
				users.Learn(ratings.Rating{User: u, Movie: int64(k), Value: 4, Time: int64(k)})
			}
		}
	}
	learn(0, 1)
	one := inUse()
	learn(1, capacityRated)
	all := inUse()
	runtime.KeepAlive(users)
	return (one - before) / capacityUsers, (all - one) / capacityUsers / (capacityRated - 1)
}

// inUse is the heap after a collection, in bytes.
func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
