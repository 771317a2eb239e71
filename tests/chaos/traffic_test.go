package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	rate          = 100 // events a second, and as many requests
	malformedEach = 50  // the n-th event and request is malformed
	users, movies = 600, 200
)

// traffic writes events and requests of known contents at a steady rate, and reads
// what becomes of them.
type traffic struct {
	t      *testing.T
	client *kgo.Client
	admin  *kadm.Client
	random *rand.Rand
	began  time.Time
	ended  sync.WaitGroup
	stop   context.CancelFunc

	mu        sync.Mutex
	paused    bool
	n         int
	inFlight  int
	ratings   map[[2]int64]rating // what has to be stored
	requests  map[string]*request
	malformed map[string]int // times seen in dead_letters, by the bytes

	read       map[string]map[int32]int64 // next offset
	unexpected []string
	again      []*request // predicted again since the last check
	duplicates int        // predictions that were there before
	letters    int        // dead letters that were there before
}

type rating struct {
	value float64
	time  int64 // Unix milliseconds
}

type request struct {
	id          string
	user, movie int64
	sent, first time.Time // first reply
}

func newTraffic(t *testing.T, broker string, stream uint64) *traffic {
	t.Helper()
	f := &traffic{
		t: t, random: rand.New(rand.NewPCG(seed, stream)), began: time.Now(), ratings: map[[2]int64]rating{},
		requests: map[string]*request{}, malformed: map[string]int{}, read: map[string]map[int32]int64{"predictions": {}, "dead_letters": {}},
	}
	var err error
	f.client, err = kgo.NewClient(kgo.SeedBrokers(broker), kgo.DialTimeout(time.Second), kgo.MaxBufferedRecords(1<<20),
		kgo.ConsumeTopics("predictions", "dead_letters"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	f.admin = kadm.NewClient(f.client)
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.ended.Go(func() { f.write(ctx) })
	f.ended.Go(func() { f.follow(ctx) })
	t.Cleanup(func() { stop(); f.client.Close(); f.ended.Wait() })
	return f
}

func (f *traffic) write(ctx context.Context) {
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, record := range f.next() {
				f.produce(ctx, record)
			}
		}
	}
}

// next makes an event and a request, unless the traffic pauses.
func (f *traffic) next() []*kgo.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paused {
		return nil
	}
	f.n++
	f.inFlight += 2
	user, movie, asked := 1+f.random.Int64N(users), 1+f.random.Int64N(movies), 1+f.random.Int64N(movies)
	// Two months ago, so that a clock that is behind does not make it the future.
	at := f.began.Add(-60*24*time.Hour).Unix() + int64(f.n)
	r := &request{id: fmt.Sprint("chaos-", f.n), user: user, movie: asked, sent: time.Now()}
	event := fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":%d,"value":%v,"timestamp":%d}`, user, movie, float64(1+f.n%10)/2, at)
	ask := fmt.Sprintf(`{"request_id":%q,"user_id":%d,"movie_id":%d}`, r.id, user, asked)
	if f.n%malformedEach == 0 {
		event = fmt.Sprintf(`{"event_type":"rate","user_id":"nobody-%d","movie_id":1,"value":3,"timestamp":%d}`, f.n, at)
		ask = fmt.Sprintf(`{"request_id":%q,"user_id":%d,"movie_id":"none"}`, r.id, user)
		f.malformed[event], f.malformed[ask] = 0, 0
	} else {
		f.ratings[[2]int64{user, movie}] = rating{float64(1+f.n%10) / 2, at * 1000}
		f.requests[r.id] = r
	}
	key := strconv.AppendInt(nil, user, 10)
	return []*kgo.Record{{Topic: "events", Key: key, Value: []byte(event)}, {Topic: "requests", Key: key, Value: []byte(ask)}}
}

// produce writes a record until it is acknowledged.
func (f *traffic) produce(ctx context.Context, record *kgo.Record) {
	f.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
		if err != nil && ctx.Err() == nil {
			f.ended.Go(func() { f.produce(ctx, record) })
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.inFlight--
	})
}

func (f *traffic) follow(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := f.client.PollFetches(ctx)
		now := time.Now()
		f.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { f.take(r, now) })
		f.mu.Unlock()
	}
}

// take notes a prediction or dead letter. The lock is held.
func (f *traffic) take(r *kgo.Record, now time.Time) {
	next := f.read[r.Topic]
	if r.Offset < next[r.Partition] {
		return // read before the broker was away
	}
	next[r.Partition] = r.Offset + 1
	if r.Topic == "dead_letters" {
		times, known := f.malformed[string(r.Value)]
		if !known {
			f.unexpected = append(f.unexpected, fmt.Sprintf("dead letter %s: %v", r.Value, r.Headers))
			return
		}
		if times > 0 {
			f.letters++
		}
		f.malformed[string(r.Value)]++
		return
	}
	reply := gjson.GetManyBytes(r.Value, "request_id", "user_id", "movie_id", "prediction", "model_version")
	asked := f.requests[reply[0].Str]
	switch {
	case asked == nil || asked.user != reply[1].Int() || asked.movie != reply[2].Int() || reply[4].Str == "" || reply[3].Num < 0.5 || reply[3].Num > 5:
		f.unexpected = append(f.unexpected, "prediction "+string(r.Value))
	case asked.first.IsZero():
		asked.first = now
	default:
		f.duplicates++
		f.again = append(f.again, asked)
	}
}

// pause stops the traffic, or lets it go on.
func (f *traffic) pause(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = paused
}

// firstSince returns when the first request that was sent since then was answered.
func (f *traffic) firstSince(since time.Time) (first time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.sent.After(since) && !r.first.IsZero() && (first.IsZero() || r.first.Before(first)) {
			first = r.first
		}
	}
	return first, !first.IsZero()
}
