package experiment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Record is what a comparison needs of a message of topic predictions: see
// message.Prediction. What is absent is nil.
type Record struct {
	User         *int64     `json:"user_id"`
	Movie        *int64     `json:"movie_id"`
	Value        *float64   `json:"prediction"`
	ModelVersion string     `json:"model_version"`
	Role         string     `json:"role"`
	RequestedAt  *time.Time `json:"requested_at"`
	PredictedAt  *time.Time `json:"predicted_at"`
	Actual       *float64   `json:"actual"`
	Late         bool       `json:"late"` // the model may have been trained on Actual
	Shadows      []Shadow   `json:"shadows"`
}

// Shadow is what another version said.
type Shadow struct {
	ModelVersion string   `json:"model_version"`
	Role         string   `json:"role"`
	Value        *float64 `json:"prediction"`
	Late         bool     `json:"late"`
}

const (
	maxName   = 200             // bytes of a version or role that is kept
	maxFuture = 5 * time.Minute // that a request may lie ahead of its prediction: clocks differ
)

// DecodeRecord reads a message of topic predictions. ok is false, without reading
// on, if nobody was in shadow: then there is nothing to compare.
func DecodeRecord(data []byte) (record Record, ok bool, err error) {
	if !bytes.Contains(data, []byte(`"shadows"`)) {
		return record, false, nil
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, false, fmt.Errorf("reading a prediction: %w", err)
	}
	return record, true, nil
}

// Rating is the record as a rating that versions are compared by; ok is false if
// it is none. A request from the future is none: it would close all periods
// before it.
func (r *Record) Rating() (rating Rating, ok bool) {
	if r.Actual == nil || len(r.Shadows) == 0 || len(r.Shadows) > maxPairs || r.User == nil || r.Movie == nil || r.Value == nil ||
		r.RequestedAt == nil || r.PredictedAt == nil || r.RequestedAt.Sub(*r.PredictedAt) > maxFuture {
		return rating, false
	}
	rating = Rating{User: *r.User, Movie: *r.Movie, At: r.RequestedAt.UnixMilli(), Actual: *r.Actual}
	rating.Predictions = append(make([]Prediction, 0, len(r.Shadows)+1), Prediction{r.ModelVersion, r.Role, *r.Value, r.Late})
	for _, s := range r.Shadows {
		if s.Value == nil {
			return rating, false
		}
		rating.Predictions = append(rating.Predictions, Prediction{s.ModelVersion, s.Role, *s.Value, s.Late})
	}
	for _, p := range rating.Predictions {
		if p.Version == "" || len(p.Version) > maxName || len(p.Role) > maxName {
			return rating, false
		}
	}
	return rating, true
}
