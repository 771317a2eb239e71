package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Texts are shown, not kept whole: longer ones are cut, so that memory stays
// bounded whatever arrives.
const (
	maxTitle   = 200 // bytes
	maxGenre   = 40
	maxGenres  = 16 // of one movie
	maxVersion = 100
	maxReason  = 500
)

// prediction is what a page needs of a message of topic predictions.
type prediction struct {
	RequestID    string     `json:"request_id"`
	User         *int64     `json:"user_id"`
	Movie        *int64     `json:"movie_id"`
	Value        *float64   `json:"prediction"`
	Title        string     `json:"title"`
	Genres       []string   `json:"genres"`
	ModelVersion string     `json:"model_version"`
	PredictedAt  *time.Time `json:"predicted_at"`
	Cold         []string   `json:"cold"`
	Actual       *float64   `json:"actual"`
	Late         bool       `json:"late"` // the model may have been trained on Actual
}

func decodePrediction(data []byte) (*prediction, error) {
	p := &prediction{}
	if err := json.Unmarshal(data, p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return nil, fmt.Errorf("reading a prediction: field %q: %s instead of %s", wrong.Field, wrong.Value, wrong.Type)
		}
		return nil, fmt.Errorf("reading a prediction: %w", err)
	}
	for _, field := range [...]struct {
		name    string
		missing bool
	}{
		{"request_id", p.RequestID == ""},
		{"user_id", p.User == nil},
		{"movie_id", p.Movie == nil},
		{"prediction", p.Value == nil},
		{"predicted_at", p.PredictedAt == nil},
	} {
		if field.missing {
			return nil, fmt.Errorf("reading a prediction: field %q is missing", field.name)
		}
	}
	p.Title = cut(p.Title, maxTitle)
	p.ModelVersion = cut(p.ModelVersion, maxVersion)
	p.Genres = p.Genres[:min(len(p.Genres), maxGenres)]
	for i, genre := range p.Genres {
		p.Genres[i] = cut(genre, maxGenre)
	}
	return p, nil
}

func (p *prediction) cold(what string) bool {
	for _, c := range p.Cold {
		if c == what {
			return true
		}
	}
	return false
}

// cut gives a copy of text with at most limit bytes, ending with an ellipsis
// where something is left out. A copy: text may be a part of a large message.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return strings.Clone(text)
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
