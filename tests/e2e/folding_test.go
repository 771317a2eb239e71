package e2e

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// asking sends requests and collects the replies.
type asking struct {
	p *predictors
	n int

	mu      sync.Mutex
	replies map[string]reply
}

type reply struct {
	value string
	at    time.Time
}

func (p *predictors) asking() *asking {
	a := &asking{p: p, replies: map[string]reply{}}
	reader, err := kgo.NewClient(kgo.SeedBrokers(p.kafka.address), kgo.ConsumeTopics("predictions", "recommendations"), kgo.FetchMaxWait(10*time.Millisecond))
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fetches := reader.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			now := time.Now()
			a.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) {
				a.replies[gjson.GetBytes(r.Value, "request_id").Str] = reply{string(r.Value), now}
			})
			a.mu.Unlock()
		}
	}()
	p.t.Cleanup(func() { reader.Close(); <-done })
	return a
}

// events sends an event of each user.
func (p *predictors) events(events map[int64]string) {
	p.t.Helper()
	var records []*kgo.Record
	for user, event := range events {
		records = append(records, &kgo.Record{Topic: "events", Key: strconv.AppendInt(nil, user, 10), Value: []byte(event)})
	}
	if err := p.kafka.client.ProduceSync(p.t.Context(), records...).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// ask sends the requests, one of each user, a request_id put in, and returns the
// replies by user once all are there.
func (a *asking) ask(requests map[int64]string) map[int64]reply {
	t := a.p.t
	t.Helper()
	a.n++
	var records []*kgo.Record
	for user, request := range requests {
		value := fmt.Sprintf(`{"request_id":"ask-%d-%d",%s`, a.n, user, request[1:])
		records = append(records, &kgo.Record{Topic: "requests", Key: strconv.AppendInt(nil, user, 10), Value: []byte(value)})
	}
	if err := a.p.kafka.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := map[int64]reply{}
	deadline := time.Now().Add(30 * time.Second)
	for len(got) < len(requests) {
		if time.Now().After(deadline) {
			t.Fatalf("%d replies to %d requests", len(got), len(requests))
		}
		time.Sleep(5 * time.Millisecond)
		a.mu.Lock()
		for user := range requests {
			id := fmt.Sprintf("ask-%d-%d", a.n, user)
			if r, ok := a.replies[id]; ok {
				got[user] = r
				delete(a.replies, id)
			}
		}
		a.mu.Unlock()
	}
	return got
}

// TestAThirdRatingChangesTheListAtOnce of a thousand users at the same time, none of
// whom the model knows, in another process than the one that folds in: there the
// rating store is empty, as nothing is taken in.
func TestAThirdRatingChangesTheListAtOnce(t *testing.T) {
	const count, first = 1000, int64(1_000_000)
	p := newPredictors(t)
	version := p.train("--algorithm", "als", "--iterations", "2")
	p.pipelines(program, "fold_in")
	serving := p.pipelines(program, "recommend", "users")
	p.serves(serving, version, 30*time.Second)
	asking := p.asking()
	second := time.Now().Add(-time.Hour).Unix()
	rate := func(user, movie int64, value float64, second int64) string {
		return fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":%d,"value":%v,"timestamp":%d}`, user, movie, value, second)
	}
	events, requests := map[int64]string{}, map[int64]string{}
	for user := first; user < first+count; user++ {
		events[user] = rate(user, []int64{1, 260, 296, 318, 356, 480, 527, 589, 593, 2571}[user%10], 4.5, second)
		requests[user] = fmt.Sprintf(`{"kind":"recommend","user_id":%d,"n":10}`, user)
	}
	p.events(events)
	for user := range events {
		events[user] = rate(user, []int64{1, 260, 296, 318, 356, 480, 527, 589, 593, 2571}[(user+user/10%9+1)%10], 3, second+1)
	}
	p.events(events)
	lists := map[int64]string{}
	eventually(t, 30*time.Second, serving, func() error {
		lists = map[int64]string{}
		for user, reply := range asking.ask(requests) {
			if gjson.Get(reply.value, "cold.#").Int() > 0 {
				return fmt.Errorf("user %d is not folded in: %s", user, reply.value)
			}
			lists[user] = gjson.Get(reply.value, "items.#.movie_id").Raw
		}
		return nil
	})
	for user, list := range lists { // rates what comes first
		events[user] = rate(user, gjson.Get(list, "0").Int(), 1, second+2)
	}
	began := time.Now()
	p.events(events)
	var late []time.Duration
	for len(requests) > 0 {
		for user, reply := range asking.ask(requests) {
			if gjson.Get(reply.value, "items.#.movie_id").Raw != lists[user] {
				late = append(late, reply.at.Sub(began))
				delete(requests, user)
			}
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the lists of %d users are as before\n%s", len(requests), serving.tail())
		}
	}
	slices.Sort(late)
	p50, p99 := late[len(late)/2], late[len(late)*99/100]
	t.Logf("%d users rated at once; their lists were others after %s (p50), %s (p99), %s (last)", count, p50.Round(time.Millisecond), p99.Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
	limit := 3 * time.Second // machines of many tests are slow
	if long() {
		limit = time.Second
	}
	if p99 > limit {
		t.Errorf("the 99th of 100 lists changed after %s, want %s at most", p99, limit)
	}
}

// turned publishes a version again with all factors turned, so that it says the same.
func (p *predictors) turned(version string) string {
	p.t.Helper()
	versions, err := registry.Open(p.registry)
	if err != nil {
		p.t.Fatal(err)
	}
	m, manifest, err := versions.Model(version)
	if err != nil {
		p.t.Fatal(err)
	}
	f := *m.Factors()
	f.UserFactors, f.MovieFactors = recsystest.Turned(f.Rank, 1, f.UserFactors, f.MovieFactors)
	if f.Preference != nil {
		head := *f.Preference
		head.UserFactors, head.MovieFactors = recsystest.Turned(head.Rank, 2, head.UserFactors, head.MovieFactors)
		f.Preference = &head
	}
	again, err := model.New(&f, m.Scale())
	if err != nil {
		p.t.Fatal(err)
	}
	published, err := versions.Publish(p.t.Context(), again, registry.Manifest{
		CreatedAt: manifest.CreatedAt.Add(time.Second), Algorithm: manifest.Algorithm, Data: manifest.Data, Metrics: manifest.Metrics,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return published.Version
}

func (p *predictors) promote(version string) {
	p.t.Helper()
	versions, err := registry.Open(p.registry)
	if err != nil {
		p.t.Fatal(err)
	}
	manifest, err := versions.Manifest(version)
	if err == nil {
		_, _, _, err = versions.Promote(p.t.Context(), version, manifest.CreatedAt, func(string) (bool, string, error) { return true, "test", nil })
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestKillsBetweenSwapsMoveNoReply: two versions that say the same take turns, the
// process is killed again and again, and each starts anew with what others wrote of
// users whom no version knows.
func TestKillsBetweenSwapsMoveNoReply(t *testing.T) {
	users, swaps := 100, 3
	if long() {
		users, swaps = 1000, 20
	}
	const first = int64(2_000_000)
	p := newPredictors(t)
	versions := []string{p.train("--algorithm", "als", "--iterations", "2")}
	versions = append(versions, p.turned(versions[0]))
	p.pipelines(program, "fold_in")
	serving := p.pipelines(program, "predict", "recommend", "users")
	p.serves(serving, versions[0], 30*time.Second)
	asking := p.asking()
	second := time.Now().Add(-time.Hour).Unix()
	predictions, lists := map[int64]string{}, map[int64]string{}
	for k := range users {
		user := first + int64(k)
		for n, movie := range []int64{1, 260, 296, 318, 356} {
			p.events(map[int64]string{user: fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":%d,"value":%d,"timestamp":%d}`, user, movie, 1+(k*7+n*3)%5, second+int64(n))})
		}
		predictions[user] = fmt.Sprintf(`{"user_id":%d,"movie_id":593}`, user)
		lists[user] = fmt.Sprintf(`{"kind":"recommend","user_id":%d,"n":5}`, user)
	}
	settle := func(process *process) (stars, scores map[int64]float64) {
		t.Helper()
		previous := map[int64]float64{}
		eventually(t, 30*time.Second, process, func() error {
			stars = values(asking.ask(predictions), "prediction")
			same := len(previous) > 0
			for user, value := range stars {
				same = same && math.Abs(previous[user]-value) < 1e-9
			}
			if previous = stars; !same {
				return fmt.Errorf("predictions change still")
			}
			return nil
		})
		return stars, values(asking.ask(lists), "items.0.score")
	}
	eventually(t, 30*time.Second, serving, func() error { return p.kafka.noLag("fold_in", "events") })
	wantStars, wantScores := settle(serving)
	for n := range swaps {
		next := versions[(n+1)%2]
		p.promote(next)
		if n%4 == 2 || !long() {
			serving.Kill()
			serving = p.pipelines(program, "predict", "recommend", "users")
		}
		p.serves(serving, next, 30*time.Second)
		var stars, scores map[int64]float64
		eventually(t, 30*time.Second, serving, func() error { // what was written is read again
			stars, scores = settle(serving)
			return apart(stars, wantStars)
		})
		if err := apart(scores, wantScores); err != nil {
			t.Fatalf("after swap %d: %v", n, err)
		}
	}
	if text := serving.stdout.String() + serving.stderr.String(); strings.Contains(text, "level=error") {
		t.Errorf("the last process complained\n%s", serving.tail())
	}
}

func values(replies map[int64]reply, path string) map[int64]float64 {
	all := map[int64]float64{}
	for user, r := range replies {
		all[user] = gjson.Get(r.value, path).Float()
	}
	return all
}

// apart says where two sets of replies differ by more than 1e-5.
func apart(got, want map[int64]float64) error {
	for user, value := range want {
		if d := math.Abs(got[user] - value); d > 1e-5 {
			return fmt.Errorf("user %d: %v, want %v", user, got[user], value)
		}
	}
	return nil
}
