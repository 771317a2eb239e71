//go:build cluster && !chaos

package cluster

import "time"

// defaultMessages is how many events, and how many requests, a fault is in the
// middle of.
const defaultMessages = 20_000

// lead is how much longer than the fault the traffic lasts.
const lead = 6 * time.Second

// severed is how long a network fails.
const severed = 5 * time.Second

// visited is how long members come and go.
const visited = 10 * time.Second

// matrix is one of each kind.
func matrix() []fault {
	return []fault{
		killNode("the controller of Kafka", controller),
		killNode("a Cassandra node", cassandraNode),
		killNode("the master of Elasticsearch", master),
		killPipeline("a predictor", firstPredictor, "predict", "models"),
		killPipeline("ingest", ingestProcess, "ingest"),
		killPipeline("index", indexProcess, "index"),
		severNode(halfOpen, kafka, severed),
		severNode(cutBoth, cassandra, severed),
		severNode(cutBack, elasticsearch, severed),
		rebalances("predict", "requests", visited),
		jumpPipeline("ingest", ingestProcess, -time.Hour),
	}
}

// Exactly once: how many requests, and kills in the middle of them.
const (
	onceRequests = 20_000
	onceKills    = 2
)
