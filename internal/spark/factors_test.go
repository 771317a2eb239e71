package spark

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestARealModelPredictsWhatItsFactorsSay(t *testing.T) {
	saved, err := Read(t.Context(), realFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(saved.Explicit(nil, .1), model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	for u, user := range saved.Users.IDs {
		i := u * len(saved.Items.IDs) / len(saved.Users.IDs)
		if got, want := m.Mean(int64(user), int64(saved.Items.IDs[i])), saved.predict(u, i); math.Abs(got-want) > 1e-5 {
			t.Fatalf("user %d, movie %d: %v, want %v", user, saved.Items.IDs[i], got, want)
		}
	}
}

// predict is Spark's prediction of a user row and an item row.
func (m *Model) predict(u, i int) (sum float64) {
	for c := range m.Rank {
		sum += float64(m.Users.Factors[u*m.Rank+c]) * float64(m.Items.Factors[i*m.Rank+c])
	}
	return sum
}

func biased() *als.Factors {
	return &als.Factors{
		Rank: 1, Mean: 3.5, Users: []int64{1, 2}, Movies: []int64{10, 20, 30}, UserBias: []float32{.25, -1}, MovieBias: []float32{.5, 0, -2},
		UserFactors: []float32{1, -2}, MovieFactors: []float32{3, 0, 1}, UserCounts: []int32{2, 1}, MovieCounts: []int32{1, 1, 1}, Lambda: 1,
		Preference: &als.Preference{Rank: 2, UserFactors: []float32{1, 2, 3, 4}, MovieFactors: []float32{1, 0, 0, 1, 1, 1}, Alpha: 1, Lambda: 1},
	}
}

func TestBiasesAreTwoMoreRanks(t *testing.T) {
	f := biased()
	m, err := FromRatings(f, time.UnixMilli(5))
	if err != nil {
		t.Fatal(err)
	}
	if m.Rank != 3 {
		t.Errorf("rank %d", m.Rank)
	}
	for u := range f.Users {
		for i := range f.Movies {
			if got, want := m.predict(u, i), f.Predict(u, i); math.Abs(got-want) > 1e-6 {
				t.Errorf("user %d, movie %d: %v, want %v", u, i, got, want)
			}
		}
	}
	if lost := strings.Join(Lost(f, false), ", "); !strings.Contains(lost, "head that ranks") || strings.Contains(lost, "how sure") {
		t.Errorf("lost is %s", lost)
	}
	if m, err = FromPreference(f, time.UnixMilli(5)); err != nil || m.Rank != 2 || m.predict(1, 2) != 7 {
		t.Errorf("the head that ranks: %+v, %v", m, err)
	}
}

func TestWhatCameFromSparkGoesBackWithoutMoreRanks(t *testing.T) {
	saved := small()
	m, err := FromRatings(saved.Explicit(nil, .1), saved.Saved)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "model")
	if err := m.Write(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	same(t, saved, os.DirFS(folder))
}

func TestIDsThatSparkCannotHaveAreRefused(t *testing.T) {
	for _, c := range []struct{ user, movie int64 }{{1 << 31, 10}, {math.MinInt32 - 1, 10}, {1, 3_000_000_000}} {
		f := biased()
		f.Users, f.Movies = []int64{min(c.user, 0), max(c.user, 1)}, []int64{10, 11, max(c.movie, 12)}
		_, err := FromRatings(f, time.UnixMilli(5))
		if !errors.Is(err, ErrID) || !strings.Contains(err.Error(), "lies outside -2147483648 to 2147483647") {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	f := biased()
	f.Users = []int64{math.MinInt32, math.MaxInt32}
	if _, err := FromRatings(f, time.UnixMilli(5)); err != nil {
		t.Error(err)
	}
}

func TestNumbersOfRatingsComeFromTheRatings(t *testing.T) {
	rated, err := ratings.NewMatrix([]ratings.Rating{
		{User: 1, Movie: 10, Value: 4, Time: 1}, {User: 1, Movie: 20, Value: 5, Time: 2}, {User: 2, Movie: 20, Value: 1, Time: 3}, // Spark does not know 2
	})
	if err != nil {
		t.Fatal(err)
	}
	f := small().Explicit(rated, .1) // users -4, 1, 7; movies 10, 20
	if f.UserCounts[0] != 1 || f.UserCounts[1] != 2 || f.UserCounts[2] != 1 || f.MovieCounts[0] != 1 || f.MovieCounts[1] != 2 {
		t.Errorf("counts %v, %v", f.UserCounts, f.MovieCounts)
	}
	if !f.Unbiased || f.Mean != 0 || f.Rank != 2 || f.Preference != nil {
		t.Errorf("got %+v", f)
	}
	f, err = small().Implicit(t.Context(), rated, als.DefaultPreference())
	if err != nil {
		t.Fatal(err)
	}
	if f.Rank != 0 || f.Preference.Rank != 2 || f.Preference.Beta != 0 || math.Abs(float64(f.Mean)-10./3) > 1e-6 || f.UserBias[1] <= 0 || f.UserBias[0] != 0 {
		t.Errorf("got %+v", f)
	}
	if f, err = small().Implicit(t.Context(), nil, als.DefaultPreference()); err != nil || f.Mean != 2.75 {
		t.Errorf("without ratings: %+v, %v", f, err)
	}
}

func TestAFolderThatHoldsSomethingIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	if err := small().Write(t.Context(), folder); err != nil { // it is empty
		t.Fatal(err)
	}
	before := files(t, folder)
	if err := small().Write(t.Context(), folder); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), folder) {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := small().Write(t.Context(), path); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if after := files(t, folder); len(after) != len(before) {
		t.Errorf("%d files were %d", len(after), len(before))
	}
	parent := t.TempDir()
	if err := small().Write(cancelled(t), filepath.Join(parent, "model")); err == nil {
		t.Error("it was written though the context had ended")
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
