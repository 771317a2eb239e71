package als

import (
	"fmt"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// publishTrained publishes a model trained on recsystest's ratings.
func publishTrained(b *testing.B, r *registry.Registry, seed uint64) string {
	b.Helper()
	matrix, err := ratings.NewMatrix(recsystest.Ratings(600, 2000, 0.05, seed))
	if err != nil {
		b.Fatal(err)
	}
	p := als.DefaultParameters(als.ALS)
	p.Preference, p.Rank, p.Iterations = nil, 64, 1
	f, err := als.Train(b.Context(), matrix, p, nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		b.Fatal(err)
	}
	manifest, err := r.Publish(b.Context(), m, registry.Manifest{CreatedAt: time.Unix(int64(seed), 0), Algorithm: als.ALS})
	if err != nil {
		b.Fatal(err)
	}
	return manifest.Version
}

// benchmarkPredict predicts and learns rating events in batches of 256.
func benchmarkPredict(b *testing.B, r *registry.Registry) {
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"))
	follower := &registry.Follower{Registry: r, Live: model.NewLive()}
	mgr.SetGeneric(model.LiveKey{Label: "model"}, follower.Live)
	if err := follower.Poll(); err != nil {
		b.Fatal(err)
	}
	conf, err := predictSpec().ParseYAML("", nil)
	if err != nil {
		b.Fatal(err)
	}
	p, err := newPredictor(conf, mgr)
	if err != nil {
		b.Fatal(err)
	}
	const size = 256
	texts := make([][]byte, 40*size)
	for k := range texts {
		texts[k] = fmt.Appendf(nil, `{"event_type":"rate","user_id":"%d","movie_id":"%d","value":"4.5","timestamp":"%d"}`, k*7%600+1, k*13%2000+1, k+1)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		batch := make(service.MessageBatch, size)
		for k := range batch {
			batch[k] = request(string(texts[(n+k)%len(texts)]))
		}
		n += size
		if _, err := p.ProcessBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/message")
}

func BenchmarkPredictWithTheChampionAlone(b *testing.B) {
	r, err := registry.Open("file://" + b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	version := publishTrained(b, r, 1)
	_, _, _, err = r.Promote(b.Context(), version, time.Now(), func(string) (bool, string, error) { return true, "test", nil })
	if err != nil {
		b.Fatal(err)
	}
	benchmarkPredict(b, r)
}

func BenchmarkPredictWithOneChallenger(b *testing.B) {
	r, err := registry.Open("file://" + b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for seed := range uint64(2) {
		version := publishTrained(b, r, seed+1)
		_, _, _, err = r.Promote(b.Context(), version, time.Now(), func(string) (bool, string, error) { return true, "test", nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	benchmarkPredict(b, r)
}
