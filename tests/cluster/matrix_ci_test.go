//go:build cluster && !chaos

package cluster

import "time"

// defaultMessages is how many events, and how many requests, a fault is in the
// middle of.
const defaultMessages = 20_000

// lead is how much longer than the fault the traffic lasts.
const lead = 6 * time.Second

// faults are one of each kind.
func faults() []fault {
	return []fault{
		killNode("the controller of Kafka", controller),
		killNode("a Cassandra node", cassandraNode),
		killNode("the master of Elasticsearch", master),
		killPipeline("a predictor", firstPredictor, "predict", "models"),
		killPipeline("ingest", ingestProcess, "ingest"),
		killPipeline("index", indexProcess, "index"),
	}
}

// Exactly once: how many requests, and kills in the middle of them.
const (
	onceRequests = 20_000
	onceKills    = 2
)
