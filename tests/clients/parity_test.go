package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/plugins/sqlite"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

const (
	paritySeed     = 20261129
	parityRequests = 10_000
	parityWithin   = 2 * time.Minute // on a loaded machine; about 20 s otherwise
	askers         = 8
)

// times are all that may differ between two replies to the same request.
var times = regexp.MustCompile(`"(requested_at|predicted_at)":"[^"]*"`)

// twin is a request in both forms.
type twin struct {
	id, kind     string
	message      string // on Kafka
	method, path string
	body         string
}

// TestTenThousandRequestsHaveTheSameRepliesByHTTPAndKafka: of all kinds, for users
// and movies that one model of ml-latest-small knows and does not know; byte for
// byte but for times.
func TestTenThousandRequestsHaveTheSameRepliesByHTTPAndKafka(t *testing.T) {
	s := serveMovieLens(t)
	begun := time.Now()
	twins := drawTwins(parityRequests)
	byKafka := make(chan map[string]string, 1)
	follow, cancel := context.WithTimeout(t.Context(), parityWithin)
	defer cancel()
	go func() { byKafka <- repliesOf(follow, t, s.Kafka, len(twins)) }()
	produce(t, s.Kafka, twins)
	byHTTP := askAll(t, s.Base, twins)
	other := <-byKafka
	differing, empty, kinds, bytes := 0, 0, map[string]int{}, 0
	for i, w := range twins {
		got, want := times.ReplaceAllString(byHTTP[i], ""), times.ReplaceAllString(other[w.id], "")
		kinds[w.kind]++
		bytes += len(got)
		if strings.Contains(got, `"items":[]`) {
			empty++
		}
		if got == want && got != "" {
			continue
		}
		if differing++; differing <= 5 {
			t.Errorf("%s %s %s\nby HTTP  %.1000s\n%s\nby Kafka %.1000s", w.method, w.path, w.body, got, w.message, want)
		}
	}
	t.Logf("%d requests in %v: %v, %d bytes of replies, %d empty lists, %d differ", len(twins), time.Since(begun).Round(time.Millisecond), kinds, bytes, empty, differing)
	if empty > len(twins)/5 {
		t.Errorf("%d lists are empty, which are too easily the same", empty)
	}
	if differing > 0 {
		t.Errorf("%d of %d replies differ", differing, len(twins))
	}
}

// serveMovieLens serves a model of ml-latest-small, whose ratings are in the store.
func serveMovieLens(t *testing.T) *serving.Server {
	t.Helper()
	data := recsystest.DataDir(t)
	registry := t.TempDir()
	train := exec.CommandContext(t.Context(), server.Program, "train", "--ratings", data, "--registry", "file://"+registry,
		"--iterations", "2", "--rank", "8", "--preference-rank", "8", "--preference-iterations", "2", "--preference-beta", "0.2")
	if out, err := train.CombinedOutput(); err != nil {
		t.Fatalf("training: %v\n%s", err, out)
	}
	s, err := serving.Start(serving.Config{
		Program: server.Program, Registry: registry, Movies: data, Pipelines: []string{"predict", "recommend"},
		Prepare: func(state string) error {
			store, err := sqlite.OpenStore(t.Context(), filepath.Join(state, "ratings.db"))
			if err != nil {
				return err
			}
			defer store.Close()
			rated, err := ratings.ReadRatings(data)
			if err != nil {
				return err
			}
			return store.Apply(t.Context(), ratings.Changes{Ratings: rated})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", s.Output.Tail())
		}
	})
	return s
}

// drawer draws requests; the same seed draws the same ones.
type drawer struct{ *rand.Rand }

func (d drawer) user() int64 {
	if d.IntN(20) == 0 {
		return 100_000 + d.Int64N(1000) // nobody knows
	}
	return 1 + d.Int64N(610)
}

// movie is one of the first and best known, or one that may not exist.
func (d drawer) movie() int64 {
	if d.IntN(20) == 0 {
		return 1_000_000 + d.Int64N(1000)
	}
	return 1 + d.Int64N(3000)
}

func (d drawer) movies(most int) (all []int64) {
	for range 1 + d.IntN(most) {
		all = append(all, d.movie())
	}
	return all
}

// filters are the same in a query and in a body.
func (d drawer) filters() (query url.Values, body object) {
	query, body = url.Values{}, object{}
	genres := []string{"Comedy", "Drama", "Action", "Film-Noir", "Children", "No such genre"}
	if d.IntN(2) == 0 {
		genre := genres[d.IntN(len(genres))]
		query.Set("category", genre)
		body["genres"] = []string{genre}
	}
	if d.IntN(4) == 0 {
		genre := genres[d.IntN(len(genres))]
		query.Set("not_category", genre)
		body["not_genres"] = []string{genre}
	}
	for name, value := range map[string]int{"year_from": 1900 + d.IntN(110), "min_count": d.IntN(50)} {
		if (value+len(name))%3 == 0 {
			query.Set(name, fmt.Sprint(value))
			body[name] = value
		}
	}
	return query, body
}

func drawTwins(n int) []twin {
	d := drawer{rand.New(rand.NewPCG(paritySeed, 0))}
	twins := make([]twin, n)
	for i := range twins {
		id := fmt.Sprintf("twin-%d", i)
		switch i % 10 {
		case 0, 1, 2, 3:
			user, movie := d.user(), d.movie()
			twins[i] = twinOf(id, "predict", object{"user_id": user, "movie_id": movie}, "GET", fmt.Sprintf("/api/estimate/%d/%d", user, movie), nil)
		case 4:
			twins[i] = d.byQuery(id, "recommend", "/api/recommend/%d", "user_id", d.user())
		case 5:
			twins[i] = d.byBody(id, "recommend", i/10)
		case 6:
			twins[i] = d.byQuery(id, "similar", "/api/item/%d/neighbors", "movie_id", d.movie())
		case 7:
			user := d.user()
			n := 1 + d.IntN(20)
			twins[i] = twinOf(id, "similar", object{"user_id": user, "of": "users", "n": n}, "GET", fmt.Sprintf("/api/user/%d/neighbors?format=full&n=%d", user, n), nil)
		case 8:
			user, movie, n := d.user(), d.movie(), 1+d.IntN(20)
			twins[i] = twinOf(id, "explain", object{"user_id": user, "movie_id": movie, "n": n}, "GET", fmt.Sprintf("/api/because/%d/%d?n=%d", user, movie, n), nil)
		case 9:
			movie, n := d.movie(), 1+d.IntN(20)
			twins[i] = twinOf(id, "audience", object{"movie_id": movie, "n": n}, "GET", fmt.Sprintf("/api/item/%d/audience?format=full&n=%d", movie, n), nil)
		}
	}
	return twins
}

func twinOf(id, kind string, message object, method, path string, body object) twin {
	message["request_id"], message["kind"] = id, kind
	w := twin{id: id, kind: kind, message: text(message), method: method, path: path}
	if body != nil {
		w.body = text(body)
	}
	return w
}

// byQuery is a request with n, offset and filters.
func (d drawer) byQuery(id, kind, path, field string, about int64) twin {
	query, filters := d.filters()
	n, offset := 1+d.IntN(20), d.IntN(2)*d.IntN(30)
	query.Set("n", fmt.Sprint(n))
	query.Set("offset", fmt.Sprint(offset))
	query.Set("format", "full")
	message := object{field: about, "n": n, "offset": offset}
	if len(filters) > 0 {
		message["filters"] = filters
	}
	return twinOf(id, kind, message, "GET", fmt.Sprintf(path, about)+"?"+query.Encode(), nil)
}

// byBody is a request for a user with lists of movies, somebody unknown, or a group.
func (d drawer) byBody(id, kind string, round int) twin {
	message, body := object{"n": 1 + d.IntN(20)}, object{}
	if _, filters := d.filters(); len(filters) > 0 {
		message["filters"] = filters
	}
	var path string
	switch round % 3 {
	case 0:
		user := d.user()
		message["exclude"], message["candidates"] = d.movies(5), d.movies(200)
		body, path = clone(message), fmt.Sprintf("/api/recommend/%d", user)
		message["user_id"] = user
	case 1:
		message["liked"] = d.movies(10)
		body, path = clone(message), "/api/recommend-anonymous"
	case 2:
		group := []int64{d.user(), d.user(), d.user()}
		message["users"] = group
		body, path = clone(message), "/api/recommend-to-many"
	}
	return twinOf(id, kind, message, "POST", path, body)
}

func clone(o object) object {
	all := object{}
	for name, value := range o {
		all[name] = value
	}
	return all
}

func produce(t *testing.T, address string, twins []twin) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for _, w := range twins {
		records = append(records, &kgo.Record{Topic: "requests", Key: []byte(w.id), Value: []byte(w.message)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// repliesOf reads n replies, by the ids of their requests.
func repliesOf(ctx context.Context, t *testing.T, address string, n int) map[string]string {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics("predictions", "recommendations", "dead_letters"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Error(err)
		return nil
	}
	defer client.Close()
	replies := map[string]string{}
	for len(replies) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Errorf("%d of %d replies came on Kafka", len(replies), n)
			return replies
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var reply struct {
				ID string `json:"request_id"`
			}
			if err := json.Unmarshal(r.Value, &reply); err != nil {
				t.Errorf("%v in %s", err, r.Value)
			}
			replies[reply.ID] = string(r.Value)
			if r.Topic == "dead_letters" {
				replies[reply.ID] = fmt.Sprintf("a dead letter: %v", r.Headers)
			}
		})
	}
	return replies
}

// askAll returns the bodies of the answers by HTTP.
func askAll(t *testing.T, base string, twins []twin) []string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers}, Timeout: parityWithin}
	defer client.CloseIdleConnections()
	bodies := make([]string, len(twins))
	var group sync.WaitGroup
	for asker := range askers {
		group.Go(func() {
			for i := asker; i < len(twins); i += askers {
				w := &twins[i]
				request, err := http.NewRequest(w.method, base+w.path, strings.NewReader(w.body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("X-Request-Id", w.id)
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("%s %s %s: %d %s %v", w.method, w.path, w.body, response.StatusCode, bytes.TrimSpace(body), err)
					return
				}
				bodies[i] = string(body)
			}
		})
	}
	group.Wait()
	return bodies
}
