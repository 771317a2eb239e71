// Package config carries the configuration inside the binary: `up` runs it
// outside a checkout, `init` writes it out for editing.
package config

import "embed"

// Files are the service's configuration, the profiles, the tables of Cassandra,
// the index templates of Elasticsearch, the dashboards of Kibana and Grafana, the
// JSON schemas of all messages, the grants of least privilege, and the fixtures of the test profile.
//
//go:embed *.yaml *.cql elasticsearch/*.json kibana/*.ndjson grafana/*.json schemas/*.json grants fixtures
var Files embed.FS
