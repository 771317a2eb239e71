package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// TestAGroupsListIsByTheMeanOfItsMembersScores, of members as trained, who rated
// since, and of whom nothing is known.
func TestAGroupsListIsByTheMeanOfItsMembersScores(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			f := withCounts(random(9, 300, []int{1, 5, 16}[seed%3], seed), []int{0, 7}[seed%2], seed)
			users := NewUsers()
			of := Recommender{&Version{Model: mustNew(t, f)}, users}
			members := []int64{f.Users[r.IntN(9)], f.Users[r.IntN(9)], 10_001, 99_999}
			seen := map[int64]bool{}
			for _, one := range someRatings(r, f, 10_001, 30) {
				users.Learn(one)
				seen[one.Movie] = true
			}
			popularity := []float64{0, 0.3, -1}[seed%3]
			sum, count := map[int64]float64{}, 0.0
			for _, user := range sortedIDs(members[:3]) {
				count++
				for _, item := range of.Recommend(&Query{User: user, N: len(f.Movies), WithSeen: true, Popularity: popularity}).Items {
					sum[item.Movie] += float64(item.Score)
				}
			}
			answer := of.Recommend(&Query{Users: append(members, members[0]), N: 40, Offset: 5, Popularity: popularity})
			if answer.ColdUser || answer.Basis != ByUser || len(answer.Items) != 40 {
				t.Fatalf("%d items, %+v", len(answer.Items), answer.Basis)
			}
			var order []int64
			for _, movie := range f.Movies {
				if !seen[movie] {
					order = append(order, movie)
				}
			}
			slices.SortFunc(order, func(a, b int64) int {
				return compareScored(Scored{Movie: a, Score: float32(sum[a])}, Scored{Movie: b, Score: float32(sum[b])})
			})
			for k, item := range answer.Items {
				// float32 of at most 16 products of numbers about 1: neighbours in the order may change places
				if seen[item.Movie] || math.Abs(float64(item.Score)-sum[item.Movie]/count) > 1e-4 || math.Abs(sum[item.Movie]-sum[order[k+5]])/count > 1e-4 {
					t.Errorf("place %d: %+v, the mean is %v, that of movie %d %v", k, item, sum[item.Movie]/count, order[k+5], sum[order[k+5]]/count)
				}
			}
		})
	}
}

func TestAGroupOfOneIsTheUserAndAnUnknownOneIsPopular(t *testing.T) {
	f := withCounts(random(9, 200, 5, 1), 7, 1)
	users := NewUsers()
	users.Learn(ratings.Rating{User: 77, Movie: f.Movies[3], Value: 4, Time: 5})
	of := Recommender{&Version{Model: mustNew(t, f)}, users}
	for _, user := range []int64{f.Users[2], 77, 99_999} {
		one, group := of.Recommend(&Query{User: user, N: 20}), of.Recommend(&Query{Users: []int64{user}, N: 20})
		if fmt.Sprint(one) != fmt.Sprint(group) {
			t.Errorf("user %d:\n%+v\n%+v", user, one, group)
		}
	}
}
