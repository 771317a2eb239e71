package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

const (
	bulkSize    = 2000
	bulkWorkers = 2
	indexByHand = "by-hand-2026.11.23"
)

// elasticsearchTable indexes b.rows predictions.
func elasticsearchTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	node, err := servers.StartElasticsearch(ctx, servers.ElasticsearchOptions{Bench: true})
	if err != nil {
		return table{}, err
	}
	defer node.Close()
	address := node.Addresses()[0]
	if err := b.putTemplate(ctx, address); err != nil {
		return table{}, err
	}
	profile, err := b.clusterProfile("kafka", "dead_letters", "prediction_index")
	if err != nil {
		return table{}, err
	}
	requestedAt := time.Now()
	if err := b.fillPredictions(ctx, s, requestedAt.UnixMilli()); err != nil {
		return table{}, err
	}
	index := "predictions-" + requestedAt.UTC().Format("2006.01.02")
	ours := &contender{name: "index.yaml", run: func(ctx context.Context, _ int) (result, error) {
		if err := request(ctx, http.MethodDelete, address+"/"+index, nil); err != nil {
			return result{}, err
		}
		r, err := b.drain(ctx, s, profile, "index", []string{"ELASTICSEARCH_URLS=" + address})
		return r, errors.Join(err, b.counted(ctx, address, index))
	}}
	hand := &contender{name: "by hand", run: func(ctx context.Context, _ int) (result, error) {
		if err := request(ctx, http.MethodDelete, address+"/"+indexByHand, nil); err != nil {
			return result{}, err
		}
		r, err := b.drainByHand(ctx, s, "predictions", b.rows, "elasticsearch-by-hand", "--servers", address)
		return r, errors.Join(err, b.counted(ctx, address, indexByHand))
	}}
	if err := b.inTurns(ctx, ours, hand); err != nil {
		return table{}, err
	}
	return table{note: "the second half of " + digits(float64(b.rows)) + " predictions per run, one node, into a new index each time", rows: []row{
		{what: "Kafka → Elasticsearch, against 2 workers × 2,000 by hand", unit: "docs/s", ours: ours.perSecond(), yardstick: hand.perSecond(), floor: 0.8, aim: 0.95},
		{what: "CPU per document of it", unit: "µs", ours: ours.cpu(), yardstick: hand.cpu()},
	}}, nil
}

// putTemplate gives the index of the yardstick the mapping and settings of ours.
func (b *bench) putTemplate(ctx context.Context, address string) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	none := 0
	settings := elasticsearch.Settings{URLs: []*url.URL{parsed}, Timeout: time.Minute, Connections: 2, Index: "predictions", Daily: true}
	if _, err := elasticsearch.Setup(ctx, settings, elasticsearch.SetupOptions{Replicas: &none}); err != nil {
		return err
	}
	data, err := get(address + "/_index_template/predictions")
	if err != nil {
		return err
	}
	template := gjson.GetBytes(data, "index_templates.0.index_template").Raw
	template = strings.Replace(template, `"predictions-*"`, `"by-hand-*"`, 1)
	return request(ctx, http.MethodPut, address+"/_index_template/by-hand", []byte(template))
}

func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// fillPredictions replaces the topic by one that holds b.rows predictions.
func (b *bench) fillPredictions(ctx context.Context, s *stage, now int64) error {
	if _, err := s.admin.DeleteTopic(ctx, "predictions"); err != nil {
		return err
	}
	for {
		if _, err := s.admin.CreateTopic(ctx, partitions, 1, nil, "predictions"); err == nil {
			break
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	movies, err := catalog.Open(b.data)
	if err != nil {
		return err
	}
	e, err := b.events(5)
	if err != nil {
		return err
	}
	return s.fill(ctx, "predictions", b.rows, func(i int) (key, value []byte) {
		user, movie := e.pair()
		p := message.Prediction{
			RequestID: fmt.Sprintf("requests-%d-%d", i%partitions, i/partitions), User: user, Movie: movie, Value: 3.1415927,
			ModelVersion: "20260101-000000-abcdef", RequestedAt: now, PredictedAt: now + 2, Actual: 4.5, HasActual: true,
		}
		fields, _ := movies.JSON(movie)
		value = p.AppendJSON(nil)
		value = append(append(append(value[:len(value)-1], ','), fields...), '}')
		return strconv.AppendInt(nil, user, 10), value
	})
}

// counted fails unless all predictions are in an index.
func (b *bench) counted(ctx context.Context, url, index string) error {
	if err := request(ctx, http.MethodPost, url+"/"+index+"/_refresh", nil); err != nil {
		return err
	}
	answer, err := get(url + "/" + index + "/_count")
	if n := gjson.GetBytes(answer, "count").Int(); err == nil && n != int64(b.rows) {
		err = fmt.Errorf("%s holds %d documents, want %d: %s", index, n, b.rows, answer)
	}
	return err
}

// request sends JSON; that what shall be deleted is not there is no error.
func request(ctx context.Context, method, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode >= 300 && !(method == http.MethodDelete && response.StatusCode == http.StatusNotFound) {
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, answer)
	}
	return err
}

// elasticsearchByHand has workers that send what they are given in bulks.
func elasticsearchByHand(c *cli.Context) error {
	client, err := consumer(c)
	if err != nil {
		return err
	}
	defer client.Close()
	bulks := make(chan []*kgo.Record)
	var mu sync.Mutex
	done := 0
	failed := make(chan error, bulkWorkers)
	for range bulkWorkers {
		go func() {
			var body bytes.Buffer
			for records := range bulks {
				if err := bulk(c, &body, records); err != nil {
					failed <- err
					return
				}
				mu.Lock()
				done += len(records)
				fmt.Println(done)
				mu.Unlock()
			}
		}()
	}
	for {
		fetches := client.PollRecords(c.Context, bulkSize)
		if err := fetches.Err(); err != nil {
			return err
		}
		select {
		case bulks <- fetches.Records():
		case err := <-failed:
			return err
		}
	}
}

func bulk(c *cli.Context, body *bytes.Buffer, records []*kgo.Record) error {
	body.Reset()
	for _, r := range records {
		fmt.Fprintf(body, `{"index":{"_index":"%s","_id":"%s"}}`+"\n", indexByHand, gjson.GetBytes(r.Value, "request_id").Str)
		body.Write(r.Value)
		body.WriteByte('\n')
	}
	response, err := http.Post(c.String("servers")+"/_bulk?filter_path=errors", "application/x-ndjson", bytes.NewReader(body.Bytes()))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && gjson.GetBytes(answer, "errors").Raw != "false" {
		err = fmt.Errorf("bulk: %s", answer)
	}
	return err
}
