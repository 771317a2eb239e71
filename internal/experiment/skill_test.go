package experiment

import (
	"math"
	"math/rand/v2"
	"testing"
)

// stream plays ratings of users who each are harder or easier to predict than
// others, and rate in bursts; swing makes all of them harder or easier.
func stream(s *Skill, version string, random *rand.Rand, ratings int, relative, swing float64) (windows []SkillWindow, falls int) {
	for done := 0; done < ratings; {
		user, noise := random.Int64N(500), swing*(0.4+random.Float64())
		for range 1 + random.IntN(40) {
			e := noise * random.NormFloat64()
			of := s.Observe(version, user, 3+relative*e, 3+e, 3)
			if of.Closed {
				windows = append(windows, of)
			}
			if of.Fallen {
				falls++
			}
			done++
		}
	}
	return windows, falls
}

func TestSkillFallsOnlyIfItIsBelowTheBaselineByMoreThanBefore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := &Skill{Window: 2000, Drop: 0.02}
	windows, falls := stream(s, "v1", random, 20_000, 0.95, 1)
	if len(windows) < 8 || falls > 0 {
		t.Fatalf("an unchanged model: %d windows, %d falls", len(windows), falls)
	}
	for _, w := range windows {
		if math.Abs(w.Skill-0.05) > 1e-9 || w.Users < leastEffectiveUsers {
			t.Errorf("window %+v, want a skill of .05", w)
		}
	}
	if _, falls := stream(s, "v1", random, 20_000, 0.95, 1.6); falls > 0 {
		t.Errorf("harder users are no fall of skill: %d falls", falls)
	}
	if _, falls := stream(s, "v1", random, 20_000, 0.94, 1); falls > 0 {
		t.Errorf("a better model: %d falls", falls)
	}
	if _, falls := stream(s, "v1", random, 20_000, 1, 1); falls != 1 {
		t.Errorf("a worse model fell %d times, want to be told once", falls)
	}
	if _, falls := stream(s, "v2", random, 20_000, 1.2, 1); falls > 0 {
		t.Errorf("a new version has a reference of its own: %d falls", falls)
	}
}

// TestSkillRarelyFallsByChance: errors of model and baseline are as correlated as
// those of real ones (.96 on MovieLens).
func TestSkillRarelyFallsByChance(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	windows, falls := 0, 0
	for range 40 {
		s := &Skill{Window: 2000, Drop: 0.01}
		for range 50_000 / 20 {
			user, noise := random.Int64N(500), 0.4+random.Float64()
			for range 20 {
				shared, own := random.NormFloat64(), random.NormFloat64()
				of := s.Observe("v", user, 3+noise*(0.9*shared+0.26*own), 3+noise*shared, 3)
				if of.Closed {
					windows++
				}
				if of.Fallen {
					falls++
				}
			}
		}
	}
	if rate := float64(falls) / float64(windows); windows < 500 || rate > 0.05 {
		t.Errorf("%d falls in %d windows of unchanged models", falls, windows)
	}
}

func TestAWindowWaitsForUsers(t *testing.T) {
	s := &Skill{Window: 100}
	for k := range 100*longestWindow - 1 {
		if s.Observe("v", int64(k%2), 3, 4, 3.5).Closed {
			t.Fatalf("a window of two users is closed after %d ratings", k+1)
		}
	}
	of := s.Observe("v", 1, 3, 4, 3.5)
	if !of.Closed || of.Ratings != 100*longestWindow || of.Users != 2 || of.Skill != 0 {
		t.Errorf("got %+v", of)
	}
	perfect := &Skill{Window: 1}
	for range longestWindow {
		of = perfect.Observe("v", 1, 3, 3, 3)
	}
	if !of.Closed || of.Skill != 0 || !math.IsInf(of.Error, 1) {
		t.Errorf("a baseline without errors: %+v", of)
	}
}
