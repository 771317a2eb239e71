//go:build spark

package sparktraining

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// learnt is what testdata/by_blocks.py prints.
type learnt struct {
	Mean          float64 `json:"mean"`
	SSE           float64 `json:"sse"`
	Held          []bool  `json:"held"`
	Users, Movies struct {
		IDs     []int64   `json:"ids"`
		Bias    []float32 `json:"bias"`
		Factors []float32 `json:"factors"`
	}
}

// byBlocks trains by the numpy of the job.
func byBlocks(t *testing.T, all []ratings.Rating, p als.Parameters, blocks int) learnt {
	t.Helper()
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintf(&text, "%d,%d,%v\n", r.User, r.Movie, r.Value)
	}
	path := filepath.Join(t.TempDir(), "ratings.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python(t), "testdata/by_blocks.py", "../../spark", path,
		fmt.Sprint(p.Rank), fmt.Sprint(p.Lambda), fmt.Sprint(p.Nu), fmt.Sprint(p.Iterations), fmt.Sprint(p.Seed), fmt.Sprint(blocks))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the blocks: %v", err)
	}
	var found learnt
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("reading what the blocks learnt: %v", err)
	}
	return found
}

// TestBlocksInNumpyLearnWhatTheReferenceDoes compares the job's half-steps with the
// reference in float64. The tolerance is that of internal/als for its own float32:
// rounding amplified by the condition of the normal equations shows as 8e-5, a mistake
// as 1e-2.
func TestBlocksInNumpyLearnWhatTheReferenceDoes(t *testing.T) {
	const tolerance = 2e-4
	all := recsystest.Ratings(60, 40, 0.3, 5)
	m, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rank, blocks int
		lambda, nu   float64
	}{{1, 1, 1.25, 0.5}, {8, 3, 1.25, 0.5}, {17, 2, 20, 0}, {64, 4, 0.1, 1}} {
		t.Run(fmt.Sprintf("rank %d in %d blocks", c.rank, c.blocks), func(t *testing.T) {
			p := als.Parameters{Algorithm: als.ALS, Rank: c.rank, Lambda: c.lambda, Nu: c.nu, Iterations: 3, Seed: 7}
			want, err := als.TrainReference(m, p)
			if err != nil {
				t.Fatal(err)
			}
			got := byBlocks(t, all, p, c.blocks)
			if !slices.Equal(got.Users.IDs, want.Users) || !slices.Equal(got.Movies.IDs, want.Movies) {
				t.Fatalf("users %v, movies %v", got.Users.IDs, got.Movies.IDs)
			}
			for name, pair := range map[string][2][]float32{
				"user biases": {got.Users.Bias, want.UserBias}, "movie biases": {got.Movies.Bias, want.MovieBias},
				"user factors": {got.Users.Factors, want.UserFactors}, "movie factors": {got.Movies.Factors, want.MovieFactors},
			} {
				if d := furthest(pair[0], pair[1]); !(d < tolerance) {
					t.Errorf("%s differ by up to %g", name, d)
				}
			}
			sse := 0.0
			for _, r := range all {
				u, _ := m.UserRow(r.User)
				i, _ := m.MovieRow(r.Movie)
				e := float64(r.Value) - want.Predict(u, i)
				sse += e * e
			}
			if math.Abs(got.SSE-sse) > 1e-3*sse {
				t.Errorf("squared errors are %g, want %g", got.SSE, sse)
			}
		})
	}
}

func furthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	most := 0.0
	for k := range a {
		most = max(most, math.Abs(float64(a[k])-float64(b[k])))
	}
	return most
}

// TestTheHoldoutInNumpyIsTheSame: one pair on the other side would be learnt and
// measured on.
func TestTheHoldoutInNumpyIsTheSame(t *testing.T) {
	all := recsystest.Ratings(300, 100, 0.3, 9)
	for k := range all { // ids of all sizes
		all[k].User *= 1 + int64(k%2)*12_345_678_901
	}
	got := byBlocks(t, all, als.Parameters{Rank: 1, Lambda: 1, Nu: 0.5, Iterations: 1, Seed: 1}, 1).Held
	held := 0
	for k, r := range all {
		want := eval.InTest(42, 0.1, r.User, r.Movie)
		if got[k] != want {
			t.Fatalf("user %d, movie %d: held out %v, want %v", r.User, r.Movie, got[k], want)
		}
		if want {
			held++
		}
	}
	if held < len(all)/20 || held > len(all)/5 {
		t.Errorf("%d of %d are held out", held, len(all))
	}
}
