package eval

import (
	"context"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// PreferenceTest measures a head that ranks by itself, while it is trained.
type PreferenceTest struct {
	users   *audience
	threads int
}

// NewPreferenceTest measures heads whose rows are those of train on a test part;
// threads 0 means one per CPU.
func NewPreferenceTest(train *ratings.Matrix, test []ratings.Rating, threads int) PreferenceTest {
	f := &als.Factors{
		Users: train.Users, Movies: train.Movies, UserBias: make([]float32, len(train.Users)), MovieBias: make([]float32, len(train.Movies)),
		UserCounts: make([]int32, len(train.Users)), MovieCounts: make([]int32, len(train.Movies)), Lambda: 1,
	}
	for u := range f.UserCounts {
		movies, _ := train.User(u)
		f.UserCounts[u] = int32(len(movies))
	}
	for i := range f.MovieCounts {
		users, _ := train.Movie(i)
		f.MovieCounts[i] = int32(len(users))
	}
	return PreferenceTest{newAudience(f, train, test), threads}
}

// Users is how many have relevant test ratings; without them there is nothing to
// measure.
func (t PreferenceTest) Users() int { return len(t.users.users) }

// NDCG10 is that of the rankings by head's score x·y alone, whatever its β.
func (t PreferenceTest) NDCG10(ctx context.Context, head *als.Preference) (float64, error) {
	alone, with := *head, *t.users.f
	alone.Beta = 0
	with.Preference = &alone
	m, err := model.New(&with, model.MovieLensScale)
	if err != nil {
		return 0, err
	}
	ranking, _, err := t.users.byModel(ctx, m, topDepth, t.threads)
	return ranking.NDCG10, err
}
