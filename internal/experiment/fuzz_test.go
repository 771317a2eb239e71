package experiment

import "testing"

// FuzzDecodeRecord gives any bytes as a prediction.
func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(`{"user_id":1,"movie_id":2,"prediction":3.5,"model_version":"v1","role":"champion","requested_at":"2026-01-02T15:04:05Z","predicted_at":"2026-01-02T15:04:05Z","actual":4,"shadows":[{"model_version":"v2","role":"challenger:a","prediction":3}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, ok, err := DecodeRecord(data)
		if !ok || err != nil {
			return
		}
		rating, ok := record.Rating()
		if !ok {
			return
		}
		if n := len(rating.Predictions); n < 2 || n > maxPairs+1 {
			t.Errorf("%q: %d predictions", data, n)
		}
		for _, p := range rating.Predictions {
			if p.Version == "" || len(p.Version) > maxName {
				t.Errorf("%q: version %q", data, p.Version)
			}
		}
	})
}

// FuzzDecodeOutcome gives any bytes as a list or an event.
func FuzzDecodeOutcome(f *testing.F) {
	f.Add([]byte(`{"request_id":"r","kind":"recommend","user_id":1,"model_version":"v1","items":[{"movie_id":3,"score":1}]}`))
	f.Add([]byte(`{"event_type":"rate","request_id":"r","user_id":"1","movie_id":"2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reply, action := DecodeOutcome(data)
		if reply != nil && action != nil {
			t.Errorf("%q is both", data)
		}
		if reply != nil && (reply.RequestID == "" || reply.Version == "") || action != nil && action.RequestID == "" {
			t.Errorf("%q: %+v, %+v", data, reply, action)
		}
	})
}
