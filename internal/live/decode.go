package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Texts are shown, not kept whole: longer ones are cut, so that memory stays
// bounded whatever arrives.
const (
	maxTitle   = 200 // bytes
	maxGenre   = 40
	maxGenres  = 16 // of one movie
	maxVersion = 100
	maxReason  = 500
	maxTests   = 8 // of one verdict
)

// prediction is what a page needs of a message of topic predictions.
type prediction struct {
	experiment.Record
	RequestID string   `json:"request_id"`
	Title     string   `json:"title"`
	Genres    []string `json:"genres"`
	Cold      []string `json:"cold"`
}

func decodePrediction(data []byte) (*prediction, error) {
	p := &prediction{}
	if err := json.Unmarshal(data, p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			field := strings.TrimPrefix(wrong.Field, "Record.") // the Go struct's
			return nil, fmt.Errorf("reading a prediction: field %q: %s instead of %s", field, wrong.Value, wrong.Type)
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

// shortVerdict is a verdict with at most maxTests tests and no guards, nil if
// there is none.
func shortVerdict(v *message.Verdict) *message.Verdict {
	if v == nil {
		return nil
	}
	short := &message.Verdict{
		Outcome: cut(v.Outcome, maxVersion), Rule: cut(v.Rule, maxVersion), Against: cut(v.Against, maxVersion), Reason: cut(v.Reason, maxReason),
	}
	for _, test := range v.Tests[:min(len(v.Tests), maxTests)] {
		test.Name, test.Head, test.Decision = cut(test.Name, maxVersion), cut(test.Head, maxVersion), cut(test.Decision, maxVersion)
		short.Tests = append(short.Tests, test)
	}
	return short
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
