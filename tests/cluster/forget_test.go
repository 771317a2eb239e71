//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// eraserRole has the least that delete_by_query needs.
const eraserRole = `{indices: [{names: ["predictions-*", recommendations], privileges: [read, delete, maintenance]}]}`

// known is what the servers have of a user: rows in Cassandra, documents in
// Elasticsearch.
type known struct{ ratings, tags, views, lists, predictions, listDocuments int64 }

func (s *system) known(user int64) (k known, err error) {
	for table, n := range map[string]*int64{"ratings": &k.ratings, "tags": &k.tags, "views": &k.views, "recommendations": &k.lists} {
		if err := s.session.Query("SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", user).Idempotent(true).Scan(n); err != nil {
			return k, err
		}
	}
	query := map[string]any{"query": map[string]any{"term": map[string]any{"user_id": user}}}
	for index, n := range map[string]*int64{"predictions-*": &k.predictions, "recommendations": &k.listDocuments} {
		if _, err := s.index.ask("POST", "/"+index+"/_refresh?ignore_unavailable=true", nil); err != nil {
			return k, err
		}
		answer, err := s.index.ask("POST", "/"+index+"/_count?ignore_unavailable=true", query)
		if err != nil {
			return k, err
		}
		*n = answer.Get("count").Int()
	}
	return k, nil
}

// becomes waits until that is what is known of a user.
func (s *system) becomes(t *testing.T, user int64, want known, who *process) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		got, err := s.known(user)
		if err == nil && got != want {
			err = fmt.Errorf("of user %d there is %+v, want %+v\n%s", user, got, want, who.tail())
		}
		return err
	})
}

// TestAForgottenUserIsGoneFromCassandraAndElasticsearch, who has more predictions than
// one search finds, although Elasticsearch is away when it is asked to forget; by an
// account that may do no more than that. Other users stay.
func TestAForgottenUserIsGoneFromCassandraAndElasticsearch(t *testing.T) {
	const forgotten, other, predictions = int64(910_001), int64(910_002), 1300 // of no other test
	s := sharedSystem(t, 1)
	letters := total(s.broker.mustEnds(t, "dead_letters"))
	fleet := s.startFleet(t, 1)

	did := func(user int64, format string, args ...any) *kgo.Record {
		return &kgo.Record{Topic: "events", Key: fmt.Append(nil, user), Value: fmt.Appendf(nil, format, args...)}
	}
	var records []*kgo.Record
	for _, user := range []int64{forgotten, other} {
		for _, movie := range []int{1, 296, 318} {
			records = append(records,
				did(user, `{"event_type":"rate","user_id":%d,"movie_id":%d,"value":4.5,"timestamp":"2026-01-02T03:04:05Z"}`, user, movie),
				did(user, `{"event_type":"tag","user_id":%d,"movie_id":%d,"value":"dark","timestamp":"2026-01-02T03:04:05Z"}`, user, movie),
				did(user, `{"event_type":"view","user_id":%d,"movie_id":%d,"timestamp":"2026-01-02T03:04:05Z"}`, user, movie))
		}
		for n := range predictions {
			records = append(records, &kgo.Record{Topic: "requests", Key: fmt.Append(nil, user), Value: fmt.Appendf(nil, `{"user_id":%d,"movie_id":318,"request_id":"forget-%d-%d"}`, user, user, n)})
		}
	}
	s.broker.produce(t, records...)
	s.idle(t)
	lists := s.pipelines(t, []string{"recommend_all"}, "RECSYS_RECOMMEND_ALL_SCHEDULE=24h")
	all := known{ratings: 3, tags: 3, views: 3, lists: 1, predictions: predictions, listDocuments: 1}
	s.becomes(t, forgotten, all, lists)
	s.becomes(t, other, all, lists)
	lists.Kill()

	forget := s.pipelines(t, []string{"forget"}, "ELASTICSEARCH_USER=eraser")
	node := s.elasticsearch.Nodes[0]
	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.broker.produce(t, did(forgotten, `{"event_type":"forget_user","user_id":"%d","timestamp":%d}`, forgotten, now.UnixMilli()))
	eventually(t, time.Minute, func() error { // Cassandra comes first
		var n int
		if err := s.session.Query("SELECT COUNT(*) FROM recommendations WHERE user_id = ?", forgotten).Idempotent(true).Scan(&n); err != nil || n > 0 {
			return fmt.Errorf("%d lists are left, %v\n%s", n, err, forget.tail())
		}
		return nil
	})
	if err := s.broker.behind("forget", "events"); err == nil {
		t.Error("the event is acknowledged, and Elasticsearch is away")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := node.Start(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.becomes(t, forgotten, known{}, forget)
	t.Logf("forgotten %.1f s after Elasticsearch was back", time.Since(began).Seconds())
	s.becomes(t, other, all, forget)
	eventually(t, time.Minute, func() error { return s.broker.behind("forget", "events") })
	if n := total(s.broker.mustEnds(t, "dead_letters")); n != letters {
		t.Errorf("%d dead letters\n%s", n-letters, forget.tail())
	}

	// What other tests count is as it was.
	s.broker.produce(t, did(other, `{"event_type":"forget_user","user_id":%d,"timestamp":%d}`, other, now.UnixMilli()))
	s.becomes(t, other, known{}, forget)
	forget.Kill()
	fleet.kill()
}
