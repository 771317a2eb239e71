package als

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// foldingResources are those of a process that folds users in.
func foldingResources(t *testing.T, store ratings.Store) (*service.Resources, *model.Live) {
	t.Helper()
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"), service.MockResourcesOptAddCache("rating_store"))
	live := model.NewLive()
	mgr.SetGeneric(model.LiveKey{Label: "model"}, live)
	mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, store)
	return mgr, live
}

func newFolding(t *testing.T, mgr *service.Resources) *foldIn {
	t.Helper()
	conf, err := foldInSpec().ParseYAML("", nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFoldIn(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// event is one from an offset of partition 2.
func event(offset int64, format string, args ...any) *service.Message {
	text := fmt.Sprintf(format, args...)
	origin := &message.Origin{Topic: "events", Partition: 2, Offset: offset, Time: time.UnixMilli(4000)}
	return service.NewMessage([]byte(text)).WithContext(message.WithOrigin(context.Background(), origin))
}

func rateEvent(offset, user, movie int64, value float32, second int64) *service.Message {
	return event(offset, `{"event_type":"rate","user_id":%d,"movie_id":%d,"value":%v,"timestamp":%d}`, user, movie, value, second)
}

// fold returns the records of a batch by their places, those that are skipped left
// out.
func fold(t *testing.T, f *foldIn, batch ...*service.Message) map[int]message.UserFactors {
	t.Helper()
	out, err := f.ProcessBatch(t.Context(), batch)
	if err != nil || len(out) != 1 || len(out[0]) != len(batch) {
		t.Fatalf("%d batches; a batch in is a batch out: %v", len(out), err)
	}
	records := map[int]message.UserFactors{}
	for i, msg := range out[0] {
		if _, skip := msg.MetaGet(metaSkip); skip || msg.GetError() != nil {
			continue
		}
		if tombstone, _ := msg.MetaGet(metaTombstone); tombstone == "true" {
			records[i] = message.UserFactors{Erased: true}
			continue
		}
		data, err := msg.AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		if records[i], err = message.DecodeUserFactors("test", data); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

// TestARecordHasWhatTheStoreAndTheProcessAndTheBatchKnow: the first time that a user
// is seen the store is read, and after that it is not.
func TestARecordHasWhatTheStoreAndTheProcessAndTheBatchKnow(t *testing.T) {
	store := &countingStore{MemoryStore: recsystest.NewMemoryStore()}
	if err := store.Apply(t.Context(), ratings.Changes{Ratings: []ratings.Rating{{User: 7, Movie: 1, Value: 3, Time: 1000}}}); err != nil {
		t.Fatal(err)
	}
	mgr, live := foldingResources(t, store)
	f := newFolding(t, mgr)
	live.Users.Learn(ratings.Rating{User: 7, Movie: 2, Value: 4, Time: 2000})
	got := fold(t, f, rateEvent(5, 7, 3, 5, 3), event(6, `{"event_type":"tag","user_id":7,"movie_id":3,"value":"x","timestamp":3}`))
	want := []message.UserRating{{Movie: 1, Value: 3, Time: 1000}, {Movie: 2, Value: 4, Time: 2000}, {Movie: 3, Value: 5, Time: 3000}}
	if r := got[0]; len(got) != 1 || fmt.Sprint(r.History) != fmt.Sprint(want) || r.Topic != "events" || r.Partition != 2 || r.Offset != 5 || r.ModelVersion != "" {
		t.Fatalf("got %+v", got)
	}
	fold(t, f, rateEvent(7, 7, 4, 5, 4), rateEvent(8, 8, 4, 5, 4))
	fold(t, f, rateEvent(9, 8, 5, 5, 5))
	if n := store.histories.Load(); n != 2 {
		t.Errorf("the store was read %d times for two users", n)
	}
}

// countingStore counts reads, and fails so many of them first.
type countingStore struct {
	*recsystest.MemoryStore
	histories, failing atomic.Int64
}

func (s *countingStore) History(ctx context.Context, user int64) ([]ratings.Rating, error) {
	if s.failing.Add(-1) >= 0 {
		return nil, fmt.Errorf("%w: away", ratings.ErrUnavailable)
	}
	s.histories.Add(1)
	return s.MemoryStore.History(ctx, user)
}

func TestAnOutageOfTheStoreIsWaitedOut(t *testing.T) {
	store := &countingStore{MemoryStore: recsystest.NewMemoryStore()}
	mgr, _ := foldingResources(t, store)
	f := newFolding(t, mgr)
	store.failing.Store(3)
	if got := fold(t, f, rateEvent(1, 7, 3, 5, 3)); len(got) != 1 || len(got[0].History) != 1 {
		t.Errorf("after the outage: %+v", got)
	}
	store.failing.Store(math.MaxInt64)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := f.ProcessBatch(ctx, service.MessageBatch{rateEvent(2, 8, 3, 5, 3)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the process ended during an outage: %v", err)
	}
}

// TestARecordsFactorsAreThoseOfTraining: training's own half-step, to 1e-5 as float32
// has it.
func TestARecordsFactorsAreThoseOfTraining(t *testing.T) {
	all := recsystest.Ratings(40, 60, 0.4, 3)
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{als.ALS, als.VB} {
		p := als.DefaultParameters(algorithm)
		p.Preference = nil
		factors, err := als.Train(t.Context(), matrix, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(factors, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		mgr, live := foldingResources(t, recsystest.NewMemoryStore())
		live.Swap(model.NewLineUp(1, &model.Version{Model: m, Name: "v1"}, nil))
		f := newFolding(t, mgr)
		row := map[int64]int32{}
		for i, movie := range factors.Movies {
			row[movie] = int32(i)
		}
		folder, x := als.NewFolder(factors), make([]float32, factors.Rank)
		for _, user := range factors.Users[:10] {
			var batch []*service.Message
			var rows []int32
			var values []float32
			for k, r := range all {
				if r.User == user {
					batch = append(batch, rateEvent(int64(k), user, r.Movie, r.Value, int64(k+1)))
				}
			}
			record := fold(t, f, batch...)[len(batch)-1]
			for _, r := range record.History {
				rows, values = append(rows, row[r.Movie]), append(values, r.Value)
			}
			bias, err := folder.FoldIn(rows, values, x)
			if err != nil || record.ModelVersion != "v1" || len(record.Factors) != len(x) || len(rows) != len(batch) {
				t.Fatalf("%s: %+v, %v", algorithm, record, err)
			}
			for c := range x {
				if d := math.Abs(float64(x[c] - record.Factors[c])); d > 1e-5 || math.Abs(float64(bias-record.Bias)) > 1e-5 {
					t.Fatalf("%s, user %d, factor %d: %v, want %v; bias %v, want %v", algorithm, user, c, record.Factors[c], x[c], record.Bias, bias)
				}
			}
		}
	}
}

// TestOnlyTheNewestRatingsAreWritten and the rest is told.
func TestOnlyTheNewestRatingsAreWritten(t *testing.T) {
	store := recsystest.NewMemoryStore()
	var all []ratings.Rating
	for k := range int64(2500) {
		all = append(all, ratings.Rating{User: 7, Movie: 10 + k, Value: 3, Time: k})
	}
	if err := store.Apply(t.Context(), ratings.Changes{Ratings: all}); err != nil {
		t.Fatal(err)
	}
	mgr, _ := foldingResources(t, store)
	got := fold(t, newFolding(t, mgr), rateEvent(1, 7, 1, 5, 3000))[0]
	if len(got.History) != 2000 || got.Cut != 501 || got.History[0].Movie != 1 || got.History[1].Movie != 10+501 {
		t.Errorf("%d ratings, %d cut, the first %+v", len(got.History), got.Cut, got.History[:2])
	}
}

// TestFollowersKnowWhatWasTakenBackAndErased: also one that starts when only the last
// record of each user is left, and that reads an older state of the store after.
func TestFollowersKnowWhatWasTakenBackAndErased(t *testing.T) {
	store := recsystest.NewMemoryStore()
	mgr, _ := foldingResources(t, store)
	f := newFolding(t, mgr)
	var topic []*service.Message
	latest := map[string]*service.Message{}
	feed := func(batch ...*service.Message) {
		t.Helper()
		out, err := f.ProcessBatch(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range out[0] {
			if _, skip := msg.MetaGet(metaSkip); !skip {
				key, _ := msg.MetaGet(metaKey)
				latest[key] = msg
				topic = append(topic, msg)
			}
		}
	}
	feed(rateEvent(1, 7, 1, 5, 10), rateEvent(2, 7, 2, 5, 11), rateEvent(3, 8, 1, 5, 10), rateEvent(4, 9, 1, 5, 10))
	feed(event(5, `{"event_type":"unrate","user_id":7,"movie_id":1,"timestamp":12}`))
	feed(event(6, `{"event_type":"forget_user","user_id":8,"timestamp":12}`))
	feed(event(7, `{"event_type":"forget_user","user_id":9,"timestamp":12}`), rateEvent(8, 9, 3, 4, 13))
	old := []ratings.Rating{{User: 7, Movie: 1, Value: 5, Time: 10000}, {User: 8, Movie: 1, Value: 5, Time: 10000}, {User: 9, Movie: 1, Value: 5, Time: 10000}}
	var compacted []*service.Message
	for _, msg := range latest {
		compacted = append(compacted, msg)
	}
	for name, records := range map[string][]*service.Message{"all records": topic, "the newest ones": compacted, "twice": append(topic, topic...)} {
		follower, live := foldingResources(t, store)
		conf, err := userLoadSpec().ParseYAML("", nil)
		if err != nil {
			t.Fatal(err)
		}
		loader, err := newUserLoader(conf, follower)
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range records {
			out, err := loader.ProcessBatch(t.Context(), service.MessageBatch{msg.Copy()})
			if err != nil || out[0][0].GetError() != nil {
				t.Fatal(err, out[0][0].GetError())
			}
		}
		live.Users.Apply(ratings.Changes{Ratings: old})
		for user, want := range map[int64]string{7: "[2]", 8: "[]", 9: "[3]"} {
			movies := []int64{}
			for _, r := range live.Users.AppendHistory(nil, user) {
				movies = append(movies, r.Movie)
			}
			if fmt.Sprint(movies) != want {
				t.Errorf("%s: of user %d movies %v are remembered, want %s", name, user, movies, want)
			}
		}
	}
}

// TestACompactedTombstoneIsLearnedFromTheStore: als_model reads who was forgotten
// when it starts, as a champion of before may know the user.
func TestACompactedTombstoneIsLearnedFromTheStore(t *testing.T) {
	store := recsystest.NewMemoryStore()
	if err := store.Apply(t.Context(), ratings.Changes{
		Ratings:   []ratings.Rating{{User: 1, Movie: 10, Value: 4, Time: 1}, {User: 2, Movie: 10, Value: 4, Time: 1}},
		Forgotten: []ratings.Forgotten{{User: 1, Time: 2}},
	}); err != nil {
		t.Fatal(err)
	}
	r, _ := published(t, 3, time.UnixMilli(1))
	mgr, follower := resources(t, r)
	mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, ratings.Store(store))
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	c := &modelCache{follower: follower, store: "rating_store", mgr: mgr}
	if err := c.learnHistories(t.Context()); err != nil {
		t.Fatal(err)
	}
	live := follower.Live
	if got := live.Users.Predict(live.Current().Model, 1, 99); got.Value != 3 || !got.ColdUser {
		t.Errorf("the model still knows the user: %+v", got)
	}
	if got := live.Users.AppendHistory(nil, 2); len(got) != 1 {
		t.Errorf("of another user %+v is remembered", got)
	}
}

// TestARecordThatCannotBeFollowedIsMarked and changes nothing.
func TestARecordThatCannotBeFollowedIsMarked(t *testing.T) {
	mgr, live := foldingResources(t, recsystest.NewMemoryStore())
	conf, err := userLoadSpec().ParseYAML("", nil)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := newUserLoader(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	end := service.NewMessage(nil)
	end.MetaSetMut("kafka_end_of_partition", "true")
	out, err := loader.ProcessBatch(t.Context(), service.MessageBatch{
		service.NewMessage([]byte(`{"user_id":1,"history":[[1,2]]}`)), end, service.NewMessage([]byte(`{"user_id":2,"history":[[1,2,3]]}`)),
	})
	if err != nil || out[0][0].GetError() == nil || out[0][1].GetError() != nil || out[0][2].GetError() != nil {
		t.Fatalf("%v: %v, %v, %v", err, out[0][0].GetError(), out[0][1].GetError(), out[0][2].GetError())
	}
	if len(live.Users.AppendHistory(nil, 1)) != 0 || len(live.Users.AppendHistory(nil, 2)) != 1 {
		t.Error("the wrong records were followed")
	}
}
