//go:build cluster

// Package cluster runs the built binary against real Kafka, Cassandra and
// Elasticsearch, with config/cluster.yaml and the very pipelines/*.yaml, as a
// user does. It proves the flow, the contract with the original system, and
// that no fault of a server or of a pipeline loses or doubles anything:
//
//	go test -tags cluster -timeout 20m ./tests/cluster/...              one fault of each kind, 20,000 messages each
//	go test -tags 'cluster chaos' -timeout 120m ./tests/cluster/...     all faults, 100,000 messages each
//
// RECSYS_FAULTS_TABLE names a file for the table of docs/reliability.md, RECSYS_SEED
// repeats random choices. RECSYS_DATA names the folder of MovieLens ml-latest-small. With
// RECSYS_CLUSTER_MESSAGES there are so many events and so many requests for each
// fault.
//
// Tests share servers: first one node of each with passwords and TLS, then three
// nodes of each. At the end a table tells how soon all was well again.
package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

const (
	module = "github.com/recsys-benthos/recsys-benthos"
	root   = "../.."
)

// program is the path of the binary under test, built once.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	code := binary.Main(m, &program)
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	printRecoveries()
	return code
}

// choices returns a source of random choices of its own for each stream.
// RECSYS_SEED repeats a run's.
func choices(t testing.TB, stream uint64) *rand.Rand {
	t.Helper()
	seed := rand.Uint64N(1e6)
	if text := os.Getenv("RECSYS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RECSYS_SEED=%s: give a number that a run has printed", text)
		}
	}
	t.Logf("repeat it with RECSYS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, stream))
}

// messages is how many events, and how many requests, there are for a fault.
func messages(t testing.TB) int {
	t.Helper()
	text := os.Getenv("RECSYS_CLUSTER_MESSAGES")
	if text == "" {
		return defaultMessages
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("RECSYS_CLUSTER_MESSAGES=%s: give a number of at least 1000", text)
	}
	return n
}
