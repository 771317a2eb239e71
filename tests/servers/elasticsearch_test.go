//go:build cluster

package servers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestElasticsearchOfThreeKeepsDocumentsWhenTheMasterIsKilled(t *testing.T) {
	ctx := testContext(t)
	e := started(t, StartElasticsearch, ElasticsearchOptions{Nodes: 3})
	master := must[*Node](t)(e.Master(ctx))
	var other *Node
	for _, n := range e.Nodes {
		if n != master {
			other = n
		}
	}
	call := func(method, path, body string) map[string]any {
		t.Helper()
		return must[map[string]any](t)(elasticsearchCall(ctx, t, e, other, method, path, body))
	}
	call("PUT", "/numbers", `{"settings": {"number_of_shards": 1, "number_of_replicas": 1}}`)
	call("GET", "/_cluster/health?wait_for_status=green&timeout=60s", "")
	call("PUT", "/numbers/_doc/1?refresh=true", `{"n": 1}`)
	var next *Node
	measure(t, "electing another master", func() {
		check(t, master.Kill())
		next = must[*Node](t)(e.Master(ctx))
	})
	if next == master {
		t.Errorf("%s is killed and still the master", next.Name)
	}
	call("GET", "/_cluster/health/numbers?wait_for_status=yellow&timeout=60s", "")
	call("PUT", "/numbers/_doc/2?refresh=true", `{"n": 2}`)
	measure(t, "restarting it", func() { check(t, master.Start(ctx)) })
	check(t, other.Pause())
	check(t, other.Resume())
	if count := call("GET", "/numbers/_count", "")["count"]; count != 2.0 {
		t.Errorf("%v documents of 2 are left", count)
	}
}

func TestElasticsearchKeepsDocumentsWhenItsOnlyNodeIsKilled(t *testing.T) {
	ctx := testContext(t)
	e := started(t, StartElasticsearch, ElasticsearchOptions{})
	n := e.Nodes[0]
	must[map[string]any](t)(elasticsearchCall(ctx, t, e, n, "PUT", "/numbers/_doc/1", `{"n": 1}`))
	pid := n.Pid()
	check(t, n.Kill())
	gone(t, pid) // the server, not its launcher alone
	check(t, n.Start(ctx))
	must[map[string]any](t)(elasticsearchCall(ctx, t, e, n, "GET", "/_cluster/health/numbers?wait_for_status=yellow&timeout=60s", ""))
	must[map[string]any](t)(elasticsearchCall(ctx, t, e, n, "GET", "/numbers/_doc/1", ""))
	check(t, n.Stop(ctx))
}

func TestElasticsearchLogsClientsInByHTTPS(t *testing.T) {
	ctx := testContext(t)
	e := started(t, StartElasticsearch, ElasticsearchOptions{Security: true})
	if !strings.HasPrefix(e.Addresses()[0], "https://") {
		t.Errorf("the address is %s", e.Addresses()[0])
	}
	must[map[string]any](t)(elasticsearchCall(ctx, t, e, e.Nodes[0], "PUT", "/numbers/_doc/1", `{"n": 1}`))
	e.Password = "wrong"
	if _, err := elasticsearchCall(ctx, t, e, e.Nodes[0], "GET", "/numbers/_doc/1", ""); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestElasticsearchOfThreeHasSecurity(t *testing.T) {
	e := started(t, StartElasticsearch, ElasticsearchOptions{Nodes: 3, Security: true})
	must[*Node](t)(e.Master(testContext(t)))
}

func TestElasticsearchShowsACertificateThatHasExpired(t *testing.T) {
	e := started(t, StartElasticsearch, ElasticsearchOptions{Security: true, NotAfter: time.Now().Add(-time.Hour)})
	_, err := elasticsearchCall(testContext(t), t, e, e.Nodes[0], "GET", "/_cluster/health", "")
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v, want an expired certificate", err)
	}
}

// elasticsearchCall is a request as the cluster's user; the answer is an error unless
// its status is 2xx.
func elasticsearchCall(ctx context.Context, t *testing.T, e *Elasticsearch, n *Node, method, path, body string) (map[string]any, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: must[*tls.Config](t)(e.TLSConfig()), DisableKeepAlives: true}
	req := must[*http.Request](t)(http.NewRequestWithContext(ctx, method, n.Address+path, strings.NewReader(body)))
	req.Header.Set("Content-Type", "application/json")
	if e.Username != "" {
		req.SetBasicAuth(e.Username, e.Password)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text := must[[]byte](t)(io.ReadAll(resp.Body))
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	var answer map[string]any
	return answer, json.Unmarshal(text, &answer)
}
