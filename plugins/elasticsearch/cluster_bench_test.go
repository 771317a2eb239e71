//go:build cluster

package elasticsearch

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// BenchmarkBulk writes 20,000 predictions with 2 workers of 2,000 documents, by
// the output and by a loop written by hand, in turns and 24 times each, each time
// into a new index.
//
//	go test -tags cluster -run '^$' -bench Bulk -benchtime 1x ./plugins/elasticsearch
func BenchmarkBulk(b *testing.B) {
	const rounds, workers, size, batches = 24, 2, 2000, 10
	e := startServer(b, servers.ElasticsearchOptions{Bench: true})
	address := e.Nodes[0].Address
	zero := 0
	if _, err := Setup(within(b, time.Minute), realSettings(address), SetupOptions{Replicas: &zero}); err != nil {
		b.Fatal(err)
	}
	o, _ := newTestOutput(b, settingsYAML(address))
	messages := make([]service.MessageBatch, batches)
	documents := make([][][]byte, batches)
	for i := range messages {
		messages[i] = numbered(i*size, size)
		for _, m := range messages[i] {
			data, _ := m.AsBytes()
			documents[i] = append(documents[i], data)
		}
	}
	run := func(write func(i int)) float64 {
		ask(b, http.MethodDelete, address+"/predictions-2026.11.23", "")
		work := make(chan int)
		var wg sync.WaitGroup
		start := time.Now()
		for range workers {
			wg.Go(func() {
				for i := range work {
					write(i)
				}
			})
		}
		for i := range batches {
			work <- i
		}
		close(work)
		wg.Wait()
		seconds := time.Since(start).Seconds()
		if n := countDocuments(b, address); n != batches*size {
			b.Fatalf("%d documents, want %d", n, batches*size)
		}
		return float64(batches*size) / seconds
	}
	ctx := within(b, 10*time.Minute)
	byOutput := func(i int) {
		if err := o.WriteBatch(ctx, messages[i]); err != nil {
			b.Error(err)
		}
	}
	byHand := func(i int) { writeByHand(b, address, i*size, documents[i]) }
	for b.Loop() {
		ours, theirs, ratios := inTurns(rounds, func() float64 { return run(byOutput) }, func() float64 { return run(byHand) })
		for _, sorted := range [][]float64{ours, theirs, ratios} {
			slices.Sort(sorted)
		}
		b.ReportMetric(ours[rounds/2], "docs/s")
		b.ReportMetric(theirs[rounds/2], "by-hand-docs/s")
		b.ReportMetric(ratios[rounds/2], "ratio")
		b.Logf("output %.0f, by hand %.0f, ratios %.2f", ours, theirs, ratios)
	}
}

// inTurns gives the speeds of two loops, and their ratios.
func inTurns(rounds int, output, hand func() float64) (ours, theirs, ratios []float64) {
	for range 4 { // warms up the server
		hand()
		output()
	}
	for i := range rounds {
		var x, y float64
		if i%2 == 0 {
			x, y = output(), hand()
		} else {
			y, x = hand(), output()
		}
		ours, theirs, ratios = append(ours, x), append(theirs, y), append(ratios, x/y)
	}
	return ours, theirs, ratios
}

// writeByHand is what one would write without a library: a buffer, a POST, and
// one look at the answer.
func writeByHand(b *testing.B, address string, first int, documents [][]byte) {
	var body bytes.Buffer
	for i, document := range documents {
		fmt.Fprintf(&body, `{"index":{"_index":"predictions-2026.11.23","_id":"events-0-%d"}}`+"\n", first+i)
		body.Write(document)
		body.WriteByte('\n')
	}
	response, err := http.Post(address+"/_bulk?filter_path=errors", "application/x-ndjson", &body)
	if err != nil {
		b.Error(err)
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || gjson.GetBytes(answer, "errors").Raw != "false" {
		b.Errorf("%s, %v", answer, err)
	}
}
