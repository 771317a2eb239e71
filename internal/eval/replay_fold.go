package eval

import (
	"context"
	"errors"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// liveFactors are a trained model's, with the movies that were folded in behind
// its own.
type liveFactors struct {
	f       *als.Factors    // for Folders; its movies are not ascending
	rows    map[int64]int32 // of movies
	trained int             // movies that the model knows by training
}

func newLiveFactors(trained *als.Factors) *liveFactors {
	return &liveFactors{f: trained, rows: rowsOf(trained.Movies), trained: len(trained.Movies)}
}

func rowsOf(ids []int64) map[int64]int32 {
	rows := make(map[int64]int32, len(ids))
	for row, id := range ids {
		rows[id] = int32(row)
	}
	return rows
}

// userFolder folds one user after another into live factors. It is not safe for
// concurrent use.
type userFolder struct {
	live   *liveFactors
	folder *als.Folder
	rows   []int32
	values []float32
	known  bool      // whether factors were found
	bias   float32   // of the user folded in last
	x      []float32 // of that user [rank]
}

func newUserFolder(live *liveFactors) *userFolder {
	return &userFolder{live: live, folder: als.NewFolder(live.f), x: make([]float32, live.f.Rank)}
}

// fold folds a user in. One who rated no movie that the model knows has a bias
// from the ratings' distance to the mean, and no factors.
func (u *userFolder) fold(h *history) {
	u.rows, u.values = u.rows[:0], u.values[:0]
	for k, movie := range h.movies {
		if row, known := u.live.rows[movie]; known {
			u.rows = append(u.rows, row)
			u.values = append(u.values, h.values[k])
		}
	}
	var err error
	u.bias, err = u.folder.FoldIn(u.rows, u.values, u.x)
	if u.known = !errors.Is(err, als.ErrNoKnownMovies); !u.known {
		f := u.live.f
		u.bias = float32(foldBias(len(h.values), f, func(k int) float64 { return float64(h.values[k] - f.Mean) }))
		clear(u.x)
	}
}

// predict predicts as would be served: clamped to the scale.
func (u *userFolder) predict(movie int64) float32 {
	f := u.live.f
	value := float64(f.Mean) + float64(u.bias)
	if row, known := u.live.rows[movie]; known {
		value += float64(f.MovieBias[row])
		for c, y := range f.MovieFactors[int(row)*f.Rank:][:f.Rank] {
			value += float64(u.x[c]) * float64(y)
		}
	}
	return model.MovieLensScale.Clamp(float32(value))
}

// foldMovies folds in the movies that the model does not know and that have
// enough raters, with all raters as they are now held fixed: the same problem
// with the sides exchanged. Raters are folded in with the movies as they were.
func (r *replayRun) foldMovies(ctx context.Context) error {
	raters := r.ratersOfNewMovies()
	movies := sortedKeys(raters)
	side, err := r.foldRaters(ctx, raters)
	if err != nil {
		return err
	}
	f, rank := r.live.f, r.live.f.Rank
	next := *f
	n := r.live.trained + len(movies)
	next.Movies = slices.Concat(f.Movies[:r.live.trained], movies)
	next.MovieBias = slices.Grow(slices.Clone(f.MovieBias[:r.live.trained]), len(movies))[:n]
	next.MovieFactors = slices.Grow(slices.Clone(f.MovieFactors[:r.live.trained*rank]), len(movies)*rank)[:n*rank]
	next.MovieCounts = slices.Grow(slices.Clone(f.MovieCounts[:r.live.trained]), len(movies))[:n]
	sideRows := rowsOf(side.Movies)
	err = inParallel(ctx, r.Parameters.Threads, len(movies), func() func(int) {
		folder := als.NewFolder(side)
		var rows []int32
		var values []float32
		return func(k int) {
			rows, values = rows[:0], values[:0]
			for _, user := range raters[movies[k]] {
				h := r.histories[user]
				at, _ := slices.BinarySearch(h.movies, movies[k])
				rows = append(rows, sideRows[user])
				values = append(values, h.values[at])
			}
			row := r.live.trained + k
			next.MovieBias[row], _ = folder.FoldIn(rows, values, next.MovieFactors[row*rank:][:rank]) // there are raters
			next.MovieCounts[row] = int32(len(rows))
		}
	})
	if err != nil {
		return err
	}
	r.result.FoldedMovies += len(movies)
	r.live = &liveFactors{f: &next, rows: rowsOf(next.Movies), trained: r.live.trained}
	return nil
}

// ratersOfNewMovies are the users, ascending, of each movie that is to be folded
// in.
func (r *replayRun) ratersOfNewMovies() map[int64][]int64 {
	raters := map[int64][]int64{}
	for _, user := range sortedKeys(r.histories) {
		for _, movie := range r.histories[user].movies {
			if row, known := r.live.rows[movie]; !known || int(row) >= r.live.trained {
				raters[movie] = append(raters[movie], user)
			}
		}
	}
	for movie, users := range raters {
		if len(users) < foldedRaters {
			delete(raters, movie)
		}
	}
	return raters
}

// foldRaters returns the raters as the movies of a model whose sides are
// exchanged.
func (r *replayRun) foldRaters(ctx context.Context, raters map[int64][]int64) (*als.Factors, error) {
	set := map[int64]bool{}
	for _, users := range raters {
		for _, user := range users {
			set[user] = true
		}
	}
	f := r.live.f
	users := sortedKeys(set)
	side := &als.Factors{
		Rank: f.Rank, Mean: f.Mean, Lambda: f.Lambda, Nu: f.Nu, Movies: users,
		MovieBias: make([]float32, len(users)), MovieFactors: make([]float32, len(users)*f.Rank), MovieCounts: make([]int32, len(users)),
	}
	err := inParallel(ctx, r.Parameters.Threads, len(users), func() func(int) {
		folder := newUserFolder(r.live)
		return func(k int) {
			folder.fold(r.histories[users[k]])
			side.MovieBias[k] = folder.bias
			copy(side.MovieFactors[k*f.Rank:], folder.x)
			side.MovieCounts[k] = int32(len(folder.rows))
		}
	})
	r.result.FoldedUsers += len(users)
	return side, err
}
