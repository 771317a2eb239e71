package training

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// elsewhere trains a model of the first n ratings as somebody else would.
func elsewhere(t *testing.T, n int, lambda float64) Imported {
	t.Helper()
	known := days(n)
	matrix, err := ratings.NewMatrix(known)
	if err != nil {
		t.Fatal(err)
	}
	f, err := als.Train(t.Context(), matrix, als.Parameters{Algorithm: als.ALS, Rank: 4, Lambda: lambda, Nu: 0.5, Iterations: 20, Seed: 9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	return Imported{Model: m, Algorithm: "theirs", Parameters: []byte(`{"rank":4}`), Until: time.UnixMilli(known[n-1].Time)}
}

func imported(t *testing.T, r *registry.Registry, m Imported, all []ratings.Rating) Outcome {
	t.Helper()
	o, isNew, err := job(4).Import(t.Context(), r, m, ratings.Log{Ratings: all})
	if err != nil || !isNew {
		t.Fatalf("new %t, %v", isNew, err)
	}
	return o
}

func warns(o Outcome, of string) bool {
	return slices.ContainsFunc(o.Manifest.Gate.Warnings, func(w string) bool { return strings.Contains(w, of) })
}

func TestAnImportedModelWithoutRatingsGetsNoRole(t *testing.T) {
	r, m := newRegistry(t), elsewhere(t, 2000, 1.25)
	o := imported(t, r, m, nil)
	if latest, _, err := r.Latest(); err != nil || latest.Sequence != 0 || o.Promoted || o.Shadowed {
		t.Errorf("it has a role: %+v, %v", latest, err)
	}
	if g := o.Manifest.Gate; o.Manifest.Metrics != (message.Metrics{}) || g.Outcome != message.OutcomeUndecided || !strings.Contains(o.Manifest.Verdict, "without ratings") || o.Manifest.Algorithm != "theirs" {
		t.Errorf("got %+v, %+v", o.Manifest, g)
	}
	again, isNew, err := job(4).Import(t.Context(), r, m, ratings.Log{})
	if err != nil || isNew || again.Manifest.Version != o.Manifest.Version {
		t.Errorf("again: new %t, %s, %v; was %s", isNew, again.Manifest.Version, err, o.Manifest.Version)
	}
	if all, err := r.List(); err != nil || len(all) != 1 {
		t.Errorf("%d versions, %v", len(all), err)
	}
}

func TestAnImportedModelIsTheFirstChampionAndIsMeasured(t *testing.T) {
	o := imported(t, newRegistry(t), elsewhere(t, 2000, 1.25), days(2000))
	m := o.Manifest
	if !o.Promoted || m.Gate.Rule != message.RuleFirst || m.Gate.Refit != nil || !warns(o, mayKnow) {
		t.Errorf("got %+v, %+v", o, m.Gate)
	}
	if !(m.Metrics.RMSE > 0 && m.Metrics.RMSE < m.Metrics.BiasRMSE) || m.Metrics.Holdout == 0 || m.Metrics.Ratings != 2000 || m.Holdout.Share != 0 || m.Recipe != "" {
		t.Errorf("measured %+v, holdout %+v", m.Metrics, m.Holdout)
	}
	// On newer ratings nothing is known beforehand.
	o = imported(t, newRegistry(t), elsewhere(t, 2000, 1.25), days(2500))
	if newer := o.Manifest; !o.Promoted || warns(o, mayKnow) || newer.Metrics.Holdout < 400 || newer.Metrics.Ratings != 2000 || newer.Data.Until.UnixMilli() != days(2000)[1999].Time {
		t.Errorf("by newer ratings: %+v, %+v", newer.Metrics, newer.Data)
	}
}

func TestAnImportedModelWinsOnRatingsThatItCannotKnowAlone(t *testing.T) {
	for _, c := range []struct {
		name              string
		known, all        int
		lambda            float64
		outcome, mentions string
		test              string
	}{
		{"better on newer ratings", 2000, 3000, 1.25, message.OutcomePromoted, "promoted: RMSE", "newest ratings"},
		{"better on ratings that it may know", 3000, 3000, 1.25, message.OutcomeUndecided, mayKnow, "twins"},
		{"worse on newer ratings", 2000, 3000, 1e5, message.OutcomeRejected, "not promoted: RMSE", "newest ratings"},
		{"worse even on ratings that it may know", 3000, 3000, 1e5, message.OutcomeRejected, "not promoted: RMSE", "twins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, champion := newRegistry(t), job(4)
			champion.Parameters.Lambda = 1e3 // hardly more than the mean
			if c.lambda > 1e3 {
				champion.Parameters.Lambda = 1.25
			}
			publish(t, champion, r, train(t, champion, days(1500)))
			o := imported(t, r, elsewhere(t, c.known, c.lambda), days(c.all))
			g := o.Manifest.Gate
			if g.Outcome != c.outcome || !strings.Contains(g.Reason, c.mentions) || g.Tests[len(g.Tests)-1].Name != c.test || warns(o, mayKnow) != (c.test == "twins") {
				t.Errorf("got %+v", g)
			}
			if o.Promoted != (c.outcome == message.OutcomePromoted) || o.Shadowed != (c.outcome == message.OutcomeUndecided) {
				t.Errorf("promoted %t, in shadow %t", o.Promoted, o.Shadowed)
			}
		})
	}
}

// TestTheNextTrainingReplacesAnImportedChampion, which nobody can make again.
func TestTheNextTrainingReplacesAnImportedChampion(t *testing.T) {
	r, j := newRegistry(t), job(4)
	first := imported(t, r, elsewhere(t, 2000, 1e4), days(2000))
	o := publish(t, j, r, train(t, j, days(3000)))
	if g := o.Manifest.Gate; !o.Promoted || g.Against != first.Manifest.Version || g.Rule != message.RuleChanged {
		t.Errorf("got %+v", g)
	}
}
