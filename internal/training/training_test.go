package training

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

func job(rank int) Job {
	return Job{
		Holdout: 0.2, Source: "generated", Tool: "test",
		Parameters: als.Parameters{Algorithm: als.ALS, Rank: rank, Lambda: 1.25, Nu: 0.5, Iterations: 5, Seed: 1},
		Now:        func() time.Time { return time.Unix(1_700_000_000, 0) },
	}
}

func train(t *testing.T, j Job, all []ratings.Rating) *Candidate {
	t.Helper()
	c, err := j.Train(t.Context(), ratings.Log{Ratings: all})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Open("file://" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func publish(t *testing.T, j Job, r *registry.Registry, c *Candidate) Outcome {
	t.Helper()
	o, err := j.Publish(t.Context(), r, c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestACandidateIsJudgedOnWhatItWasNotTrainedOn(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	c := train(t, job(4), all)
	m := c.Manifest
	if int(m.Metrics.Ratings)+len(c.Holdout) != len(all) || len(c.Holdout) == 0 || m.Data.Ratings != int64(len(all)) {
		t.Errorf("%d trained on and %d held out of %d", m.Metrics.Ratings, len(c.Holdout), len(all))
	}
	sum := 0.0
	for _, r := range c.Holdout {
		if !eval.InTest(holdoutSeed, 0.2, r.User, r.Movie) {
			t.Fatalf("%+v is held out, but not by the hash", r)
		}
		d := float64(c.Model.Predict(r.User, r.Movie).Value - r.Value)
		sum += d * d
	}
	if want := math.Sqrt(sum / float64(len(c.Holdout))); math.Abs(m.Metrics.RMSE-want) > 1e-9 {
		t.Errorf("RMSE %v, want %v", m.Metrics.RMSE, want)
	}
	if m.Metrics.RMSE >= m.Metrics.BiasRMSE {
		t.Errorf("RMSE %v is no better than biases alone, %v", m.Metrics.RMSE, m.Metrics.BiasRMSE)
	}
}

func TestTheSameRatingsInAnyOrderMakeTheSameVersion(t *testing.T) {
	all := recsystest.Ratings(30, 20, 0.5, 1)
	shuffled := make([]ratings.Rating, len(all))
	for i, r := range all {
		shuffled[(i*7+3)%len(all)] = r
	}
	if len(all)%7 == 0 {
		t.Fatal("the permutation needs a length that 7 does not divide")
	}
	r := newRegistry(t)
	first, second := publish(t, job(3), r, train(t, job(3), all)), publish(t, job(3), newRegistry(t), train(t, job(3), shuffled))
	if first.Manifest.SHA256 != second.Manifest.SHA256 || first.Manifest.Data.Checksum != second.Manifest.Data.Checksum {
		t.Errorf("got %+v and %+v", first.Manifest, second.Manifest)
	}
}

func TestOnlyAVersionThatIsNotWorseBecomesChampion(t *testing.T) {
	all := recsystest.Ratings(80, 60, 0.4, 2)
	r := newRegistry(t)
	good := publish(t, job(4), r, train(t, job(4), all))
	if !good.Promoted || good.Promotion.Sequence != 1 || good.Manifest.Verdict != "the first version" {
		t.Fatalf("the first version: %+v", good)
	}
	bad := job(4)
	bad.Parameters.Lambda = 1e5 // predicts the mean
	kept := publish(t, bad, r, train(t, bad, all))
	if kept.Promoted || !strings.Contains(kept.Manifest.Verdict, "not promoted: RMSE") || kept.Manifest.Parent != good.Manifest.Version {
		t.Errorf("a worse version: %+v", kept)
	}
	tolerant := bad
	tolerant.Tolerance = 5
	tolerant.Parameters.Lambda = 1e5 + 1 // another version
	if o := publish(t, tolerant, r, train(t, tolerant, all)); !o.Promoted || o.Promotion.Sequence != 2 {
		t.Errorf("with a tolerance of 5 stars: %+v", o)
	}
	if list, err := r.List(); err != nil || len(list) != 3 {
		t.Errorf("%d versions, %v; all three should be there", len(list), err)
	}
}

func TestVersionsAreComparedOnWhatNeitherWasTrainedOn(t *testing.T) {
	all := recsystest.Ratings(80, 60, 0.4, 2)
	r := newRegistry(t)
	wide, narrow, other := job(4), job(4), job(4)
	wide.Holdout, narrow.Holdout = 0.3, 0.1
	other.Holdout, other.Parameters.Seed = 0.1, 99
	publish(t, wide, r, train(t, wide, all))
	c := train(t, narrow, all)
	if common := heldOutByBoth(c, registry.Holdout{Seed: holdoutSeed, Share: 0.3}); len(common) != len(c.Holdout) {
		t.Errorf("%d of %d pairs of the smaller holdout are in the larger one", len(common), len(c.Holdout))
	}
	if d := train(t, other, all); len(d.Holdout) != len(c.Holdout) || d.Holdout[0] != c.Holdout[0] {
		t.Error("another seed of the starting factors holds out other pairs")
	}
	all0 := job(4)
	all0.Holdout = 0 // trained on everything
	if o := publish(t, all0, r, train(t, all0, all)); !o.Promoted || !strings.Contains(o.Manifest.Verdict, "no ratings were held out") {
		t.Errorf("a version without a holdout: %+v", o)
	}
	if o := publish(t, narrow, r, c); !o.Promoted || !strings.Contains(o.Manifest.Verdict, "promoted without comparison") {
		t.Errorf("after one: %+v; it must not lose to a version that was trained on the answers", o)
	}
}

func TestAChampionThatCannotBeReadIsReplaced(t *testing.T) {
	all := recsystest.Ratings(30, 20, 0.5, 1)
	dir := t.TempDir()
	r, err := registry.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := publish(t, job(2), r, train(t, job(2), all))
	if err := os.Truncate(filepath.Join(dir, "models", first.Manifest.Version, "model.safetensors"), 10); err != nil {
		t.Fatal(err)
	}
	if o := publish(t, job(1), r, train(t, job(1), all)); !o.Promoted || !strings.Contains(o.Manifest.Verdict, "cannot be read") {
		t.Errorf("got %+v", o)
	}
}

func TestTrainingRefusesWhatItCannotUse(t *testing.T) {
	all := recsystest.Ratings(30, 20, 0.5, 1)
	if _, err := job(2).Train(t.Context(), ratings.Log{Ratings: all[:5]}); !errors.Is(err, ErrTooFewRatings) {
		t.Errorf("five ratings: %v", err)
	}
	other := job(2)
	other.Parameters.Algorithm = "magic"
	if _, err := other.Train(t.Context(), ratings.Log{Ratings: all}); err == nil || !strings.Contains(err.Error(), `algorithm is "magic", want one of als`) {
		t.Errorf("an unknown algorithm: %v", err)
	}
}
