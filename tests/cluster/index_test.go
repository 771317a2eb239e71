//go:build cluster

package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// index is Elasticsearch as any client sees it.
type index struct {
	cluster     *servers.Elasticsearch
	client      *http.Client
	fingerprint string // of the servers' certificate; empty without TLS
}

func newIndex(e *servers.Elasticsearch) (*index, error) {
	tls, err := e.TLSConfig()
	if err != nil {
		return nil, err
	}
	i := &index{cluster: e, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: tls}}}
	if tls == nil {
		return i, nil
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(e.CAFile), "server.pem"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the server's certificate is no PEM")
	}
	sum := sha256.Sum256(block.Bytes)
	i.fingerprint = hex.EncodeToString(sum[:])
	return i, nil
}

// ask sends a request to the first node that answers.
func (i *index) ask(method, path string, body any) (gjson.Result, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return gjson.Result{}, err
		}
	}
	var errs []error
	for _, node := range i.cluster.Nodes {
		if !node.Running() {
			continue
		}
		answer, err := i.askNode(method, node.Address+path, text)
		if err == nil {
			return answer, nil
		}
		errs = append(errs, err)
	}
	return gjson.Result{}, errors.Join(errs...)
}

func (i *index) askNode(method, url string, body []byte) (gjson.Result, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return gjson.Result{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if i.cluster.Username != "" {
		request.SetBasicAuth(i.cluster.Username, i.cluster.Password)
	}
	response, err := i.client.Do(request)
	if err != nil {
		return gjson.Result{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return gjson.Result{}, err
	}
	if response.StatusCode/100 != 2 {
		return gjson.Result{}, fmt.Errorf("%s %s: status %d: %.300s", method, url, response.StatusCode, answer)
	}
	return gjson.ParseBytes(answer), nil
}

func (i *index) mustAsk(t testing.TB, method, path string, body any) gjson.Result {
	t.Helper()
	answer, err := i.ask(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// document is a prediction as it is found by a search.
type document struct {
	index, id string
	source    gjson.Result
}

// byRun is the query for the documents whose request_id begins with prefix.
func byRun(prefix string) map[string]any {
	return map[string]any{"prefix": map[string]any{"request_id": prefix}}
}

// count is the number of documents whose request_id begins with prefix, those
// of a moment ago included.
func (i *index) count(prefix string) (int, error) {
	if _, err := i.ask("POST", "/predictions-*/_refresh", nil); err != nil {
		return 0, err
	}
	answer, err := i.ask("POST", "/predictions-*/_count", map[string]any{"query": byRun(prefix)})
	if err != nil {
		return 0, err
	}
	if failed := answer.Get("_shards.failed").Int(); failed > 0 {
		return 0, fmt.Errorf("%d shards did not answer", failed)
	}
	return int(answer.Get("count").Int()), nil
}

// documents reads all documents whose request_id begins with prefix.
func (i *index) documents(t testing.TB, prefix string) []document {
	t.Helper()
	i.mustAsk(t, "POST", "/predictions-*/_refresh", nil)
	const page = 10_000
	var all []document
	search := map[string]any{"size": page, "query": byRun(prefix), "sort": []any{map[string]any{"request_id": "asc"}, map[string]any{"_index": "asc"}}}
	for {
		answer := i.mustAsk(t, "POST", "/predictions-*/_search", search)
		if failed := answer.Get("_shards.failed").Int(); failed > 0 {
			t.Fatalf("%d shards did not answer", failed)
		}
		hits := answer.Get("hits.hits").Array()
		for _, hit := range hits {
			all = append(all, document{index: hit.Get("_index").Str, id: hit.Get("_id").Str, source: hit.Get("_source")})
		}
		if len(hits) < page {
			return all
		}
		search["search_after"] = hits[len(hits)-1].Get("sort").Value()
	}
}
