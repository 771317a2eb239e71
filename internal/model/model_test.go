package model

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// small is a model to check by hand: μ = 3, two users, three movies, rank 2.
func small() *als.Factors {
	return &als.Factors{
		Rank: 2, Mean: 3, Lambda: 1, Nu: 0,
		Users: []int64{1, 7}, UserBias: []float32{0.5, -0.25}, UserFactors: []float32{1, 0, 0, 1}, UserCounts: []int32{2, 1},
		Movies: []int64{10, 20, 30}, MovieBias: []float32{0.25, -0.5, 4}, MovieFactors: []float32{0.5, 0, 0, 0.5, 0, 0}, MovieCounts: []int32{1, 1, 1},
	}
}

func mustNew(t testing.TB, f *als.Factors) *Model {
	t.Helper()
	m, err := New(f, MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func random(users, movies, rank int, seed uint64) *als.Factors {
	r := rand.New(rand.NewPCG(seed, 0))
	numbers := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64() * scale)
		}
		return v
	}
	f := &als.Factors{Rank: rank, Mean: 3.5, Lambda: 1.25, Nu: 0.5, UserCounts: make([]int32, users), MovieCounts: make([]int32, movies)}
	for u := range users {
		f.Users = append(f.Users, int64(u*3+1))
	}
	for i := range movies {
		f.Movies = append(f.Movies, int64(i*2+5))
	}
	f.UserBias, f.MovieBias = numbers(users, 0.4), numbers(movies, 0.4)
	f.UserFactors, f.MovieFactors = numbers(users*rank, 0.3), numbers(movies*rank, 0.3)
	return f
}

func TestPredictionsAreTheSumOfWhatIsKnown(t *testing.T) {
	m := mustNew(t, small())
	tests := map[string]struct {
		user, movie int64
		want        Prediction
	}{
		"a known pair":          {1, 10, Prediction{Value: 3 + 0.5 + 0.25 + 0.5}},
		"another known pair":    {7, 20, Prediction{Value: 3 - 0.25 - 0.5 + 0.5}},
		"a prediction too high": {1, 30, Prediction{Value: 5}},
		"a cold user":           {2, 20, Prediction{Value: 2.5, ColdUser: true}},
		"a cold movie":          {1, 11, Prediction{Value: 3.5, ColdMovie: true}},
		"both cold":             {2, 11, Prediction{Value: 3, ColdUser: true, ColdMovie: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := m.Predict(test.user, test.movie); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTopNOrdersAsSortingAllPredictions(t *testing.T) {
	for _, rank := range []int{0, 1, 5, 16} {
		m := mustNew(t, random(20, 200, rank, uint64(rank)))
		for _, user := range []int64{1, 31, 999} {
			exclude := func(movie int64) bool { return movie%7 == 0 }
			var all []Scored
			for i, movie := range m.factors.Movies {
				if !exclude(movie) {
					all = append(all, Scored{Movie: movie, Score: float32(m.fixed(m.row(m.users, user), i))})
				}
			}
			slices.SortFunc(all, compareScored)
			for _, n := range []int{1, 10, 500} {
				got := m.TopN(user, n, exclude)
				if len(got) != min(n, len(all)) {
					t.Fatalf("rank %d: %d of %d items", rank, len(got), n)
				}
				for k := range got {
					if got[k].Movie != all[k].Movie {
						t.Fatalf("rank %d user %d: place %d has movie %d, want %d", rank, user, k, got[k].Movie, all[k].Movie)
					}
					if want := m.Predict(user, got[k].Movie).Value; math.Abs(float64(got[k].Score-want)) > 1e-5 { // float32 rounding
						t.Fatalf("rank %d: score %v, predicted %v", rank, got[k].Score, want)
					}
				}
			}
		}
	}
}

// TestTheHeadThatRanksOrdersTheList compares with the score as Preference
// defines it, in float64.
func TestTheHeadThatRanksOrdersTheList(t *testing.T) {
	f := random(20, 700, 5, 1)
	head := random(20, 700, 9, 2)
	f.Preference = &als.Preference{Rank: 9, UserFactors: head.UserFactors, MovieFactors: head.MovieFactors, Alpha: 0.1, Lambda: 5, Beta: 0.3}
	m := mustNew(t, f)
	for _, user := range []int64{f.Users[0], f.Users[19]} {
		u := m.row(m.users, user)
		score := func(i int) float64 {
			sum := 0.3 * (m.fixed(u, i) - float64(f.Mean))
			for c := range 9 {
				sum += float64(head.UserFactors[u*9+c]) * float64(head.MovieFactors[i*9+c])
			}
			return sum
		}
		last := math.Inf(1)
		for _, item := range m.TopN(user, 700, nil) {
			i := m.row(m.movies, item.Movie)
			if want := score(i); math.Abs(float64(item.Score)-want) > 1e-4 || want > last+1e-4 { // float32 sums of values up to 10
				t.Fatalf("movie %d has score %v after %v, want %v", item.Movie, item.Score, last, want)
			}
			last = score(i)
			if want := m.Predict(user, item.Movie).Value; item.Prediction != want {
				t.Fatalf("movie %d has prediction %v, want %v", item.Movie, item.Prediction, want)
			}
		}
	}
	var file bytes.Buffer
	if _, err := m.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	back, err := Decode(file.Bytes())
	if err != nil || !reflect.DeepEqual(back.Factors(), f) {
		t.Errorf("after writing and reading the model differs, error %v", err)
	}
	f.Preference.MovieFactors = f.Preference.MovieFactors[1:]
	if _, err := New(f, MovieLensScale); err == nil || !strings.Contains(err.Error(), "preference tensors do not fit") {
		t.Errorf("a preference factor too few: %v", err)
	}
}

func TestAModelThatDoesNotFitTogetherIsRefused(t *testing.T) {
	tests := map[string]struct {
		break_ func(*als.Factors)
		want   string
	}{
		"a bias too few":    {func(f *als.Factors) { f.UserBias = f.UserBias[1:] }, "user tensors do not fit together"},
		"a factor too many": {func(f *als.Factors) { f.MovieFactors = append(f.MovieFactors, 1) }, "movie tensors do not fit together"},
		"ids twice":         {func(f *als.Factors) { f.Movies = []int64{10, 10, 30} }, "movie ids are not ascending at row 1"},
		"a NaN bias":        {func(f *als.Factors) { f.MovieBias[1] = float32(math.NaN()) }, "bias of movie 20 is NaN"},
		"infinite factors":  {func(f *als.Factors) { f.UserFactors[3] = float32(math.Inf(1)) }, "factor 1 of user 7 is +Inf"},
		"a NaN mean":        {func(f *als.Factors) { f.Mean = float32(math.NaN()) }, "mean NaN is not finite"},
		"a negative λ":      {func(f *als.Factors) { f.Lambda = -1 }, "regularization"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := small()
			test.break_(f)
			if _, err := New(f, MovieLensScale); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestAModelSurvivesItsFile(t *testing.T) {
	for _, f := range []*als.Factors{small(), random(30, 50, 7, 1), random(3, 4, 0, 2), {Mean: 3, Lambda: 1}} {
		m := mustNew(t, f)
		var first, second bytes.Buffer
		if _, err := m.WriteTo(&first); err != nil {
			t.Fatal(err)
		}
		if _, err := m.WriteTo(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Error("equal models give different bytes")
		}
		again, err := Decode(first.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var third bytes.Buffer
		if _, err := again.WriteTo(&third); err != nil || !bytes.Equal(first.Bytes(), third.Bytes()) {
			t.Errorf("reading and writing again gives other bytes (%v)", err)
		}
	}
}

func TestADamagedFileIsRefusedNotServed(t *testing.T) {
	var file bytes.Buffer
	if _, err := mustNew(t, small()).WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	for n := range whole {
		if _, err := Decode(whole[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	replace := func(old, new string) []byte { return bytes.Replace(whole, []byte(old), []byte(new), 1) }
	for name, data := range map[string][]byte{
		"another type":    replace(`"dtype":"I64"`, `"dtype":"F64"`),
		"another format":  replace(formatName, "recsys-benthos/9"),
		"a missing name":  replace(`"mean"`, `"mead"`),
		"another shape":   replace(`"shape":[3,2]`, `"shape":[2,3]`),
		"a negative size": replace(`"shape":[3,2]`, `"shape":[3,-]`),
		"bad metadata":    replace(`"lambda":"1"`, `"lambda":"x"`),
	} {
		if _, err := Decode(data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOnlineBiasesEqualTheirClosedForm(t *testing.T) {
	m := mustNew(t, small()) // λ·n^0 = 1
	users := NewUsers()
	users.Learn(ratings.Rating{User: 1, Movie: 20, Value: 4.5, Time: 1}) // residual 4.5 − 2.5 = 2
	if got := users.Predict(m, 1, 11); got.Value != 4 || got.ColdUser {
		t.Errorf("after one rating: %+v, want 3 + 2/(1+1)", got)
	}
	users.Learn(ratings.Rating{User: 1, Movie: 10, Value: 4.25, Time: 2}) // residual 4.25 − 3.75 = 0.5
	if got, want := users.Predict(m, 1, 11).Value, float32(3+2.5/3); math.Abs(float64(got-want)) > 1e-6 {
		t.Errorf("after two ratings: %v, want %v", got, want)
	}
	// The pair's own rating has no part in its prediction.
	if got, want := users.Predict(m, 1, 20).Value, float32(2.5+0.5/2); math.Abs(float64(got-want)) > 1e-6 {
		t.Errorf("a rated pair: %v, want %v", got, want)
	}
	users.Forget(ratings.Forgotten{User: 1, Time: 2})
	if got := users.Predict(m, 1, 11); got.Value != 3 || !got.ColdUser {
		t.Errorf("after forgetting: %+v, want 3 of a cold user", got)
	}
}

func TestLearningDoesNotDependOnOrderOrRepetition(t *testing.T) {
	m := mustNew(t, random(10, 30, 4, 3))
	events := []ratings.Rating{}
	for k := range 60 {
		events = append(events, ratings.Rating{User: int64(k % 4), Movie: int64(k%13)*2 + 5, Value: float32(k%10+1) / 2, Time: int64(k * 7 % 11)})
	}
	learn := func(order []int) *Users {
		u := NewUsers()
		for _, k := range order {
			u.Learn(events[k])
		}
		return u
	}
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(events))
	first := learn(order)
	slices.Reverse(order)
	second := learn(append(order, order...))
	for user := range int64(4) {
		for _, movie := range m.factors.Movies {
			a, b := first.Predict(m, user, movie), second.Predict(m, user, movie)
			if a != b {
				t.Fatalf("user %d movie %d: %+v and %+v", user, movie, a, b)
			}
		}
	}
}

func TestBiasesFollowTheModelThatAsks(t *testing.T) {
	a, b := mustNew(t, random(10, 30, 4, 3)), mustNew(t, random(10, 30, 4, 4))
	users, fresh := NewUsers(), NewUsers()
	r := ratings.Rating{User: 4, Movie: 5, Value: 5}
	users.Learn(r)
	fresh.Learn(r)
	users.Predict(a, 4, 7)
	if got, want := users.Predict(b, 4, 7), fresh.Predict(b, 4, 7); got != want {
		t.Errorf("after a swap %+v, from scratch %+v", got, want)
	}
}

// TestPredictingAndLearningInOneStepIsTheSame also swaps models on the way: the
// sum that is kept up has to be the one from scratch.
func TestPredictingAndLearningInOneStepIsTheSame(t *testing.T) {
	models := []*Model{mustNew(t, random(10, 30, 4, 3)), mustNew(t, random(10, 30, 4, 4))}
	atOnce, inTurn := NewUsers(), NewUsers()
	random := rand.New(rand.NewPCG(2, 2))
	for k := range 2000 {
		m := models[k/300%2]
		r := ratings.Rating{User: random.Int64N(12), Movie: random.Int64N(40)*2 + 1, Value: float32(random.IntN(10)+1) / 2, Time: random.Int64N(50)}
		want := inTurn.Predict(m, r.User, r.Movie)
		inTurn.Learn(r)
		if got := atOnce.PredictAndLearn(m, r); got != want {
			t.Fatalf("rating %d %+v: at once %+v, in turn %+v", k, r, got, want)
		}
	}
}

func TestRequestsWaitForTheFirstLineUp(t *testing.T) {
	live := NewLive()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := live.Wait(ctx); !errors.Is(err, context.Canceled) || live.Current() != nil {
		t.Fatalf("waiting without a model: %v", err)
	}
	version := &Version{Model: mustNew(t, small())}
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if l, err := live.Wait(t.Context()); err != nil || l.Champion != version {
				t.Errorf("got %v, %v", l, err)
			}
		})
	}
	for sequence := range int64(5) {
		live.Swap(NewLineUp(sequence+1, version, nil))
	}
	wait.Wait()
	if got := live.LineUp().Sequence; got != 5 || live.Current() != version {
		t.Errorf("promotion %d serves, want 5", got)
	}
}

func BenchmarkPredictWithOnlineBias(b *testing.B) {
	m, users := mustNew(b, random(600, 9000, 64, 1)), NewUsers()
	for k := range 50 {
		users.Learn(ratings.Rating{User: 4, Movie: int64(k*20 + 5), Value: 4})
	}
	b.ReportAllocs()
	for b.Loop() {
		users.Predict(m, 4, 4001)
	}
}

// BenchmarkPredictAndLearn is a rating event of a user with many ratings.
func BenchmarkPredictAndLearn(b *testing.B) {
	m, users := mustNew(b, random(600, 9000, 64, 1)), NewUsers()
	for k := range 1000 {
		users.Learn(ratings.Rating{User: 4, Movie: int64(k*20 + 5), Value: 4})
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		n++
		users.PredictAndLearn(m, ratings.Rating{User: 4, Movie: n*7%1000*20 + 5, Value: 3, Time: n})
	}
}

// TestAFileThatIsNotAlignedIsReadTheSame: files of others need not be.
func TestAFileThatIsNotAlignedIsReadTheSame(t *testing.T) {
	f := random(30, 50, 7, 1)
	var file bytes.Buffer
	if _, err := mustNew(t, f).WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	for shift := range 8 {
		data := append(make([]byte, shift), file.Bytes()...)
		m, err := Decode(data[shift:])
		if err != nil || !reflect.DeepEqual(m.Factors(), f) {
			t.Errorf("shifted by %d bytes: %v", shift, err)
		}
	}
}
