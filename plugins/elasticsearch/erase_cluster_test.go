//go:build cluster

package elasticsearch

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// ofUser are n predictions of a user, half of them of the day before.
func ofUser(user, n int) (batch service.MessageBatch) {
	for i := range n {
		batch = append(batch, service.NewMessage(fmt.Appendf(nil,
			`{"request_id":"u%d-%d","user_id":%d,"movie_id":318,"requested_at":"2026-11-%dT22:03:01Z"}`, user, i, user, 22+i%2)))
	}
	return batch
}

// countOf counts the documents of a user by the first node that answers.
func countOf(t *testing.T, address string, user int) int64 {
	t.Helper()
	ask(t, http.MethodPost, address+"/predictions-*/_refresh", "")
	answer := gjson.Parse(ask(t, http.MethodPost, address+"/predictions-*/_count?allow_no_indices=false", fmt.Sprintf(`{"query":{"term":{"user_id":%d}}}`, user)))
	if !answer.Get("count").Exists() || answer.Get("_shards.failed").Int() > 0 {
		t.Fatalf("counting: %s", answer.Raw)
	}
	return answer.Get("count").Int()
}

// TestErasingOutlivesTheMaster: of three nodes the elected master dies while a user's
// documents are deleted; all of them go, and those of others stay.
func TestErasingOutlivesTheMaster(t *testing.T) {
	const many, others = 20_000, 3000
	e := startServer(t, servers.ElasticsearchOptions{Nodes: 3})
	ctx := within(t, startTimeout)
	replicas := 1
	s := realSettings(e.Nodes[0].Address)
	if _, err := Setup(ctx, s, SetupOptions{Replicas: &replicas}); err != nil {
		t.Fatal(err)
	}
	writer, _ := newTestOutput(t, settingsYAML(e.Addresses()...))
	for user, n := range map[int]int{7: many, 8: others} {
		if failed := writeAll(t, writer, ofUser(user, n)); len(failed) > 0 {
			t.Fatalf("failed: %v", failed)
		}
	}
	if n := countOf(t, e.Nodes[0].Address, 7); n != many {
		t.Fatalf("%d documents are there, want %d", n, many)
	}
	ask(t, http.MethodGet, e.Nodes[0].Address+"/_cluster/health?wait_for_status=green&timeout=60s", "")
	master, err := e.Master(ctx)
	if err != nil {
		t.Fatal(err)
	}
	o, log := newTestOutput(t, eraserYAML(e.Addresses()...))
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- o.WriteBatch(ctx, messagesOf(`{"user_id":7}`)) }()
	var living *servers.Node
	for _, n := range e.Nodes {
		if n != master {
			living = n
		}
	}
	for left := int64(many); left > many-2*erasedAtOnce; { // it is under way
		left = countOf(t, living.Address, 7)
	}
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("it ended before the master died: %v", err)
	default:
	}
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Logf("%d documents were deleted in %.1f s\n%s", many, time.Since(began).Seconds(), log)
	if gone, kept := countOf(t, living.Address, 7), countOf(t, living.Address, 8); gone != 0 || kept != others {
		t.Errorf("%d documents are left of the user, want 0; %d of another, want %d", gone, kept, others)
	}

	// Of an index that is not there or closed nothing is asked, and a query that
	// cannot be read fails its message alone.
	ask(t, http.MethodPost, living.Address+"/predictions-2026.11.22/_close", "")
	yaml := strings.Replace(eraserYAML(e.Addresses()...), `{"term": {"user_id": this.user_id.int64()}}`, `this.query.or({"term": {"user_id": this.user_id.int64()}})`, 1)
	o, _ = newTestOutput(t, strings.Replace(yaml, "recommendations", "nowhere", 1))
	failed := writeAll(t, o, messagesOf(`{"user_id":8}`, `{"query":{"sounds_like":{"user_id":8}}}`))
	if len(failed) != 1 || !strings.Contains(failed[1], "sounds_like") {
		t.Errorf("failed: %v", failed)
	}
	ask(t, http.MethodPost, living.Address+"/predictions-2026.11.22/_open?wait_for_active_shards=1", "")
	ask(t, http.MethodGet, living.Address+"/_cluster/health?wait_for_status=yellow&timeout=60s", "")
	if n := countOf(t, living.Address, 8); n != others/2 {
		t.Errorf("%d documents are left, want the %d of the closed index", n, others/2)
	}
}
