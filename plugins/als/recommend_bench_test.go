package als

import (
	"fmt"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// BenchmarkRecommend asks for ten movies for each user of ml-latest-small, one
// after the other in one thread, in batches of 64 requests.
func BenchmarkRecommend(b *testing.B) {
	data := recsystest.DataDir(b)
	all, err := ratings.ReadRatings(data)
	if err != nil {
		b.Fatal(err)
	}
	matrix, err := ratings.NewMatrix(all)
	if err != nil {
		b.Fatal(err)
	}
	f, err := als.Train(b.Context(), matrix, als.DefaultParameters(als.VB), nil)
	if err != nil {
		b.Fatal(err)
	}
	movies, err := catalog.Open(data)
	if err != nil {
		b.Fatal(err)
	}
	live := liveOf(b, f) // trained until 1970: every user has rated since
	for _, r := range all {
		live.Users.Learn(r)
	}
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"), service.MockResourcesOptAddCache("catalog"))
	mgr.SetGeneric(model.LiveKey{Label: "model"}, live)
	mgr.SetGeneric(catalog.Key{Label: "catalog"}, movies)
	conf, err := recommendSpec().ParseYAML("catalog: catalog", nil)
	if err != nil {
		b.Fatal(err)
	}
	a, err := newAnswerer(conf, mgr, "recommend", recommend)
	if err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]struct{ more string }{
		"folded in":       {""},
		"as trained":      {`,"unchanged":true`},
		"filtered":        {`,"filters":{"genres":["Drama"],"year_from":1990}`},
		"diverse":         {`,"diversity":0.2`},
		"with reasons":    {`,"reasons":true`},
		"with popularity": {`,"popularity":0.1`},
	} {
		b.Run(name, func(b *testing.B) {
			live.LineUp().Champion.Until = 0
			if name == "as trained" {
				live.LineUp().Champion.Until = 1 << 50
			}
			const size = 64
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				batch := make(service.MessageBatch, size)
				for k := range batch {
					batch[k] = request(fmt.Sprintf(`{"kind":"recommend","request_id":"r","user_id":%d,"n":10%s}`, f.Users[(n+k)%len(f.Users)], c.more))
				}
				n += size
				if _, err := a.ProcessBatch(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
		})
	}
}
