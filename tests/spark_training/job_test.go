//go:build spark

package sparktraining

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

// closeEnough is how far the RMSE of the job may be from that of training in process,
// in stars. What is seen is 1e-8: both solve the same systems from the same start.
const closeEnough = 0.001

func movieLens(t *testing.T) ratings.Log {
	t.Helper()
	all, err := ratings.ReadRatings(filepath.Join(recsystest.DataDir(t), "ratings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return ratings.Log{Ratings: all}
}

// TestTheJobLearnsWhatTrainingInProcessDoes in one process, and in a cluster of two
// executors that are processes of their own, of which one is killed in the middle.
func TestTheJobLearnsWhatTrainingInProcessDoes(t *testing.T) {
	job := training.Job{
		Parameters: als.Parameters{Algorithm: als.ALS, Rank: 16, Lambda: 1.25, Nu: 0.5, Iterations: 5, Seed: 42},
		Holdout:    0.1, Tool: "test",
	}
	log := movieLens(t)
	here, err := job.Train(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	for _, master := range []string{"local[2]", "local-cluster[2,1,1024]"} {
		t.Run(master, func(t *testing.T) {
			r, err := registry.Open("file://" + t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			job, steps := job, 0
			l := launcher(t, master, log.Ratings)
			l.Checkpoint = "file://" + t.TempDir()
			job.Engine, job.Progress = l.Fit, func(als.Progress) {
				if steps++; steps == job.Parameters.Iterations+4 && strings.HasPrefix(master, "local-cluster") && runtime.GOOS == "linux" {
					if err := killExecutor(l); err != nil {
						t.Errorf("killing an executor: %v", err)
					}
				}
			}
			c, err := job.Train(t.Context(), log)
			if err != nil {
				t.Fatal(err)
			}
			got, want := c.Manifest, here.Manifest
			t.Logf("RMSE %.9f, in process %.9f; biases alone %.9f, %.9f", got.Metrics.RMSE, want.Metrics.RMSE, got.Metrics.BiasRMSE, want.Metrics.BiasRMSE)
			if math.Abs(got.Metrics.RMSE-want.Metrics.RMSE) > closeEnough || math.Abs(got.Metrics.BiasRMSE-want.Metrics.BiasRMSE) > closeEnough ||
				got.Metrics.Holdout != want.Metrics.Holdout || got.Metrics.Ratings != want.Metrics.Ratings {
				t.Errorf("metrics are %+v, want %+v", got.Metrics, want.Metrics)
			}
			if got.Data.Users != want.Data.Users || got.Data.Movies != want.Data.Movies || !got.Data.From.Equal(want.Data.From) || !got.Data.Until.Equal(want.Data.Until) {
				t.Errorf("data are %+v, want %+v", got.Data, want.Data)
			}
			if steps != 2*job.Parameters.Iterations { // of the twin and of the version
				t.Errorf("%d iterations were told", steps)
			}
			if d := difference(c, here, log); d > closeEnough {
				t.Errorf("predictions differ by %g stars (RMS)", d)
			}
			outcome, err := job.Publish(t.Context(), r, c)
			if err != nil || !outcome.Promoted || outcome.Manifest.Gate.Refit == nil {
				t.Errorf("publishing: %+v, %v", outcome, err)
			}
		})
	}
}

// difference is between the predictions of two versions, root mean squared.
func difference(a, b *training.Candidate, log ratings.Log) float64 {
	squares := 0.0
	for _, r := range log.Ratings {
		d := float64(a.Model.Predict(r.User, r.Movie).Value - b.Model.Predict(r.User, r.Movie).Value)
		squares += d * d
	}
	return math.Sqrt(squares / float64(len(log.Ratings)))
}

// TestMLlibLosesLittle: Spark's own ALS on what biases leave, against solving both
// together. What was lost in trials is .004 to .006 stars of RMSE.
func TestMLlibLosesLittle(t *testing.T) {
	const mostLost, leastGained = 0.0125, 0.01
	log := movieLens(t)
	job := training.Job{
		Parameters: als.Parameters{Algorithm: als.ALS, Rank: 16, Lambda: 1.25, Nu: 0.5, Iterations: 5, Seed: 42},
		Holdout:    0.1, Tool: "test",
	}
	here, err := job.Train(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	checkpoints := t.TempDir()
	got := runJobs(t, "", []string{
		"--ratings-parquet", "file://" + writeParquet(t, log.Ratings), "--algorithm", "mllib", "--rank", "16", "--iterations", "5",
		"--checkpoint", "file://" + checkpoints,
	})[0].Metrics
	want := here.Manifest.Metrics
	t.Logf("RMSE of MLlib %.6f, of als %.6f: a loss of %.6f; biases alone %.6f", got.RMSE, want.RMSE, got.RMSE-want.RMSE, got.BiasRMSE)
	if got.Holdout != want.Holdout || math.Abs(got.BiasRMSE-want.BiasRMSE) > closeEnough {
		t.Errorf("metrics are %+v, want the holdout and biases of %+v", got, want)
	}
	if got.RMSE-want.RMSE > mostLost || got.BiasRMSE-got.RMSE < leastGained {
		t.Errorf("MLlib's RMSE is %.6f, that of als %.6f and of biases alone %.6f", got.RMSE, want.RMSE, got.BiasRMSE)
	}
	if left, err := os.ReadDir(checkpoints); err != nil || len(left) > 0 {
		t.Errorf("checkpoints are left: %v, %v", left, err)
	}
}
