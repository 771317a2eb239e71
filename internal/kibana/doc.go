// Package kibana imports dashboards into Kibana, and says which are not there, by
// its saved objects API (Kibana 8, elastic.co/guide: "Import objects API"). Command
// gen below it makes the dashboard of predictions that this project brings.
package kibana

//go:generate go run ./gen ../../config/kibana/recsys-benthos.ndjson
