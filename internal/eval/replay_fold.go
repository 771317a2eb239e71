package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// liveFactors are a trained model's, then the movies that were folded in, and
// last the movie that stands for all that the model does not know: one of bias 0
// and no factors.
type liveFactors struct {
	f       *als.Factors    // for Folders; its movies are not ascending
	rows    map[int64]int32 // of movies
	trained int             // movies that the model knows by training
	folder  *als.Folder     // to clone, once f is complete
}

// newLiveFactors returns the trained factors with room for more movies behind
// the first so many, whose uncertainty is the prior's.
func newLiveFactors(f *als.Factors, trained int, more []int64) (*liveFactors, error) {
	next := *f
	extra := len(more) + 1
	next.Movies = slices.Concat(f.Movies[:trained], more)
	next.MovieBias = slices.Concat(f.MovieBias[:trained], make([]float32, extra))
	next.MovieFactors = slices.Concat(f.MovieFactors[:trained*f.Rank], make([]float32, extra*f.Rank))
	next.MovieCounts = slices.Concat(f.MovieCounts[:trained], make([]int32, extra))
	if f.Posterior != nil {
		posterior := *f.Posterior
		size := als.Triangle(f.Rank + 1)
		prior, err := als.InvertTriangle(posterior.MoviePrecision, f.Rank+1)
		if err != nil {
			return nil, fmt.Errorf("prior of movies: %w", err)
		}
		posterior.MovieCovariance = slices.Concat(posterior.MovieCovariance[:trained*size], slices.Repeat(prior, extra))
		next.Posterior = &posterior
	}
	return &liveFactors{f: &next, rows: rowsOf(next.Movies), trained: trained}, nil
}

// row returns the row of a movie, the last one for those that are not known.
func (l *liveFactors) row(movie int64) int32 {
	if row, known := l.rows[movie]; known {
		return row
	}
	return int32(len(l.f.MovieBias) - 1)
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
	bias   float32   // of the user folded in last
	x      []float32 // of that user [rank]
}

func newUserFolder(live *liveFactors) *userFolder {
	return &userFolder{live: live, folder: live.folder.Clone(), x: make([]float32, live.f.Rank)}
}

// fold folds a user in, from all ratings; one without any has no bias and no
// factors.
func (u *userFolder) fold(h *history) error {
	u.rows = u.rows[:0]
	for _, movie := range h.movies {
		u.rows = append(u.rows, u.live.row(movie))
	}
	clear(u.x)
	var err error
	u.bias, err = u.folder.FoldIn(u.rows, h.values, u.x)
	if errors.Is(err, als.ErrNoKnownMovies) {
		return nil
	}
	return err
}

// predict predicts as would be served: clamped to the scale.
func (u *userFolder) predict(movie int64) float32 {
	f, row := u.live.f, int(u.live.row(movie))
	value := float64(f.Mean) + float64(u.bias) + float64(f.MovieBias[row])
	for c, y := range f.MovieFactors[row*f.Rank:][:f.Rank] {
		value += float64(u.x[c]) * float64(y)
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
	live, err := newLiveFactors(r.live.f, r.live.trained, movies)
	if err != nil {
		return err
	}
	f, rank := live.f, live.f.Rank
	errs := make([]error, len(movies))
	sideRows, folders := rowsOf(side.Movies), als.NewFolder(side)
	err = inParallel(ctx, r.Parameters.Threads, len(movies), func() func(int) {
		folder := folders.Clone()
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
			row := live.trained + k
			f.MovieBias[row], errs[k] = folder.FoldIn(rows, values, f.MovieFactors[row*rank:][:rank])
			f.MovieCounts[row] = int32(len(rows))
		}
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("folding movies in: %w", err)
	}
	r.result.FoldedMovies += len(movies)
	live.folder = als.NewFolder(f)
	r.live = live
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
	errs := make([]error, len(users))
	err := inParallel(ctx, r.Parameters.Threads, len(users), func() func(int) {
		folder := newUserFolder(r.live)
		return func(k int) {
			errs[k] = folder.fold(r.histories[users[k]])
			side.MovieBias[k] = folder.bias
			copy(side.MovieFactors[k*f.Rank:], folder.x)
			side.MovieCounts[k] = int32(len(folder.rows))
		}
	})
	r.result.FoldedUsers += len(users)
	return side, errors.Join(append(errs, err)...)
}
