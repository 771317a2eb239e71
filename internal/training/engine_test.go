package training

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// engineOn is an Engine that reads ratings of its own and trains them by als.
func engineOn(all []ratings.Rating, asked *[]Fit) Engine {
	return func(ctx context.Context, fit Fit) (*Fitted, error) {
		*asked = append(*asked, fit)
		known := slices.Clone(all)
		ratings.SortByTime(known)
		if fit.Before != nil {
			known = slices.DeleteFunc(known, func(r ratings.Rating) bool {
				pair := []ratings.Rating{r, *fit.Before}
				ratings.SortByTime(pair)
				return pair[0] == *fit.Before
			})
		}
		if fit.Without > 0 {
			known, _ = eval.RandomSplit(known, fit.Without, holdoutSeed)
		}
		here := Job{Parameters: fit.Parameters, Holdout: fit.Holdout, Start: fit.Start}
		c, err := here.Train(ctx, ratings.Log{Ratings: known})
		if err != nil {
			return nil, err
		}
		return &Fitted{Factors: c.Model.Factors(), Twin: c.twin, Metrics: c.Manifest.Metrics, Data: c.Manifest.Data, Tool: "an engine"}, nil
	}
}

// TestAnEngineLeadsToTheSameVerdicts compares a job that trains here with the same one
// that has an engine train, through all stages of the gate, from scratch and from the
// champion.
func TestAnEngineLeadsToTheSameVerdicts(t *testing.T) {
	for _, warm := range []bool{false, true} {
		here, there, j := newRegistry(t), newRegistry(t), job(4)
		j.Tolerance = gate.Margin
		var asked []Fit
		for k, n := range []int{1500, 1501, 2000, 2500} {
			if k == 3 {
				j.Parameters.Lambda = 20 // another recipe
			}
			run := func(r *registry.Registry, engine Engine) Outcome {
				j := j
				if j.Engine = engine; warm {
					var err error
					if j, _, err = j.WarmStart(r); err != nil {
						t.Fatal(err)
					}
				}
				return publish(t, j, r, train(t, j, days(n)))
			}
			want, got := run(here, nil), run(there, engineOn(days(n), &asked))
			if text, wanted := asJSON(t, got.Manifest.Gate), asJSON(t, want.Manifest.Gate); text != wanted {
				t.Errorf("%d ratings, warm %v: the gate said\n%s, want\n%s", n, warm, text, wanted)
			}
			if got.Promoted != want.Promoted || got.Manifest.SHA256 != want.Manifest.SHA256 || got.Manifest.Metrics != want.Manifest.Metrics ||
				got.Manifest.Recipe != want.Manifest.Recipe || asJSON(t, got.Manifest.Parameters) != asJSON(t, want.Manifest.Parameters) {
				t.Errorf("%d ratings, warm %v: got %+v, want %+v", n, warm, got.Manifest, want.Manifest)
			}
		}
		kinds := map[string]bool{}
		for _, fit := range asked {
			kinds["before"] = kinds["before"] || fit.Before != nil && fit.Without == 0
			kinds["twin"] = kinds["twin"] || fit.Before != nil && fit.Without > 0
			kinds["start"] = kinds["start"] || fit.Start != nil
		}
		if !kinds["before"] || !kinds["twin"] || kinds["start"] != warm {
			t.Errorf("warm %v: of what the gate may ask it asked for %v", warm, kinds)
		}
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnEngineThatFailsLeavesTheRegistryAsItWas(t *testing.T) {
	r, j := newRegistry(t), job(4)
	publish(t, j, r, train(t, j, days(1500)))
	before, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	died := errors.New("the driver died")
	j.Engine = func(context.Context, Fit) (*Fitted, error) { return nil, died }
	if _, err := j.Train(t.Context(), ratings.Log{Ratings: days(2000)}); !errors.Is(err, died) {
		t.Errorf("training: %v", err)
	}
	after, err := r.List()
	if err != nil || len(after) != len(before) {
		t.Errorf("%d versions, %v", len(after), err)
	}
}

func TestWhatAnEngineCannotTrainIsRefused(t *testing.T) {
	head := als.DefaultPreference()
	for name, change := range map[string]func(*Job){
		"another algorithm":  func(j *Job) { j.Parameters.Algorithm = als.VB },
		"a head that ranks":  func(j *Job) { j.Parameters.Preference = &head },
		"stopping when done": func(j *Job) { j.EarlyStop = EarlyStop{Share: 0.1, Patience: 1} },
	} {
		j := job(4)
		change(&j)
		if err := j.CheckEngine(); !errors.Is(err, ErrEngine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASampleKeepsWholeUsersAndNoMoreThanItsLimit(t *testing.T) {
	all := recsystest.Ratings(400, 60, 0.4, 3)
	s := Sample{Limit: 2000}
	for batch := range slices.Chunk(all, 77) {
		s.Add(batch)
	}
	kept := map[int64]int{}
	for _, r := range s.Ratings {
		kept[r.User]++
	}
	whole := map[int64]int{}
	for _, r := range all {
		if kept[r.User] > 0 {
			whole[r.User]++
		}
	}
	if asJSON(t, kept) != asJSON(t, whole) {
		t.Errorf("kept %v of %v", kept, whole)
	}
	if len(s.Ratings) > 2000 || len(s.Ratings) < 500 || s.Share() >= 1 {
		t.Errorf("%d ratings of %d, a share %g of the users", len(s.Ratings), len(all), s.Share())
	}
	var everything Sample
	everything.Add(all)
	if len(everything.Ratings) != len(all) || everything.Share() != 1 {
		t.Errorf("without a limit %d of %d", len(everything.Ratings), len(all))
	}
}
