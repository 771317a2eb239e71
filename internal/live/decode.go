package live

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"

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

// prediction is what a page needs of a message of topic predictions. Its texts are
// parts of the message: what is kept has to be copied.
type prediction struct {
	experiment.Record
	requestID           string
	title               string
	genres              []string
	coldUser, coldMovie bool
	baseline, stddev    float64 // NaN where there is none
	user, movie         int64   // these are what the record points to
	value, actual       float64
	requestedAt, madeAt time.Time
	genreRoom           [maxGenres]string
}

// decode reads a message, which must not change while p is in use.
func (p *prediction) decode(data []byte) error {
	*p = prediction{baseline: math.NaN(), stddev: math.NaN()}
	text := unsafe.String(unsafe.SliceData(data), len(data))
	if !gjson.Valid(text) {
		return fmt.Errorf("reading a prediction: malformed JSON")
	}
	object := gjson.Parse(text)
	if !object.IsObject() {
		return fmt.Errorf("reading a prediction: %s instead of an object", strings.ToLower(object.Type.String()))
	}
	var err error
	object.ForEach(func(key, value gjson.Result) bool {
		if value.Type != gjson.Null {
			err = p.take(key.Str, &value)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("reading a prediction: %w", err)
	}
	for _, field := range [...]struct {
		name    string
		missing bool
	}{
		{"request_id", p.requestID == ""},
		{"user_id", p.User == nil},
		{"movie_id", p.Movie == nil},
		{"prediction", p.Value == nil},
		{"predicted_at", p.PredictedAt == nil},
	} {
		if field.missing {
			return fmt.Errorf("reading a prediction: field %q is missing", field.name)
		}
	}
	return nil
}

// take reads one field; those that nobody shows are passed over.
func (p *prediction) take(key string, value *gjson.Result) (err error) {
	switch key {
	case "request_id":
		p.requestID, err = text(key, value)
	case "user_id":
		p.user, err = id(key, value)
		p.User = &p.user
	case "movie_id":
		p.movie, err = id(key, value)
		p.Movie = &p.movie
	case "prediction":
		p.value, err = float(key, value)
		p.Value = &p.value
	case "actual":
		p.actual, err = float(key, value)
		p.Actual = &p.actual
	case "baseline":
		p.baseline, err = float(key, value)
	case "stddev":
		p.stddev, err = float(key, value)
	case "model_version":
		p.ModelVersion, err = text(key, value)
	case "role":
		p.Role, err = text(key, value)
	case "requested_at":
		p.requestedAt, err = moment(key, value)
		p.RequestedAt = &p.requestedAt
	case "predicted_at":
		p.madeAt, err = moment(key, value)
		p.PredictedAt = &p.madeAt
	case "late":
		p.Late = value.Type == gjson.True
	case "title":
		p.title, err = text(key, value)
	case "genres":
		return p.takeGenres(key, value)
	case "cold":
		value.ForEach(func(_, what gjson.Result) bool {
			p.coldUser = p.coldUser || what.Str == "user"
			p.coldMovie = p.coldMovie || what.Str == "movie"
			return true
		})
	case "shadows":
		if err := json.Unmarshal([]byte(value.Raw), &p.Shadows); err != nil {
			return fmt.Errorf("field %q: %w", key, err)
		}
	}
	return err
}

func (p *prediction) takeGenres(key string, value *gjson.Result) (err error) {
	p.genres = p.genreRoom[:0]
	value.ForEach(func(_, element gjson.Result) bool {
		var genre string
		if genre, err = text(key, &element); err != nil || len(p.genres) == maxGenres {
			return false
		}
		p.genres = append(p.genres, genre)
		return true
	})
	return err
}

func text(field string, value *gjson.Result) (string, error) {
	if value.Type != gjson.String {
		return "", wrongType(field, value, "a text")
	}
	return value.Str, nil
}

func id(field string, value *gjson.Result) (int64, error) {
	n, err := strconv.ParseInt(value.Raw, 10, 64)
	if err != nil || value.Type != gjson.Number {
		return 0, wrongType(field, value, "a whole number")
	}
	return n, nil
}

func float(field string, value *gjson.Result) (float64, error) {
	if value.Type != gjson.Number || math.IsInf(value.Num, 0) {
		return 0, wrongType(field, value, "a number")
	}
	return value.Num, nil
}

func moment(field string, value *gjson.Result) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value.Str)
	if err != nil || value.Type != gjson.String {
		return t, wrongType(field, value, "a time such as 2026-01-02T15:04:05Z")
	}
	return t, nil
}

func wrongType(field string, value *gjson.Result, want string) error {
	return fmt.Errorf("field %q: %s instead of %s", field, cut(value.Raw, maxVersion), want)
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
