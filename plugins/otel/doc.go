// Package otel sends traces to OpenTelemetry collectors: the tracer
// open_telemetry_collector, with the names and fields of Redpanda Connect's.
package otel
