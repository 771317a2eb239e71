package training

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestAVersionIsMeasuredByATwin that does not know the holdout, while the version
// itself knows all ratings.
func TestAVersionIsMeasuredByATwin(t *testing.T) {
	all := recsystest.Ratings(60, 40, 0.5, 1)
	c := train(t, job(4), all)
	m := c.Manifest
	part, holdout := eval.RandomSplit(all, 0.2, holdoutSeed)
	if int(m.Metrics.Ratings) != len(all) || int(m.Metrics.Holdout) != len(holdout) || m.Data.Ratings != int64(len(all)) || m.Holdout.Share != 0.2 {
		t.Errorf("%+v of %d ratings", m.Metrics, len(all))
	}
	twin, err := model.New(c.twin, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, r := range holdout {
		d := float64(twin.Predict(r.User, r.Movie).Value - r.Value)
		sum += d * d
	}
	if want := math.Sqrt(sum / float64(len(holdout))); math.Abs(m.Metrics.RMSE-want) > 1e-9 {
		t.Errorf("RMSE %v, want %v", m.Metrics.RMSE, want)
	}
	if m.Metrics.RMSE >= m.Metrics.BiasRMSE {
		t.Errorf("RMSE %v is no better than biases alone, %v", m.Metrics.RMSE, m.Metrics.BiasRMSE)
	}
	counts := func(f *als.Factors) (n int) {
		for _, count := range f.UserCounts {
			n += int(count)
		}
		return n
	}
	if counts(c.twin) != len(part) || counts(c.Model.Factors()) != len(all) {
		t.Errorf("the twin knows %d ratings, want %d, the version %d of %d", counts(c.twin), len(part), counts(c.Model.Factors()), len(all))
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
	threaded := job(3)
	threaded.Parameters.Threads = 3
	first, second := publish(t, job(3), newRegistry(t), train(t, job(3), all)), publish(t, threaded, newRegistry(t), train(t, threaded, shuffled))
	if first.Manifest.SHA256 != second.Manifest.SHA256 || first.Manifest.Data.Checksum != second.Manifest.Data.Checksum ||
		first.Manifest.Recipe != second.Manifest.Recipe || *first.Manifest.Gate.Refit != *second.Manifest.Gate.Refit {
		t.Errorf("got %+v and %+v", first.Manifest, second.Manifest)
	}
	all[5].Value = 5.5 - all[5].Value
	if c := train(t, job(3), all); c.Manifest.Data.Checksum == first.Manifest.Data.Checksum {
		t.Error("another value has the same checksum")
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

// TestARecipeIsWhatWasAskedFor, head by head.
func TestARecipeIsWhatWasAskedFor(t *testing.T) {
	j := Job{Parameters: als.DefaultParameters(als.ALS)}
	with := func(change func(j *Job, head *als.PreferenceParameters)) string {
		k, head := j, *j.Parameters.Preference
		k.Parameters.Preference = &head
		change(&k, &head)
		return k.recipe()
	}
	base := j.recipe()
	if len(base) != 2*digitsOfHead {
		t.Fatalf("recipe %q", base)
	}
	for _, c := range []struct {
		name            string
		rating, ranking bool // whether that head's digits change
		change          func(j *Job, head *als.PreferenceParameters)
	}{
		{"nothing", false, false, func(*Job, *als.PreferenceParameters) {}},
		{"seed and threads", false, false, func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Seed, j.Parameters.Threads = 7, 3 }},
		{"a start", false, false, func(j *Job, _ *als.PreferenceParameters) { j.Start, j.StartedBy = &als.Factors{}, "v" }},
		{"a β that is chosen", false, false, func(_ *Job, head *als.PreferenceParameters) { head.Beta = 0.7 }},
		{"the patience of no early stop", false, false, func(j *Job, _ *als.PreferenceParameters) { j.EarlyStop.Patience = 2 }},
		{"λ", true, false, func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Lambda *= 4 }},
		{"iterations", true, false, func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Iterations++ }},
		{"algorithm", true, false, func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Algorithm = als.VB }},
		{"early stop", true, false, func(j *Job, _ *als.PreferenceParameters) { j.EarlyStop = EarlyStop{0.1, 2} }},
		{"α", false, true, func(_ *Job, head *als.PreferenceParameters) { head.Alpha *= 2 }},
		{"β as asked for", false, true, func(_ *Job, head *als.PreferenceParameters) { head.ChooseBeta = false }},
		{"no head that ranks", false, true, func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Preference = nil }},
		{"both", true, true, func(j *Job, head *als.PreferenceParameters) { j.Parameters.Rank++; head.Rank++ }},
	} {
		got := with(c.change)
		if (got[:digitsOfHead] != base[:digitsOfHead]) != c.rating || (got[digitsOfHead:] != base[digitsOfHead:]) != c.ranking {
			t.Errorf("%s: %s, was %s", c.name, got, base)
		}
	}
	j.Parameters.Algorithm = als.Implicit // rates by biases alone
	base = j.recipe()
	if got := with(func(j *Job, _ *als.PreferenceParameters) { j.Parameters.Rank, j.Parameters.Iterations = 5, 5 }); got[:digitsOfHead] != base[:digitsOfHead] || got == base {
		t.Errorf("rank of als_implicit: %s, was %s", got, base)
	}
}

// TestAManifestIsAsItWas: what the gate adds is all that is new.
func TestAManifestIsAsItWas(t *testing.T) {
	o := publish(t, job(3), newRegistry(t), train(t, job(3), recsystest.Ratings(30, 20, 0.5, 1)))
	text, err := json.Marshal(o.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"version", "algorithm", "parameters", "data", "holdout", "metrics", "verdict", "gate", "recipe"} {
		if fields[name] == nil {
			t.Errorf("no field %s among %v", name, slices.Sorted(func(yield func(string) bool) {
				for name := range fields {
					if !yield(name) {
						return
					}
				}
			}))
		}
	}
}
