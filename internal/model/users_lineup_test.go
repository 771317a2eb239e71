package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// TestVersionsThatPredictInTurnsPredictAsIfEachWereAlone: each version has users
// of its own to compare with. There are more versions than sums that are kept.
func TestVersionsThatPredictInTurnsPredictAsIfEachWereAlone(t *testing.T) {
	var versions []*Version
	var alone []*Users
	for k := range keptSums + 2 {
		versions = append(versions, &Version{Model: mustNew(t, random(10, 30, 4, uint64(k))), Name: fmt.Sprint(k)})
		alone = append(alone, NewUsers())
	}
	together := NewUsers()
	random := rand.New(rand.NewPCG(5, 5))
	predicted := make([]Prediction, len(versions))
	for k := range 20_000 {
		r := ratings.Rating{User: random.Int64N(12), Movie: random.Int64N(40)*2 + 1, Value: float32(random.IntN(10)+1) / 2, Time: random.Int64N(50)}
		learn := random.IntN(3) > 0
		from := random.IntN(len(versions))
		some := versions[from : from+random.IntN(len(versions)-from)+1]
		switch random.IntN(4) {
		case 0:
			predicted[0] = together.Predict(some[0].Model, r.User, r.Movie)
			some, learn = some[:1], false
		case 1:
			some, learn = some[:1], true
			predicted[0] = together.PredictAndLearn(some[0].Model, r)
		default:
			together.PredictEach(some, r, learn, predicted)
		}
		for i, v := range some {
			if want := alone[from+i].Predict(v.Model, r.User, r.Movie); predicted[i] != want {
				t.Fatalf("step %d, version %s of %d: %+v together, %+v alone", k, v.Name, len(some), predicted[i], want)
			}
		}
		if learn {
			for _, users := range alone {
				users.Learn(r)
			}
		}
	}
}

func TestALineUpKnowsWhoServesWhom(t *testing.T) {
	m := mustNew(t, small())
	one, two, three := &Version{Model: m, Name: "v1"}, &Version{Model: m, Name: "v2"}, &Version{Model: m, Name: "v3"}
	l := NewLineUp(7, one, []Challenger{
		{Version: two, Role: "challenger:previous"},
		{Version: three, Role: "challenger:b", Share: 1},
		{Version: two, Role: "challenger:a", Share: 0.25},
	})
	if got := l.Versions(); len(got) != 3 || got[0] != one || got[1] != two || got[2] != three {
		t.Fatalf("versions %v", got)
	}
	if l.Role(0) != "" || l.Role(1) != "challenger:a" || l.Role(2) != "challenger:b" {
		t.Errorf("roles %q, %q, %q", l.Role(0), l.Role(1), l.Role(2))
	}
	served := map[string]int{}
	for user := range int64(10_000) {
		at, role := l.Serving(user)
		served[l.Versions()[at].Name+" as "+role]++
	}
	if len(served) != 2 || served["v2 as challenger:a"] < 2300 || served["v2 as challenger:a"] > 2700 {
		t.Errorf("served are %v", served)
	}
	if at, role := NewLineUp(1, one, nil).Serving(3); at != 0 || role != "" {
		t.Errorf("without challengers place %d as %q serves", at, role)
	}
}

// BenchmarkPredictEach is a rating event with one challenger in shadow.
func BenchmarkPredictEach(b *testing.B) {
	versions := []*Version{{Model: mustNew(b, random(600, 9000, 64, 1))}, {Model: mustNew(b, random(600, 9000, 64, 2))}}
	users := NewUsers()
	for k := range 1000 {
		users.Learn(ratings.Rating{User: 4, Movie: int64(k*20 + 5), Value: 4})
	}
	predicted := make([]Prediction, len(versions))
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		users.PredictEach(versions, ratings.Rating{User: 4, Movie: n*7%1000*20 + 5, Value: 3, Time: n}, true, predicted)
	}
}
