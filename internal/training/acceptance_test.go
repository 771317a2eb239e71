package training

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const (
	retrainings = 20
	newRatings  = 2000 // from one to the next
)

// retraining is one of many by als_train of the same ratings, which come in the order
// of time.
type retraining struct {
	t        *testing.T
	all      []ratings.Rating
	registry *registry.Registry
	job      Job
}

// played is ml-latest-small in the order of time, with a champion of all but what the
// retrainings bring.
func played(t *testing.T, algorithm string) *retraining {
	t.Helper()
	all, err := ratings.ReadRatings(filepath.Join(recsystest.DataDir(t), "ratings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	ratings.SortByTime(all)
	r := &retraining{t: t, all: all, registry: newRegistry(t)}
	r.job = Job{Parameters: als.DefaultParameters(algorithm), Holdout: 0.1, Tolerance: gate.Margin, Source: "ml-latest-small", Tool: "test"}
	if o := r.publish(r.upTo(0)); !o.Promoted || o.Manifest.Gate.Rule != message.RuleFirst {
		t.Fatalf("the first version: %+v", o)
	}
	return r
}

func (r *retraining) upTo(k int) []ratings.Rating {
	return slices.Clone(r.all[:len(r.all)-(retrainings-k)*newRatings])
}

func (r *retraining) publish(all []ratings.Rating) Outcome {
	r.t.Helper()
	job, _, err := r.job.WarmStart(r.registry)
	if err != nil {
		r.t.Fatal(err)
	}
	return publish(r.t, job, r.registry, train(r.t, job, all))
}

// candidate is trained on all as the next version would be.
func (r *retraining) candidate(job Job, all []ratings.Rating) (Job, *Candidate) {
	r.t.Helper()
	job, _, err := job.WarmStart(r.registry)
	if err != nil {
		r.t.Fatal(err)
	}
	return job, train(r.t, job, all)
}

// refused fails the test if the gate promotes, and publishes nothing.
func (r *retraining) refused(what string, k int, job Job, c *Candidate) {
	r.t.Helper()
	began := time.Now()
	champion, err := currentChampion(r.registry)
	if err != nil {
		r.t.Fatal(err)
	}
	v, err := job.judge(r.t.Context(), r.registry, c, champion)
	if err != nil {
		r.t.Fatal(err)
	}
	r.say(what, k, v, began)
	if v.Outcome == message.OutcomePromoted {
		r.t.Errorf("%s, retraining %d: %s", what, k, v.Reason)
	}
}

// permuted are the same pairs with each other's values.
func permuted(all []ratings.Rating, seed uint64) []ratings.Rating {
	random := rand.New(rand.NewPCG(seed, 0))
	mixed := slices.Clone(all)
	random.Shuffle(len(mixed), func(a, b int) { mixed[a].Value, mixed[b].Value = mixed[b].Value, mixed[a].Value })
	return mixed
}

func (r *retraining) say(what string, k int, v message.Verdict, began time.Time) {
	r.t.Helper()
	r.t.Logf("%-21s %2d: %s (%.1f s)", what, k, v.Reason, time.Since(began).Seconds())
	for _, test := range v.Tests {
		r.t.Logf("    %s, %s: %.4f → %.4f, gain %+.5f in %+.5f to %+.5f, needed %+.5f: %s", test.Name, test.Head, test.Champion, test.Challenger, test.Point, test.Gain.Low, test.Gain.High, test.Needed, test.Decision)
	}
	for _, g := range v.Guards {
		r.t.Logf("    %s: %.4f → %.4f, %+.4f to %+.4f, %d users, passed %v", g.Name, g.Champion, g.Challenger, g.Change.Low, g.Change.High, g.Users, g.Passed)
	}
	if v.Refit != nil {
		r.t.Logf("    refit %.4f of %d pairs", v.Refit.Difference, v.Refit.Pairs)
	}
}

// TestTheGateOnMovieLens plays ml-latest-small in the order of time: of twenty
// retrainings by the same recipe at least 17 become champion unattended, of twenty on
// ratings that were permuted on their way, or in training alone, none, and of twenty
// with four times the λ none. Without RECSYS_ACCEPTANCE=1 it is one of each, of als alone.
func TestTheGateOnMovieLens(t *testing.T) {
	for _, algorithm := range []string{als.ALS, als.VB} {
		t.Run(algorithm, func(t *testing.T) {
			rounds, least := 1, 1
			if os.Getenv("RECSYS_ACCEPTANCE") == "1" {
				rounds, least = retrainings, 17
			} else if algorithm != als.ALS {
				t.Skip("only with RECSYS_ACCEPTANCE=1")
			}
			r := played(t, algorithm)
			strict := r.job
			strict.Parameters.Lambda *= 4
			promoted, began := 0, time.Now()
			var seconds float64
			for k := 1; k <= rounds; k++ {
				all := r.upTo(k)
				damagedJob, damaged := r.candidate(r.job, permuted(all, uint64(k)))
				r.refused("permuted on their way", k, damagedJob, damaged)
				damaged.log.Ratings = all // what it is judged on is as it was
				r.refused("permuted in training", k, damagedJob, damaged)
				strictJob, restrained := r.candidate(strict, slices.Clone(all))
				r.refused("four times λ", k, strictJob, restrained)
				since := time.Now()
				o := r.publish(all)
				seconds += time.Since(since).Seconds()
				if o.Promoted {
					promoted++
				}
				r.say("same", k, *o.Manifest.Gate, since)
			}
			t.Logf("%d of %d promoted; %.1f s each, %.0f s in all", promoted, rounds, seconds/float64(rounds), time.Since(began).Seconds())
			if promoted < least {
				t.Errorf("%d of %d retrainings were promoted, want %d", promoted, rounds, least)
			}
		})
	}
}

// TestMuchNewerRatingsOfMovieLens make up for nothing: the champion lacks two fifths.
func TestMuchNewerRatingsOfMovieLens(t *testing.T) {
	if os.Getenv("RECSYS_ACCEPTANCE") != "1" {
		t.Skip("only with RECSYS_ACCEPTANCE=1")
	}
	for _, algorithm := range []string{als.ALS, als.VB} {
		r := played(t, algorithm)
		strict := r.job
		strict.Parameters.Lambda *= 4
		job, c := r.candidate(strict, slices.Clone(r.all))
		r.refused("four times λ", 1, job, c)
		began := time.Now()
		o := r.publish(slices.Clone(r.all))
		g := o.Manifest.Gate
		r.say("same", 1, *g, began)
		if !o.Promoted {
			t.Errorf("got %+v", g)
		}
	}
}
