package live

import (
	"encoding/json"
	"testing"
)

// FuzzTopics gives any bytes as a message of each topic that the page reads: it
// never shows what is no JSON.
func FuzzTopics(f *testing.F) {
	f.Add([]byte(`{"request_id":"r","user_id":7,"movie_id":3,"prediction":4,"title":"T","genres":["Drama"],"model_version":"v1","role":"champion","requested_at":"2026-01-02T14:59:59Z","predicted_at":"2026-01-02T14:59:59Z","cold":["user"],"actual":3,"baseline":3.5,"stddev":0.5,"shadows":[{"model_version":"v2","role":"challenger:a","prediction":3}]}`))
	f.Add([]byte(`{"role":"champion","version":"v1","sequence":1,"share":0.5,"verdict":{"outcome":"better","tests":[{"name":"rmse"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, _ := newTest()
		_ = a.Prediction(0, data)
		_ = a.Announcement(data)
		a.DeadLetter(string(data), DeadLetter{Reason: string(data), Topic: string(data)})
		for window := range a.Windows() {
			if text, err := json.Marshal(a.SnapshotOver(window)); err != nil || !json.Valid(text) {
				t.Fatalf("%q: %v", data, err)
			}
		}
		if rows, _ := a.Search(Query{}); len(rows) > 1 {
			t.Errorf("%d rows of one message", len(rows))
		}
	})
}
