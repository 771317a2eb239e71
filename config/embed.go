// Package config carries the configuration inside the binary: `up` runs it
// outside a checkout, `init` writes it out for editing.
package config

import "embed"

// Files are the service's configuration, the profiles, the tables of Cassandra,
// the index template of Elasticsearch, and the fixtures of the test profile.
//
//go:embed *.yaml *.cql elasticsearch/*.json fixtures
var Files embed.FS
