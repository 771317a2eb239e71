//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// TestTheListsOfAllUsersAreInCassandraAndElasticsearch: the same list of each user in
// both, and one each, however often it runs.
func TestTheListsOfAllUsersAreInCassandraAndElasticsearch(t *testing.T) {
	const users = 610
	s := sharedSystem(t, 1)
	before := total(s.broker.mustEnds(t, "dead_letters"))
	for run := range 2 {
		began := time.Now()
		p := s.pipelines(t, []string{"recommend_all"}, "RECSYS_RECOMMEND_ALL_SCHEDULE=24h", fmt.Sprintf("RECSYS_RECOMMEND_ALL_N=%d", 5-run))
		var lists map[int64][]int64
		eventually(t, 2*time.Minute, func() error {
			lists = s.listsInCassandra(t, 5-run)
			if len(lists) != users {
				return fmt.Errorf("%d lists of %d movies in Cassandra, want %d\n%s", len(lists), 5-run, users, p.tail())
			}
			s.index.mustAsk(t, "POST", "/recommendations/_refresh", nil)
			if n := s.index.mustAsk(t, "POST", "/recommendations/_count", map[string]any{"query": map[string]any{"match_all": map[string]any{}}}).Get("count").Int(); n != users {
				return fmt.Errorf("%d lists in Elasticsearch, want %d", n, users)
			}
			return nil
		})
		t.Logf("run %d took %.1f s, with the start of the process", run+1, time.Since(began).Seconds())
		p.Kill()
		hits := s.index.mustAsk(t, "POST", "/recommendations/_search", map[string]any{"size": 1000}).Get("hits.hits").Array()
		for _, hit := range hits {
			user := hit.Get("_source.user_id").Int()
			var movies []int64
			for _, item := range hit.Get("_source.items").Array() {
				movies = append(movies, item.Get("movie_id").Int())
			}
			if hit.Get("_id").Str != fmt.Sprint(user) || fmt.Sprint(movies) != fmt.Sprint(lists[user]) {
				t.Fatalf("document %s: movies %v in Elasticsearch, %v in Cassandra", hit.Get("_id").Str, movies, lists[user])
			}
		}
		if len(hits) != users {
			t.Errorf("%d documents", len(hits))
		}
		movie := lists[1][0]
		if n := s.index.mustAsk(t, "POST", "/recommendations/_count", map[string]any{"query": map[string]any{"term": map[string]any{"items.movie_id": movie}}}).Get("count").Int(); n < 1 {
			t.Errorf("nobody is found who is recommended movie %d", movie)
		}
	}
	if letters := s.broker.mustEnds(t, "dead_letters"); total(letters) != before {
		t.Errorf("dead letters: %v", letters)
	}
}

// listsInCassandra are the users' lists that have n movies.
func (s *system) listsInCassandra(t *testing.T, n int) map[int64][]int64 {
	t.Helper()
	iter := s.session.Query("SELECT user_id, movie_ids, items FROM recommendations").Iter()
	found := map[int64][]int64{}
	var user int64
	var movies []int64
	var text string
	for iter.Scan(&user, &movies, &text) {
		var items []struct {
			Movie int64 `json:"movie_id"`
		}
		if err := json.Unmarshal([]byte(text), &items); err != nil || len(items) != len(movies) || len(items) > 0 && items[0].Movie != movies[0] {
			t.Fatalf("user %d: %v, items %s", user, movies, text)
		}
		if len(movies) == n {
			found[user] = movies
		}
		movies = nil
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}
