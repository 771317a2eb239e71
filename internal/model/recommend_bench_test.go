package model

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkRecommend asks for 10 movies of 9,000 with heads of rank 16 and 64, as a
// model of ml-latest-small has them.
func BenchmarkRecommend(b *testing.B) {
	f := withCounts(random(600, 9000, 16, 1), 64, 1)
	of := Recommender{&Version{Model: mustNew(b, f)}, NewUsers()}
	r := rand.New(rand.NewPCG(1, 1))
	for user := range int64(100) {
		for _, one := range someRatings(r, f, 10_000+user, 165) {
			of.Users.Learn(one)
		}
	}
	for name, q := range map[string]Query{
		"trained":    {User: f.Users[0]},
		"folded":     {User: 10_000},
		"popularity": {User: 10_000, Popularity: 0.2},
		"diverse":    {User: 10_000, Diversity: 0.3},
		"reasons":    {User: 10_000, Reasons: true},
		"liked":      {Anonymous: true, Liked: f.Movies[:5]},
		"cold":       {User: 99_999},
	} {
		b.Run(name, func(b *testing.B) {
			q.N = 10
			b.ReportAllocs()
			for n := int64(0); b.Loop(); n++ {
				if q.User == 10_000 {
					q := q
					q.User += n % 100
					of.Recommend(&q)
				} else {
					of.Recommend(&q)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lists/s")
		})
	}
	b.Run("similar", func(b *testing.B) {
		for b.Loop() {
			of.Similar(&Query{Movie: f.Movies[7], N: 10})
		}
	})
	b.Run("explain", func(b *testing.B) {
		for b.Loop() {
			of.Explain(&Query{User: 10_000, Movie: f.Movies[7]})
		}
	})
}
