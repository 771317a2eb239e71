//go:build cluster

package docs

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const startTimeout = 3 * time.Minute

// TestTheRealElasticsearchHasEveryPredictionOnce follows the same section with a
// server in the place of the documentation's.
func TestTheRealElasticsearchHasEveryPredictionOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	server, err := servers.StartElasticsearch(ctx, servers.ElasticsearchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	general, sections := sinkSections(t)
	v := newVisit(t)
	address := server.Addresses()[0]
	v.others = []string{"http://127.0.0.1:9200", address}
	v.follow(append(general, sections["Elasticsearch"]...))
	if response, err := http.Post(address+"/_refresh", "application/json", nil); err != nil {
		t.Fatal(err)
	} else if response.Body.Close(); response.StatusCode != http.StatusOK {
		t.Fatalf("refreshing the index answers %s", response.Status)
	}
	checkSink(v, sink{}, indexed(t, address))
}

// indexed returns the request ids in the documents of the index.
func indexed(t *testing.T, address string) (ids []string) {
	t.Helper()
	response, err := http.Get(address + "/predictions-*/_search?size=10000&_source=request_id")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var found struct {
		Hits struct {
			Hits []struct {
				Source struct {
					RequestID string `json:"request_id"`
				} `json:"_source"`
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	for _, hit := range found.Hits.Hits {
		ids = append(ids, hit.Source.RequestID)
	}
	return ids
}
