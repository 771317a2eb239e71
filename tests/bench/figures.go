package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/kernel"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// within is a row of which ours alone is judged; less is better.
func within(what, unit string, ours []float64, floor, aim float64) row {
	return row{what: what, unit: unit, ours: ours, floor: floor, aim: aim, less: true}
}

// repeat measures as often as there are rounds.
func (b *bench) repeat(measure func() (float64, error)) ([]float64, error) {
	var all []float64
	for range b.rounds {
		value, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

// engineTable has the engine's figures that stand alone.
func engineTable(ctx context.Context, b *bench) (table, error) {
	e, err := b.openEngine()
	if err != nil {
		return table{}, err
	}
	var t table
	for _, add := range []func(context.Context, *engine, *table) error{
		bayesRows, peakRows, largeRows, endToEndRows, servingRows,
	} {
		if err := add(ctx, e, &t); err != nil {
			return table{}, err
		}
	}
	t.note = "with kernel " + kernel.Name()
	return t, nil
}

// bayesRows compare a sweep of the sampler with an iteration of als.
func bayesRows(ctx context.Context, e *engine, t *table) error {
	const rank = 31
	sweeps := func(ctx context.Context) ([]float64, error) {
		return e.iterations(ctx, func(ctx context.Context, progress func(als.Progress)) error {
			p := als.DefaultParameters(als.Bayes)
			p.Rank, p.Iterations, p.BurnIn, p.Preference = rank, trainIterations, 0, nil
			_, err := als.Train(ctx, e.matrix, p, progress)
			return err
		})
	}
	sampler, plain := &timed{run: sweeps}, &timed{run: func(ctx context.Context) ([]float64, error) { return e.explicit(ctx, rank) }}
	if err := e.b.timeInTurns(ctx, sampler, plain); err != nil {
		return err
	}
	whole, err := e.b.repeat(func() (float64, error) {
		began := time.Now()
		p := als.DefaultParameters(als.Bayes)
		p.Rank, p.Iterations, p.BurnIn, p.Preference = rank, 80, 20, nil
		_, err := als.Train(ctx, e.matrix, p, nil)
		return time.Since(began).Seconds(), err
	})
	t.rows = append(t.rows,
		row{what: "one sweep of als_bayes against one iteration of als, rank 31", unit: "ms", ours: sampler.rounds, yardstick: plain.rounds, floor: 1.6, less: true},
		within("als_bayes, MovieLens 1M shape, rank 31, 20 + 60 sweeps", "s", whole, 8, 0))
	return err
}

// peakRows compare the arithmetic of an iteration with what the cores can do at
// most, which a program in C++ measures.
func peakRows(ctx context.Context, e *engine, t *table) error {
	binary, err := e.compiled(ctx, "peak")
	if err != nil {
		return err
	}
	for _, c := range []struct {
		rank       int
		floor, aim float64
	}{{64, 0.6, 0.75}, {128, 0.75, 0.86}} {
		// Two half-steps: the upper triangle of the Gram matrix for each rating,
		// factors of the matrix for each row.
		n, d := float64(e.matrix.Len()), float64(c.rank)
		rows := float64(len(e.matrix.Users) + len(e.matrix.Movies))
		work := 2*n*d*(d+1) + rows*d*d*d/3
		ours := &timed{run: func(ctx context.Context) ([]float64, error) {
			took, err := e.explicit(ctx, c.rank)
			for k, ms := range took {
				took[k] = work / ms / 1e6
			}
			return took, err
		}}
		peak := &timed{run: func(ctx context.Context) ([]float64, error) {
			return e.peer(ctx, binary, strconv.Itoa(runtime.NumCPU()))
		}}
		if err := e.b.timeInTurns(ctx, ours, peak); err != nil {
			return err
		}
		t.rows = append(t.rows, row{
			what: fmt.Sprintf("share of float32 peak, rank %d", c.rank), unit: "GFLOP/s", ours: ours.rounds, yardstick: peak.rounds, floor: c.floor, aim: c.aim,
		})
	}
	return nil
}

// largeRows train on ratings of MovieLens 25M's shape.
func largeRows(ctx context.Context, e *engine, t *table) error {
	small := e.matrix
	defer func() { e.matrix = small }()
	large, err := recsystest.LongTailed(162_541, 59_047, 25_000_095, 1)
	if err != nil {
		return err
	}
	e.matrix = large
	big, err := e.b.repeat(func() (float64, error) {
		took, err := e.explicit(ctx, 64)
		return median(took) / 1000, err
	})
	if err != nil {
		return err
	}
	perRating := make([]float64, len(big))
	for k, seconds := range big {
		perRating[k] = seconds * 1e9 / float64(large.Len())
	}
	e.matrix = small
	one, err := e.b.repeat(func() (float64, error) {
		took, err := e.explicit(ctx, 64)
		return median(took) * 1e6 / float64(small.Len()), err
	})
	t.rows = append(t.rows,
		within("MovieLens 25M shape, rank 64, one iteration", "s", big, 1.9, 1.4),
		row{what: "time per rating, 25M against 1M, rank 64", unit: "ns", ours: perRating, yardstick: one, floor: 1.15, less: true})
	return err
}

// endToEndRows run the program as a user does.
func endToEndRows(ctx context.Context, e *engine, t *table) error {
	file := filepath.Join(e.b.data, "ratings.csv")
	whole, err := e.b.repeat(func() (float64, error) {
		began := time.Now()
		cmd := exec.CommandContext(ctx, e.b.binary, "eval", "--algorithm", als.ALS, "--ratings", file, "--preference-rank", "0", "--json")
		cmd.Stderr = os.Stderr
		_, err := cmd.Output()
		return time.Since(began).Seconds(), err
	})
	t.rows = append(t.rows, within("ml-latest-small end to end: start, read, train als, evaluate", "s", whole, 0.5, 0.25))
	return err
}

// served are the sizes of a model that serves.
const servedUsers, servedMovies, servedRank = 1000, 60_000, 64

// servedModel has normal factors and biases; those of movie k are divided by
// (k+1)^decay.
func servedModel(random *rand.Rand, decay float64) (*model.Model, error) {
	const users, movies, rank = servedUsers, servedMovies, servedRank
	normals := func(n int) []float32 {
		values := make([]float32, n)
		for k := range values {
			values[k] = float32(random.NormFloat64()) / 4
		}
		return values
	}
	ids := func(n int) []int64 {
		all := make([]int64, n)
		for k := range all {
			all[k] = int64(k + 1)
		}
		return all
	}
	f := &als.Factors{
		Rank: rank, Mean: 3, Users: ids(users), Movies: ids(movies), UserBias: normals(users), MovieBias: normals(movies),
		UserFactors: normals(users * rank), MovieFactors: normals(movies * rank),
		UserCounts: make([]int32, users), MovieCounts: make([]int32, movies), Lambda: 1.25, Nu: 0.5,
	}
	for i := range f.MovieBias {
		by := float32(math.Pow(float64(i+1), -decay))
		f.MovieBias[i] *= by
		for c := range rank {
			f.MovieFactors[i*rank+c] *= by
		}
	}
	return model.New(f, model.MovieLensScale)
}

// servingRows rank 60,000 movies and fold users in.
func servingRows(_ context.Context, e *engine, t *table) error {
	const users, movies, rank = servedUsers, servedMovies, servedRank
	random := rand.New(rand.NewPCG(1, 1))
	m, err := servedModel(random, 0)
	if err != nil {
		return err
	}
	skewed, err := servedModel(random, 0.5)
	if err != nil {
		return err
	}
	seen := map[int64]bool{}
	for len(seen) < 50 {
		seen[random.Int64N(movies)+1] = true
	}
	exclude := func(movie int64) bool { return seen[movie] }
	const lists = 2000
	rank10 := func(m *model.Model) ([]float64, error) {
		list := m.TopN(1, 10, exclude)
		return e.b.repeat(func() (float64, error) {
			began := time.Now()
			for k := range int64(lists) {
				list = m.AppendTopN(list[:0], k%users+1, 10, exclude)
			}
			return time.Since(began).Seconds() * 1e6 / lists, nil
		})
	}
	one, err := rank10(m)
	if err != nil {
		return err
	}
	few, err := rank10(skewed)
	if err != nil {
		return err
	}
	all, err := e.b.repeat(func() (float64, error) {
		began := time.Now()
		var group sync.WaitGroup
		for range runtime.NumCPU() {
			group.Go(func() {
				for k := range int64(lists) {
					m.TopN(k%users+1, 10, exclude)
				}
			})
		}
		group.Wait()
		return float64(runtime.NumCPU()) * lists / time.Since(began).Seconds(), nil
	})
	if err != nil {
		return err
	}
	folder := als.NewFolder(m.Factors())
	rows, values, x := make([]int32, 50), make([]float32, 50), make([]float32, rank)
	for k := range rows {
		rows[k], values[k] = random.Int32N(movies), float32(random.IntN(10)+1)/2
	}
	fold, err := e.b.repeat(func() (float64, error) {
		began := time.Now()
		for range 10 * lists {
			if _, err := folder.FoldIn(rows, values, x); err != nil {
				return 0, err
			}
		}
		return time.Since(began).Seconds() * 1e6 / (10 * lists), nil
	})
	t.rows = append(t.rows,
		within("exact top 10 of 60,000 movies, rank 64, 50 excluded, one user", "µs", one, 80, 70),
		within("the same, norms and biases of movie k divided by √k", "µs", few, 5, 5),
		row{what: "the same for all users, both cores, norms alike", unit: "users/s", ours: all, floor: 24_000, aim: 55_000},
		within("fold-in of 50 ratings, rank 64", "µs", fold, 8, 4))
	return err
}

// originalTable runs the original's training as its users did: start of the
// process, training on ml-latest-small, evaluation, saving.
func originalTable(ctx context.Context, b *bench) (table, error) {
	e, err := b.openEngine()
	if err != nil {
		return table{}, err
	}
	spark, err := servers.FetchSpark(ctx)
	if err != nil {
		return table{}, err
	}
	var ours, theirs []float64
	for round := range b.rounds {
		registry := filepath.Join(b.dir, "original-"+strconv.Itoa(round))
		began := time.Now()
		if err := b.run(ctx, b.binary, "train", "--algorithm", als.ALS, "--ratings", filepath.Join(b.data, "ratings.csv"), "--preference-rank", "0", "--registry", "file://"+registry); err != nil {
			return table{}, err
		}
		ours = append(ours, time.Since(began).Seconds())
		began = time.Now()
		cmd := exec.CommandContext(ctx, spark.Python, "original_train.py", filepath.Join(b.data, "ratings.csv"), filepath.Join(b.dir, "spark-model-"+strconv.Itoa(round)))
		cmd.Dir = e.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return table{}, fmt.Errorf("running the original's training: %w\n%s", err, lastLines(string(out), 20))
		}
		theirs = append(theirs, time.Since(began).Seconds())
	}
	return table{
		rows: []row{{what: "the original's training job, from process start to saved model", unit: "s", ours: ours, yardstick: theirs, floor: 1.0 / 40, aim: 1.0 / 80, less: true}},
		note: "its script trains on four fifths, evaluates, trains on all and saves, rank 10, 2 iterations; ours trains als of rank 64 in 10, evaluates on a holdout and publishes",
	}, nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
