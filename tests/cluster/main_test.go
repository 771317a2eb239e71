//go:build cluster

// Package cluster runs the built binary against real Kafka, Cassandra and
// Elasticsearch, with config/cluster.yaml and the very pipelines/*.yaml, as a
// user does. It proves the flow, the contract with the original system, and
// that no fault of a server or of a pipeline loses or doubles anything:
//
//	go test -tags cluster -timeout 20m ./tests/cluster/...              one fault of each kind, 20,000 messages each
//	go test -tags 'cluster chaos' -timeout 60m ./tests/cluster/...      all faults, 100,000 messages each
//
// RECSYS_DATA names the folder of MovieLens ml-latest-small. With
// RECSYS_CLUSTER_MESSAGES there are so many events and so many requests for each
// fault.
//
// Tests share servers: first one node of each with passwords and TLS, then three
// nodes of each. At the end a table tells how soon all was well again.
package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	module = "github.com/recsys-benthos/recsys-benthos"
	root   = "../.."
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "recsys-cluster-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "recsys-benthos")
	build := exec.Command("go", "build", "-o", binary, module+"/cmd/recsys-benthos")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, output)
		return 1
	}
	code := m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	printRecoveries()
	return code
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
