package main

import (
	"bufio"
	"context"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

//go:embed peers
var peers embed.FS

const (
	engineIterations = 5  // of peers, that are timed in each round
	trainIterations  = 10 // of ours: as many as training takes, of which the last is in float32
)

// engine is what the tables of training share.
type engine struct {
	b      *bench
	dir    string // of the peers' programs
	matrix *ratings.Matrix
	file   string // the matrix, for the peers
}

// openEngine writes the peers' programs out and generates ratings of the shape
// of MovieLens 1M.
func (b *bench) openEngine() (*engine, error) {
	e := &engine{b: b, dir: filepath.Join(b.dir, "peers"), file: filepath.Join(b.dir, "ratings.bin")}
	if err := os.CopyFS(b.dir, peers); err != nil && !os.IsExist(err) {
		return nil, err
	}
	var err error
	if e.matrix, err = recsystest.LongTailed(6040, 3706, 1_000_209, 1); err != nil {
		return nil, err
	}
	return e, writeMatrix(e.file, e.matrix)
}

// writeMatrix writes what peers/matrix.h reads.
func writeMatrix(path string, m *ratings.Matrix) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	put := func(data any) {
		if err == nil {
			err = binary.Write(out, binary.LittleEndian, data)
		}
	}
	put([]int64{int64(len(m.Users)), int64(len(m.Movies)), int64(m.Len())})
	for _, side := range []struct {
		rows int
		of   func(int) ([]int32, []float32)
	}{{len(m.Users), m.User}, {len(m.Movies), m.Movie}} {
		starts := make([]int64, side.rows+1)
		for row := range side.rows {
			others, _ := side.of(row)
			starts[row+1] = starts[row] + int64(len(others))
		}
		put(starts)
		for row := range side.rows {
			others, _ := side.of(row)
			put(others)
		}
		for row := range side.rows {
			_, values := side.of(row)
			put(values)
		}
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

// iterations trains and returns the mean milliseconds of the iterations but the
// first.
func (e *engine) iterations(ctx context.Context, train func(context.Context, func(als.Progress)) error) ([]float64, error) {
	var first, last als.Progress
	err := train(ctx, func(p als.Progress) {
		if last = p; p.Iteration == 1 {
			first = p
		}
	})
	return []float64{(last.Elapsed - first.Elapsed).Seconds() * 1000 / float64(last.Iteration-first.Iteration)}, err
}

func (e *engine) explicit(ctx context.Context, rank int) ([]float64, error) {
	return e.iterations(ctx, func(ctx context.Context, progress func(als.Progress)) error {
		p := als.DefaultParameters(als.ALS)
		p.Rank, p.Iterations, p.Preference = rank, trainIterations, nil
		_, err := als.Train(ctx, e.matrix, p, progress)
		return err
	})
}

func (e *engine) implicit(ctx context.Context, rank int) ([]float64, error) {
	return e.iterations(ctx, func(ctx context.Context, progress func(als.Progress)) error {
		p := als.DefaultPreference()
		p.Rank, p.Iterations, p.CG = rank, trainIterations, 3
		_, err := als.TrainPreference(ctx, e.matrix, p, 1, 0, progress)
		return err
	})
}

// peer runs a program that prints the milliseconds of its iterations.
func (e *engine) peer(ctx context.Context, name string, args ...string) ([]float64, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s: %w\n%s", filepath.Base(name), err, errors.String())
	}
	var all []float64
	for line := range strings.Lines(string(out)) {
		value, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return nil, fmt.Errorf("running %s: %q is no number", filepath.Base(name), line)
		}
		all = append(all, value)
	}
	return all, nil
}

// compiled returns the peer written in C++ under this name.
func (e *engine) compiled(ctx context.Context, name string, flags ...string) (string, error) {
	binary := filepath.Join(e.dir, name)
	args := append([]string{"-O3", "-march=native", "-DNDEBUG", "-I/usr/include/eigen3", binary + ".cc", "-o", binary, "-pthread"}, flags...)
	if err := e.b.run(ctx, "g++", args...); err != nil {
		return "", fmt.Errorf("%w\ninstall it (Debian: apt-get install g++ libeigen3-dev libopenblas-dev)", err)
	}
	return binary, nil
}

// timed is a contender that is measured in turns with others.
type timed struct {
	run    func(context.Context) ([]float64, error) // milliseconds of iterations
	rounds []float64                                // medians
}

func (b *bench) timeInTurns(ctx context.Context, all ...*timed) error {
	for round := range b.rounds {
		for _, t := range all {
			took, err := t.run(ctx)
			if err != nil {
				return err
			}
			if len(took) == 0 {
				return io.ErrUnexpectedEOF
			}
			t.rounds = append(t.rounds, median(took))
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done\n", round+1, b.rounds)
	}
	return nil
}

// faster is a row of the time ours takes, which is to be so many times less;
// floor 0 demands nothing.
func faster(what string, ours, theirs *timed, floor, aim float64) row {
	r := row{what: what, unit: "ms", ours: ours.rounds, yardstick: theirs.rounds, less: true}
	if floor > 0 {
		r.floor, r.aim = 1/floor, 1/aim
	}
	return r
}

// explicitTable compares one iteration of als with the same on other libraries.
func explicitTable(ctx context.Context, b *bench) (table, error) {
	e, err := b.openEngine()
	if err != nil {
		return table{}, err
	}
	eigen, err := e.compiled(ctx, "eigen")
	if err != nil {
		return table{}, err
	}
	openblas, err := e.compiled(ctx, "openblas", "-lopenblas")
	if err != nil {
		return table{}, err
	}
	iterations := strconv.Itoa(engineIterations)
	t := table{note: fmt.Sprintf("on %d ratings of %d users and %d movies", e.matrix.Len(), len(e.matrix.Users), len(e.matrix.Movies))}
	for _, c := range []struct {
		rank                        int
		gonum, blas, eigen          float64 // floors
		gonumAim, blasAim, eigenAim float64
	}{{rank: 10}, {64, 25, 2.1, 2.3, 38, 2.8, 3.2}, {rank: 128}} {
		rank := strconv.Itoa(c.rank)
		ours := &timed{run: func(ctx context.Context) ([]float64, error) { return e.explicit(ctx, c.rank) }}
		naive := &timed{run: func(ctx context.Context) ([]float64, error) { return e.gonum(ctx, c.rank) }}
		blas := &timed{run: func(ctx context.Context) ([]float64, error) { return e.peer(ctx, openblas, e.file, rank, iterations) }}
		batched := &timed{run: func(ctx context.Context) ([]float64, error) { return e.peer(ctx, eigen, e.file, rank, iterations) }}
		if err := b.timeInTurns(ctx, ours, naive, blas, batched); err != nil {
			return table{}, err
		}
		t.rows = append(t.rows,
			faster("rank "+rank+", one iteration, against naive gonum", ours, naive, c.gonum, c.gonumAim),
			faster("rank "+rank+", against OpenBLAS ssyrk + sposv", ours, blas, c.blas, c.blasAim),
			faster("rank "+rank+", against Eigen in blocks", ours, batched, c.eigen, c.eigenAim))
	}
	return t, nil
}

// implicitTable compares one iteration of implicit ALS with the package implicit.
func implicitTable(ctx context.Context, b *bench) (table, error) {
	e, err := b.openEngine()
	if err != nil {
		return table{}, err
	}
	python, err := servers.FetchPython(ctx, "implicit==0.7.3", "numpy==2.2.6", "scipy==1.15.3")
	if err != nil {
		return table{}, err
	}
	t := table{note: fmt.Sprintf("on %d ratings, three steps of conjugate gradients on both sides", e.matrix.Len())}
	for _, c := range []struct {
		rank       int
		floor, aim float64
	}{{10, 7, 11}, {64, 4, 6}, {128, 2.7, 4}} {
		ours := &timed{run: func(ctx context.Context) ([]float64, error) { return e.implicit(ctx, c.rank) }}
		theirs := &timed{run: func(ctx context.Context) ([]float64, error) {
			return e.peer(ctx, python, "implicit_als.py", e.file, strconv.Itoa(c.rank), strconv.Itoa(engineIterations))
		}}
		if err := b.timeInTurns(ctx, ours, theirs); err != nil {
			return table{}, err
		}
		t.rows = append(t.rows, faster(fmt.Sprintf("rank %d, one iteration, against implicit", c.rank), ours, theirs, c.floor, c.aim))
	}
	return t, nil
}

// sparkALSTable compares one iteration with Spark's own, in a warm JVM.
func sparkALSTable(ctx context.Context, b *bench) (table, error) {
	e, err := b.openEngine()
	if err != nil {
		return table{}, err
	}
	spark, err := servers.FetchSpark(ctx)
	if err != nil {
		return table{}, err
	}
	t := table{note: "Spark: the difference between fits of 11 and of 1 iterations, after a fit of 3"}
	for _, c := range []struct {
		rank       int
		floor, aim float64
	}{{10, 30, 40}, {64, 20, 25}} {
		ours := &timed{run: func(ctx context.Context) ([]float64, error) { return e.explicit(ctx, c.rank) }}
		theirs := &timed{run: func(ctx context.Context) ([]float64, error) {
			return e.peer(ctx, spark.Python, "spark_als.py", e.file, strconv.Itoa(c.rank), "1")
		}}
		if err := b.timeInTurns(ctx, ours, theirs); err != nil {
			return table{}, err
		}
		t.rows = append(t.rows, faster(fmt.Sprintf("rank %d, one iteration, against Spark", c.rank), ours, theirs, c.floor, c.aim))
	}
	return t, nil
}
