package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// champion reads the model that is served.
func champion(url string) (*model.Model, string, error) {
	versions, err := registry.Open(url)
	if err != nil {
		return nil, "", err
	}
	latest, ok, err := versions.Latest()
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", fmt.Errorf("registry %s has no champion", url)
	}
	m, _, err := versions.Model(latest.Version)
	return m, latest.Version, err
}

// events are the original's events: the pairs of ml-latest-small's ratings whose
// movie the model knows, drawn again and again, each with any rating. So busy
// users and popular movies come often, as they do.
type events struct {
	pairs  []ratings.Rating
	random *rand.Rand
	start  time.Time
}

func (b *bench) events(seed uint64) (*events, error) {
	m, _, err := champion(b.registry)
	if err != nil {
		return nil, err
	}
	all, err := ratings.ReadRatings(b.data)
	if err != nil {
		return nil, err
	}
	pairs := slices.DeleteFunc(all, func(r ratings.Rating) bool {
		predicted := m.Predict(r.User, r.Movie)
		return predicted.ColdUser || predicted.ColdMovie
	})
	return &events{pairs, rand.New(rand.NewPCG(seed, 0)), time.Date(2020, 1, 2, 15, 4, 5, 0, time.UTC)}, nil
}

// rating returns the i-th event with its key.
func (e *events) rating(i int) (key, value []byte) {
	user, movie := e.pair()
	key = strconv.AppendInt(nil, user, 10)
	value = make([]byte, 0, 112)
	value = append(append(append(value, `{"event_type":"rate","user_id":"`...), key...), `","movie_id":"`...)
	value = strconv.AppendInt(value, movie, 10)
	value = strconv.AppendFloat(append(value, `","value":"`...), float64(1+e.random.IntN(10))/2, 'f', 1, 64)
	value = e.start.Add(time.Duration(i)*time.Second).AppendFormat(append(value, `","timestamp":"`...), time.DateTime)
	return key, append(value, `"}`...)
}

func (e *events) pair() (user, movie int64) {
	r := e.pairs[e.random.IntN(len(e.pairs))]
	return r.User, r.Movie
}

func progressf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
