package training

import (
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
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
