package elasticsearch

import (
	"fmt"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure" // ts_parse
	"github.com/redpanda-data/benthos/v4/public/service"
)

// BenchmarkBody builds the requests of 2,000 predictions, by fields read directly
// and by interpolation.
func BenchmarkBody(b *testing.B) {
	batch := predictions(2000)
	for _, variant := range []struct{ name, yaml string }{
		{"fields", settingsYAML("http://localhost:9200")},
		{"id interpolated", "urls: [http://localhost:9200]\nindex: predictions\ndate_field: requested_at\nid: '${! json(\"request_id\") }'\n"},
		{"id and index interpolated", "urls: [http://localhost:9200]\nindex: 'predictions-${! json(\"requested_at\").ts_parse(\"2006-01-02T15:04:05.000Z\").ts_format(\"2006.01.02\") }'\nid: '${! json(\"request_id\") }'\n"},
	} {
		b.Run(variant.name, func(b *testing.B) {
			o, _ := newTestOutput(b, variant.yaml)
			b.ReportAllocs()
			var w body
			for b.Loop() {
				w.reset()
				// As they come from an input: nothing is decoded yet.
				for i, m := range batch {
					data, _ := m.AsBytes()
					if rejection := w.add(&o.conf, i, service.NewMessage(data)); rejection != nil {
						b.Fatal(rejection)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/doc")
		})
	}
}

// BenchmarkAnswer reads the answer to 2,000 actions that all succeeded.
func BenchmarkAnswer(b *testing.B) {
	answer := []byte(`{"errors":false,"items":[`)
	for i := range 2000 {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = fmt.Appendf(answer, `{"index":{"status":201}}`)
	}
	answer = append(answer, "]}"...)
	b.ReportAllocs()
	for b.Loop() {
		if !allWritten(answer, 2000) {
			b.Fatal("not written")
		}
	}
}

func TestTimesOfAllForms(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-11-23T22:03:01.000Z"`:       "-2026.11.23",
		`"2026-11-23T00:30:00+02:00"`:      "-2026.11.22",
		`"2026-11-23 23:59:59"`:            "-2026.11.23",
		`1764000000`:                       "-2025.11.24",
		`1764000000000`:                    "-2025.11.24",
		`"1764000000000"`:                  "-2025.11.24",
		`"2026-02-30T00:00:00Z"`:           "",
		`-5`:                               "",
		`1.5`:                              "",
		`null`:                             "",
		`{}`:                               "",
		`"2026-11-23"`:                     "",
		`999999999999999999`:               "",
		`"1969-12-31T23:59:59Z"`:           "",
		`"2026-11-23T22:03:01.123456789Z"`: "-2026.11.23",
	} {
		got, err := parseTime(field([]byte(`{"t":`+text+`}`), "t"))
		if (err == nil) != (want != "") || err == nil && got.Format(dateSuffix) != want {
			t.Errorf("%s: %v, %v, want %q", text, got, err, want)
		}
		if err == nil && got.Location() != time.UTC {
			t.Errorf("%s: not in UTC", text)
		}
	}
}
