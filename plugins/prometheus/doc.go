// Package prometheus exports metrics to Prometheus: the plugin prometheus, with the
// names and fields of Redpanda Connect's.
package prometheus
