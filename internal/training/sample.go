package training

import (
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Sample keeps all ratings of some users, chosen by a hash of their ids, so that no
// more than Limit ratings are kept of however many are added: what a gate judges by
// when a version was trained on more ratings than fit into memory. The zero value
// keeps all.
type Sample struct {
	Limit   int // 0 for none
	Ratings []ratings.Rating

	halvings int
}

// sampleSeed keeps who is sampled apart from what is held out.
const sampleSeed = holdoutSeed + 2

// Share is the share of the users whose ratings are kept.
func (s *Sample) Share() float64 { return 1 / float64(int64(1)<<s.halvings) }

// Add takes ratings over, in any order, but for those of users who are not in the
// sample, who become more if it is too large.
func (s *Sample) Add(batch []ratings.Rating) {
	for _, r := range batch {
		if s.keeps(r.User) {
			s.Ratings = append(s.Ratings, r)
		}
	}
	for s.Limit > 0 && len(s.Ratings) > s.Limit && s.halvings < 40 {
		s.halvings++
		s.Ratings = slices.DeleteFunc(s.Ratings, func(r ratings.Rating) bool { return !s.keeps(r.User) })
	}
}

func (s *Sample) keeps(user int64) bool {
	return s.halvings == 0 || eval.InTest(sampleSeed, s.Share(), user, 0)
}
