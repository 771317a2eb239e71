package elasticsearch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/tidwall/gjson"
)

// Server returns the version of the first node that answers, and what time it was
// there, to the second; zero if it does not say.
func Server(ctx context.Context, s Settings) (version string, clock time.Time, err error) {
	transport, wire, err := newTransport(s)
	if err != nil {
		return "", clock, err
	}
	defer wire.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	response, err := esapi.NodesInfoRequest{NodeID: []string{"_local"}, FilterPath: []string{"nodes.*.version", "error"}}.Do(ctx, transport)
	if err != nil {
		return "", clock, fmt.Errorf("asking Elasticsearch at %s for its version: %s", s.URLs[0].Redacted(), explain(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", clock, fmt.Errorf("asking Elasticsearch at %s for its version: %s", s.URLs[0].Redacted(), explain(err))
	}
	if response.IsError() {
		object, _ := isError(answer)
		_, why := judge(readError(response.StatusCode, object), "", false)
		return "", clock, fmt.Errorf("asking Elasticsearch at %s for its version: %s", s.URLs[0].Redacted(), why)
	}
	clock, _ = http.ParseTime(response.Header.Get("Date")) // zero if there is none
	return gjson.GetBytes(answer, "nodes.*.version").String(), clock, nil
}
