// Package cassandra keeps ratings in Apache Cassandra: the cache-type resource
// cassandra_ratings is a rating store over the tables of config/schema.cql, the
// output cassandra writes rows with any CQL, and the input cassandra reads
// tables by parallel token ranges.
//
// All three share their connection fields, connect in the background, and wait
// for servers that are away: an outage makes no dead letters, and a write that
// the server did not acknowledge is not acknowledged.
package cassandra
