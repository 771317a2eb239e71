package client_test

import (
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/client"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

const (
	readKey  = "reading-0123456789"
	writeKey = "writing-0123456789"
	adminKey = "admin-0123456789"
)

// server runs for all tests: the built binary with its pipelines.
var server *serving.Server

func TestMain(m *testing.M) {
	os.Exit(serving.Main(m, serving.Config{
		Pipelines: []string{"ingest", "items", "movies"},
		Env:       []string{"RECSYS_API_READ_KEY=" + readKey, "RECSYS_API_WRITE_KEY=" + writeKey, "RECSYS_API_ADMIN_KEY=" + adminKey},
	}, &server))
}

// asked is what all tests have asked for: method and path.
var asked sync.Map

// recorder notes what is asked for.
type recorder struct{}

func (recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	asked.Store(r.Method+" "+r.URL.EscapedPath(), true)
	return http.DefaultTransport.RoundTrip(r)
}

// connect returns a client of the server with a key.
func connect(t *testing.T, key string) *client.Client {
	t.Helper()
	c, err := client.New(server.Base, client.Config{Key: key, HTTP: &http.Client{Transport: recorder{}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until waits for what ingest does a moment after an answer.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s\n%s", what, server.Output.Tail())
		}
	}
}
