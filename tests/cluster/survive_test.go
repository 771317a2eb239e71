//go:build cluster

package cluster

import (
	"context"
	"testing"
	"time"
)

// TestNothingThatDiesCostsAMessage runs all pipelines on three nodes of each
// server, two predictors among them, and has one after the other die.
func TestNothingThatDiesCostsAMessage(t *testing.T) {
	s := sharedSystem(t, 3)
	f := s.startFleet(t, 2)
	for _, wrong := range matrix() {
		t.Run(wrong.name, func(t *testing.T) { s.suffer(t, f, wrong) })
	}
}

// TestTwoOfThreeCassandraNodesAreAway has ingest wait, say why, and go on by
// itself.
func TestTwoOfThreeCassandraNodesAreAway(t *testing.T) {
	s := sharedSystem(t, 3)
	f := s.startFleet(t, 2)
	const away = 8 * time.Second
	s.suffer(t, f, fault{"kill -9 of two of three Cassandra nodes", away, func(t *testing.T, s *system, f *fleet) {
		before := len(f.ingest.problems())
		for _, node := range s.cassandra.Nodes[:2] {
			if err := node.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		killed := time.Now()
		t.Log(f.ingest.says(t, "is away, trying again", "LOCAL_QUORUM"))
		t.Logf("told %.1f s after the kill", time.Since(killed).Seconds())
		time.Sleep(away)
		if n := len(f.ingest.problems()) - before; n > 4 { // the store's and the output's, twice where the nodes died apart
			t.Errorf("ingest says the same again and again: %d lines\n%s", n, f.ingest.tail())
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		began := time.Now()
		if err := s.cassandra.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("the nodes were back after %.1f s", time.Since(began).Seconds())
	}})
	t.Log(f.ingest.says(t, "takes ratings again"))
}
