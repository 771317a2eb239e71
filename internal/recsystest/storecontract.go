package recsystest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// StoreOption loosens a contract where ratings.Store leaves a choice.
type StoreOption func(*storeChoices)

type storeChoices struct{ countsRewrites bool }

// CountsRewrites is for a store whose revision also counts ratings that change
// nothing.
func CountsRewrites() StoreOption {
	return func(c *storeChoices) { c.countsRewrites = true }
}

// StoreContract tests what every ratings.Store must fulfil. open returns a new
// empty store, and closes it with t.Cleanup. That a store survives restarts is
// for its own tests.
func StoreContract(t *testing.T, open func(t *testing.T) ratings.Store, options ...StoreOption) {
	t.Helper()
	var choices storeChoices
	for _, option := range options {
		option(&choices)
	}
	for _, c := range contractCases {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t), c.want) })
	}
	t.Run("any order of the same changes leads to the same content", func(t *testing.T) { checkOrders(t, open) })
	t.Run("a write of what is there changes neither content nor revision", func(t *testing.T) { checkIdempotency(t, open(t), choices) })
	t.Run("revision counts ratings written, not calls", func(t *testing.T) { checkRevision(t, open(t), choices) })
	t.Run("writers at the same time lose nothing", func(t *testing.T) { checkConcurrency(t, open(t)) })
	t.Run("history is one user's ratings by movie id", func(t *testing.T) { checkHistory(t, open(t)) })
	t.Run("who was forgotten is known", func(t *testing.T) { checkForgotten(t, open(t)) })
	t.Run("scan gives more than one batch's worth, each once", func(t *testing.T) { checkScan(t, open(t), choices) })
	t.Run("scan stops at the error of its function", func(t *testing.T) { checkScanError(t, open(t)) })
	t.Run("tags and views are choices", func(t *testing.T) { checkChoices(t, open(t)) })
	t.Run("the newest item of a movie and profile of a user hold", func(t *testing.T) { checkDirectory(t, open) })
	t.Run("offsets of events only grow", func(t *testing.T) { checkOffsets(t, open(t)) })
	t.Run("nothing is read or written under an ended context", func(t *testing.T) { checkEnded(t, open(t)) })
}

// contractCase is a sequence of changes, and what is there after.
type contractCase struct {
	name  string
	steps []ratings.Changes
	want  []ratings.Rating // by user and movie
}

func rate(user, movie int64, value float32, time int64) ratings.Changes {
	return ratings.Changes{Ratings: []ratings.Rating{{User: user, Movie: movie, Value: value, Time: time}}}
}

func unrate(user, movie, time int64) ratings.Changes {
	return ratings.Changes{Unrated: []ratings.Unrated{{User: user, Movie: movie, Time: time}}}
}

func forget(user, time int64) ratings.Changes {
	return ratings.Changes{Forgotten: []ratings.Forgotten{{User: user, Time: time}}}
}

func rated(user, movie int64, value float32, time int64) []ratings.Rating {
	return rate(user, movie, value, time).Ratings
}

var contractCases = []contractCase{
	{"an empty store holds nothing", nil, nil},
	{"no changes are a change too", []ratings.Changes{{}}, nil},
	{"a rating is kept as it is", []ratings.Changes{rate(1, 2, 4.5, 1000)}, rated(1, 2, 4.5, 1000)},
	{"ids and times may be as large as 64 bits", []ratings.Changes{rate(1<<62, -5, 0.5, 253402300799999)}, rated(1<<62, -5, 0.5, 253402300799999)},
	{"times before 1970 are times", []ratings.Changes{rate(1, 2, 4, -2000), rate(1, 2, 3, -1000)}, rated(1, 2, 3, -1000)},
	{"milliseconds count", []ratings.Changes{rate(1, 2, 4, 1001), rate(1, 2, 3, 1000)}, rated(1, 2, 4, 1001)},
	{"a newer rating replaces an older one", []ratings.Changes{rate(1, 2, 4, 1000), rate(1, 2, 3, 2000)}, rated(1, 2, 3, 2000)},
	{"an older rating that arrives later is of no effect", []ratings.Changes{rate(1, 2, 3, 2000), rate(1, 2, 4, 1000)}, rated(1, 2, 3, 2000)},
	{"of equally new ratings the greater stays", []ratings.Changes{rate(1, 2, 4, 1000), rate(1, 2, 3, 1000)}, rated(1, 2, 4, 1000)},
	{"of equally new ratings the greater comes in", []ratings.Changes{rate(1, 2, 3, 1000), rate(1, 2, 4, 1000)}, rated(1, 2, 4, 1000)},
	{"the newest of one batch wins", []ratings.Changes{{Ratings: slices.Concat(rated(1, 2, 3, 2000), rated(1, 2, 5, 1000))}}, rated(1, 2, 3, 2000)},
	{"an unrate takes an older rating back", []ratings.Changes{rate(1, 2, 4, 1000), unrate(1, 2, 2000)}, nil},
	{"an unrate takes a rating of its own time back", []ratings.Changes{rate(1, 2, 4, 1000), unrate(1, 2, 1000)}, nil},
	{"a rating of an unrate's own time does not come back", []ratings.Changes{unrate(1, 2, 1000), rate(1, 2, 4, 1000)}, nil},
	{"an unrate leaves a newer rating", []ratings.Changes{rate(1, 2, 4, 2000), unrate(1, 2, 1000)}, rated(1, 2, 4, 2000)},
	{"an older rating that arrives after its unrate stays away", []ratings.Changes{rate(1, 2, 4, 1000), unrate(1, 2, 3000), rate(1, 2, 5, 2000)}, nil},
	{"an unrate before any rating is remembered", []ratings.Changes{unrate(1, 2, 3000), rate(1, 2, 5, 2000)}, nil},
	{"a newer rating after an unrate counts", []ratings.Changes{unrate(1, 2, 1000), rate(1, 2, 5, 2000)}, rated(1, 2, 5, 2000)},
	{"an unrate is of one pair only", []ratings.Changes{rate(1, 2, 4, 1000), rate(1, 3, 4, 1000), rate(2, 2, 4, 1000), unrate(1, 2, 2000)}, slices.Concat(rated(1, 3, 4, 1000), rated(2, 2, 4, 1000))},
	{"a forgotten user has no ratings", []ratings.Changes{rate(1, 2, 4, 1000), rate(1, 3, 4, 2000), rate(2, 2, 4, 1000), forget(1, 2000)}, rated(2, 2, 4, 1000)},
	{"what a forgotten user did before stays away when it arrives later", []ratings.Changes{forget(1, 2000), rate(1, 2, 4, 1000), rate(1, 3, 4, 2000)}, nil},
	{"what a forgotten user does after counts", []ratings.Changes{rate(1, 2, 4, 1000), forget(1, 2000), rate(1, 2, 3, 2001)}, rated(1, 2, 3, 2001)},
	{"forgetting leaves what was done after its time", []ratings.Changes{rate(1, 2, 4, 3000), forget(1, 2000)}, rated(1, 2, 4, 3000)},
	{"an older forgetting does not undo a newer one", []ratings.Changes{forget(1, 2000), forget(1, 1000), rate(1, 2, 4, 1500)}, nil},
	{"an unrate and a forgetting hold together", []ratings.Changes{unrate(1, 2, 3000), forget(1, 2000), rate(1, 2, 4, 2500)}, nil},
	{"forgetting in a batch holds for ratings of that batch", []ratings.Changes{{Ratings: slices.Concat(rated(1, 2, 4, 1000), rated(1, 3, 5, 3000)), Forgotten: forget(1, 2000).Forgotten}}, rated(1, 3, 5, 3000)},
}

func (c contractCase) check(t *testing.T, store ratings.Store, want []ratings.Rating) {
	t.Helper()
	for _, step := range c.steps {
		apply(t, store, step)
	}
	expect(t, store, want)
}

func apply(t *testing.T, store ratings.Store, changes ratings.Changes) {
	t.Helper()
	if err := store.Apply(t.Context(), changes); err != nil {
		t.Fatalf("Apply(%+v): %v", changes, err)
	}
}

func scan(t *testing.T, store ratings.Store) []ratings.Rating {
	t.Helper()
	var all []ratings.Rating
	err := store.Scan(t.Context(), func(batch []ratings.Rating) error {
		all = append(all, batch...)
		return nil
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	sortByPair(all)
	return all
}

func expect(t *testing.T, store ratings.Store, want []ratings.Rating) {
	t.Helper()
	if got := scan(t, store); !slices.Equal(got, want) {
		t.Fatalf("the store holds %s, want %s", brief(got), brief(want))
	}
}

func brief(all []ratings.Rating) string {
	if len(all) > 20 {
		return fmt.Sprintf("%d ratings, the first %+v", len(all), all[:5])
	}
	return fmt.Sprintf("%+v", all)
}

func revision(t *testing.T, store ratings.Store) int64 {
	t.Helper()
	r, err := store.Revision(t.Context())
	if err != nil {
		t.Fatalf("Revision: %v", err)
	}
	return r
}

// grew says that a revision which grew by got is right where that many ratings
// changed.
func (c storeChoices) grew(got, changed int64) bool {
	if c.countsRewrites {
		return got >= changed
	}
	return got == changed
}

// contention returns changes that meet in few pairs and at few times, each kind
// of change alone.
func contention(seed uint64, count int) []ratings.Changes {
	random := rand.New(rand.NewPCG(seed, 1))
	var all []ratings.Changes
	for range count {
		user, movie, time := random.Int64N(4), random.Int64N(5), 1000*random.Int64N(8)
		switch random.IntN(10) {
		case 0:
			all = append(all, forget(user, time/2))
		case 1, 2:
			all = append(all, unrate(user, movie, time))
		default:
			all = append(all, rate(user, movie, float32(1+random.IntN(10))/2, time))
		}
	}
	return all
}

// checkOrders compares random orders, in random batches and with repetitions,
// with the content that a MemoryStore has from one of them.
func checkOrders(t *testing.T, open func(t *testing.T) ratings.Store) {
	changes := contention(7, 150)
	reference := NewMemoryStore()
	for _, change := range changes {
		apply(t, reference, change)
	}
	want := scan(t, reference)
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("order %d", seed), func(t *testing.T) {
			store := open(t)
			random := rand.New(rand.NewPCG(seed, 2))
			shuffled := slices.Concat(changes, changes[:30])
			random.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
			for len(shuffled) > 0 {
				n := min(1+random.IntN(20), len(shuffled))
				apply(t, store, merge(shuffled[:n]))
				shuffled = shuffled[n:]
			}
			expect(t, store, want)
		})
	}
}

func merge(all []ratings.Changes) ratings.Changes {
	var merged ratings.Changes
	for _, c := range all {
		merged.Ratings = append(merged.Ratings, c.Ratings...)
		merged.Unrated = append(merged.Unrated, c.Unrated...)
		merged.Forgotten = append(merged.Forgotten, c.Forgotten...)
	}
	return merged
}

func checkIdempotency(t *testing.T, store ratings.Store, choices storeChoices) {
	changes := merge(contention(8, 100))
	changes.Tags = []ratings.Tag{{User: 1, Movie: 2, Tag: "heist", Time: 9000}}
	changes.Views = []ratings.View{{User: 1, Movie: 2, Time: 9000}}
	apply(t, store, changes)
	content, count := scan(t, store), revision(t, store)
	for range 3 {
		apply(t, store, changes)
		expect(t, store, content)
	}
	if again := revision(t, store); !choices.grew(again-count, 0) {
		t.Fatalf("revision went from %d to %d by writing the same again", count, again)
	}
}

func checkRevision(t *testing.T, store ratings.Store, choices storeChoices) {
	steps := []struct {
		what    string
		changes ratings.Changes
		grows   int64
	}{
		{"a new rating", rate(1, 2, 4, 2000), 1},
		{"the same rating", rate(1, 2, 4, 2000), 0},
		{"an older rating", rate(1, 2, 5, 1000), 0},
		{"a smaller rating of the same time", rate(1, 2, 3, 2000), 0},
		{"a greater rating of the same time", rate(1, 2, 5, 2000), 1},
		{"a newer rating", rate(1, 2, 1, 3000), 1},
		{"three new ratings", ratings.Changes{Ratings: slices.Concat(rated(1, 3, 1, 1), rated(2, 2, 1, 1), rated(2, 3, 1, 1))}, 3},
		{"an unrate that is too old", unrate(1, 2, 2000), 0},
		{"an unrate", unrate(1, 2, 3000), 1},
		{"the same unrate", unrate(1, 2, 3000), 0},
		{"a rating that was taken back", rate(1, 2, 1, 3000), 0},
		{"a rating of a time that is forgotten", merge([]ratings.Changes{forget(9, 5000), rate(9, 2, 1, 3000)}), 0},
		{"a tag", ratings.Changes{Tags: []ratings.Tag{{User: 1, Movie: 2, Tag: "heist", Time: 1}}}, 0},
		{"a view", ratings.Changes{Views: []ratings.View{{User: 1, Movie: 2, Time: 1}}}, 0},
		{"nothing", ratings.Changes{}, 0},
	}
	before := revision(t, store)
	for _, step := range steps {
		apply(t, store, step.changes)
		after := revision(t, store)
		if !choices.grew(after-before, step.grows) {
			t.Fatalf("revision grew by %d with %s, want %d", after-before, step.what, step.grows)
		}
		before = after
	}
	apply(t, store, forget(2, 9000))
	if after := revision(t, store); after <= before {
		t.Fatalf("revision went from %d to %d when a user with ratings was forgotten, want more", before, after)
	}
}

func checkConcurrency(t *testing.T, store ratings.Store) {
	const writers = 8
	changes := contention(9, 400)
	reference := NewMemoryStore()
	apply(t, reference, merge(changes))
	errs := make([]error, writers)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for k := w; k < len(changes) && errs[w] == nil; k += writers {
				errs[w] = store.Apply(t.Context(), changes[k])
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	expect(t, store, scan(t, reference))
}

func checkHistory(t *testing.T, store ratings.Store) {
	apply(t, store, ratings.Changes{Ratings: slices.Concat(
		rated(1, 30, 3, 1000), rated(1, 7, 4, 3000), rated(2, 8, 1, 1000), rated(1, 200, 5, 2000), rated(1, 9, 2, 1000))})
	apply(t, store, unrate(1, 9, 1000))
	for _, c := range []struct {
		user int64
		want []ratings.Rating
	}{
		{1, slices.Concat(rated(1, 7, 4, 3000), rated(1, 30, 3, 1000), rated(1, 200, 5, 2000))},
		{2, rated(2, 8, 1, 1000)},
		{3, nil},
	} {
		got, err := store.History(t.Context(), c.user)
		if err != nil {
			t.Fatalf("History of user %d: %v", c.user, err)
		}
		if !slices.Equal(got, c.want) {
			t.Fatalf("history of user %d is %+v, want %+v", c.user, got, c.want)
		}
	}
}

func checkForgotten(t *testing.T, store ratings.Store) {
	expectForgotten := func(want ...ratings.Forgotten) {
		t.Helper()
		got, err := store.Forgotten(t.Context())
		if err != nil {
			t.Fatalf("Forgotten: %v", err)
		}
		slices.SortFunc(got, func(a, b ratings.Forgotten) int { return cmp.Compare(a.User, b.User) })
		if !slices.Equal(got, want) {
			t.Fatalf("%+v are forgotten, want %+v", got, want)
		}
	}
	expectForgotten()
	apply(t, store, merge([]ratings.Changes{rate(1, 2, 4, 1000), rate(2, 2, 4, 1000), forget(1, 2000), forget(-3, 5)}))
	apply(t, store, forget(1, 1500))
	apply(t, store, rate(1, 2, 4, 3000)) // a new start does not change what was
	expectForgotten(ratings.Forgotten{User: -3, Time: 5}, ratings.Forgotten{User: 1, Time: 2000})
	apply(t, store, forget(1, 4000))
	expectForgotten(ratings.Forgotten{User: -3, Time: 5}, ratings.Forgotten{User: 1, Time: 4000})
}

func checkScan(t *testing.T, store ratings.Store, choices storeChoices) {
	all := Ratings(60, 100, 0.9, 1)
	for part := range slices.Chunk(all, 1000) {
		apply(t, store, ratings.Changes{Ratings: part})
	}
	want := slices.Clone(all)
	sortByPair(want)
	expect(t, store, want)
	if grown := revision(t, store); !choices.grew(grown, int64(len(all))) {
		t.Fatalf("revision is %d after %d new ratings", grown, len(all))
	}
}

func checkOffsets(t *testing.T, store ratings.Store) {
	if got, err := store.Offsets(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("an empty store has offsets %v, %v", got, err)
	}
	at := func(topic string, partition int32, next int64) ratings.Changes {
		return ratings.Changes{Offsets: ratings.Offsets{topic: {partition: next}}}
	}
	both := rate(1, 2, 4, 1000)
	both.Offsets = ratings.Offsets{"events": {0: 7, 3: 1 << 40}}
	for _, changes := range []ratings.Changes{both, at("events", 0, 5), at("events", 0, 9), at("events", 3, 1), at("other", 0, 1)} {
		apply(t, store, changes)
	}
	got, err := store.Offsets(t.Context())
	if want := (ratings.Offsets{"events": {0: 9, 3: 1 << 40}, "other": {0: 1}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v, %v", got, want, err)
	}
	expect(t, store, both.Ratings)
}

func checkChoices(t *testing.T, store ratings.Store) {
	read := func() []ratings.Choice {
		t.Helper()
		var all []ratings.Choice
		if err := store.ScanChoices(t.Context(), func(batch []ratings.Choice) error {
			all = append(all, batch...)
			return nil
		}); err != nil {
			t.Fatalf("ScanChoices: %v", err)
		}
		slices.SortFunc(all, func(a, b ratings.Choice) int {
			return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Movie, b.Movie), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Time, b.Time))
		})
		return all
	}
	if got := read(); len(got) != 0 {
		t.Fatalf("an empty store has choices %+v", got)
	}
	changes := ratings.Changes{
		Ratings: rated(1, 2, 3, 1000),
		Tags:    []ratings.Tag{{User: 1, Movie: 2, Tag: "heist", Time: 1000}, {User: 1, Movie: 2, Tag: "slow", Time: 3000}},
	}
	want := []ratings.Choice{{User: 1, Movie: 2, Kind: ratings.Tagged, Time: 1000}, {User: 1, Movie: 2, Kind: ratings.Tagged, Time: 3000}}
	for k := range int64(300) {
		changes.Views = append(changes.Views, ratings.View{User: 2 + k, Movie: 7, Time: 2000})
		want = append(want, ratings.Choice{User: 2 + k, Movie: 7, Kind: ratings.Viewed, Time: 2000})
	}
	apply(t, store, changes)
	apply(t, store, changes) // once more changes nothing
	if got := read(); !slices.Equal(got, want) {
		t.Fatalf("got %d choices, %+v, want %d", len(got), got[:min(len(got), 5)], len(want))
	}
	apply(t, store, forget(1, 2000))
	if got := read(); !slices.Equal(got, want[1:]) {
		t.Fatalf("a user was forgotten up to 2000: got %d choices, %+v, want %d", len(got), got[:min(len(got), 5)], len(want)-1)
	}
	stop := errors.New("enough")
	if err := store.ScanChoices(t.Context(), func([]ratings.Choice) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("ScanChoices returned %v, want the error of its function", err)
	}
}

func checkScanError(t *testing.T, store ratings.Store) {
	apply(t, store, rate(1, 2, 4, 1000))
	stop := errors.New("enough")
	if err := store.Scan(t.Context(), func([]ratings.Rating) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("Scan returned %v, want the error of its function", err)
	}
	expect(t, store, rated(1, 2, 4, 1000)) // and the store goes on
}

func checkEnded(t *testing.T, store ratings.Store) {
	apply(t, store, rate(1, 2, 4, 1000))
	ended, end := context.WithCancel(t.Context())
	end()
	if err := store.Apply(ended, rate(1, 3, 4, 1000)); err == nil {
		t.Error("Apply under an ended context returned nil")
	}
	if err := store.Scan(ended, func([]ratings.Rating) error { return nil }); err == nil {
		t.Error("Scan under an ended context returned nil: a scan cut short must not look whole")
	}
	if err := store.ScanChoices(ended, func([]ratings.Choice) error { return nil }); err == nil {
		t.Error("ScanChoices under an ended context returned nil")
	}
	if _, err := store.Forgotten(ended); err == nil {
		t.Error("Forgotten under an ended context returned nil")
	}
	if _, err := store.History(ended, 1); err == nil {
		t.Error("History under an ended context returned nil")
	}
}
