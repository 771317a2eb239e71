// Package servers starts real Kafka, Cassandra and Elasticsearch servers, and one that
// speaks S3, as plain processes on loopback, for tests and benchmarks: no containers,
// only Java 17 and, the first time, Maven (for S3, Go alone).
//
//	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{Nodes: 3})
//	if err != nil {
//		return err
//	}
//	defer kafka.Close()
//	…
//	leader, err := kafka.Leader(ctx, "events", 0)
//	err = leader.Kill()       // kill -9
//	err = leader.Start(ctx)   // again, on the same data and port
//
// A test says servers.ForTest(t) first (servers.ForS3Test(t) if S3 is all it uses): it skips where the servers cannot run, and
// fails there if CI=true or RECSYS_REQUIRE_SERVERS=1.
//
// The servers' files are fetched once into a cache folder (RECSYS_SERVERS_CACHE, by
// default recsys-benthos/servers in the user's cache folder). Everything else a
// cluster writes, its logs too, is in Cluster.Dir, which Close removes. Ports are
// picked at run time and stay reserved until Close, so clusters of several processes
// can run at once and a node that is down finds its port free.
//
// Servers die with the process that started them (on Linux), however it ends.
//
// Settings are tuned for tests: quick fail-over, small heaps, and a JVM that starts
// fast rather than runs fast unless Bench is set.
package servers
