package message

import (
	"math"
	"strconv"
)

// Prediction is the reply to a Request. Its first five names and types are the
// original system's.
type Prediction struct {
	RequestID    string
	Origin       *Origin // whose RequestID it is where RequestID is empty; may be nil
	User         int64
	Movie        int64
	Value        float32 // the predicted rating, in stars
	ModelVersion string
	Role         string // in which the version served the user, "" being the champion's
	RequestedAt  int64  // Unix milliseconds; Kafka's time of the request
	PredictedAt  int64  // Unix milliseconds
	ColdUser     bool   // the user is not known to the model
	ColdMovie    bool   // the movie is not known to the model
	Actual       float32
	HasActual    bool
	Late         bool        // the model was trained on ratings as new as Actual, perhaps on this one
	Evaluation   *Evaluation // of a rated prediction, nil if nobody asked for one
	Shadows      []Shadow    // what other versions predicted, for comparison with Actual
	Extra        []byte      // unknown fields of the request, as Request.Extra
}

// Evaluation is what tells how good a prediction is, beside its Actual, in stars.
type Evaluation struct {
	Baseline float32 // what biases alone predicted
	StdDev   float64 // of the rating that was to come; NaN for a model that does not know
}

// Shadow is what a version predicted that did not serve the user.
type Shadow struct {
	ModelVersion string
	Role         string  // "" being the champion's
	Value        float32 // the predicted rating, in stars
	Late         bool    // as of Prediction
}

// AppendJSON appends the prediction without title and genres, which enrichment
// adds.
func (p *Prediction) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"request_id":`...)
	if p.RequestID == "" && p.Origin != nil {
		dst = append(p.Origin.appendRequestID(append(dst, '"')), '"')
	} else {
		dst = AppendString(dst, p.RequestID)
	}
	dst = append(dst, `,"user_id":`...)
	dst = strconv.AppendInt(dst, p.User, 10)
	dst = append(dst, `,"movie_id":`...)
	dst = strconv.AppendInt(dst, p.Movie, 10)
	dst = append(dst, `,"prediction":`...)
	dst = strconv.AppendFloat(dst, float64(p.Value), 'f', -1, 32)
	dst = append(dst, `,"model_version":`...)
	dst = AppendString(dst, p.ModelVersion)
	if p.Role != "" {
		dst = append(dst, `,"role":`...)
		dst = AppendString(dst, p.Role)
	}
	dst = append(dst, `,"requested_at":`...)
	dst = appendTime(dst, p.RequestedAt)
	dst = append(dst, `,"predicted_at":`...)
	dst = appendTime(dst, p.PredictedAt)
	dst = append(dst, `,"cold":`...)
	switch {
	case p.ColdUser && p.ColdMovie:
		dst = append(dst, `["user","movie"]`...)
	case p.ColdUser:
		dst = append(dst, `["user"]`...)
	case p.ColdMovie:
		dst = append(dst, `["movie"]`...)
	default:
		dst = append(dst, `[]`...)
	}
	if p.HasActual {
		dst = append(dst, `,"actual":`...)
		dst = strconv.AppendFloat(dst, float64(p.Actual), 'f', -1, 32)
		dst = append(dst, `,"absolute_error":`...) // so that an index can add errors up without scripts
		dst = strconv.AppendFloat(dst, math.Abs(float64(p.Value-p.Actual)), 'f', -1, 32)
		if p.Late {
			dst = append(dst, `,"late":true`...)
		}
		if p.Evaluation != nil {
			dst = p.Evaluation.appendJSON(dst)
		}
	}
	if len(p.Shadows) > 0 {
		dst = append(dst, `,"shadows":[`...)
		for i := range p.Shadows {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = p.Shadows[i].appendJSON(dst)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, p.Extra...)
	return append(dst, '}')
}

func (e *Evaluation) appendJSON(dst []byte) []byte {
	dst = append(dst, `,"baseline":`...)
	dst = strconv.AppendFloat(dst, float64(e.Baseline), 'f', -1, 32)
	if !math.IsNaN(e.StdDev) {
		dst = append(dst, `,"stddev":`...)
		dst = strconv.AppendFloat(dst, e.StdDev, 'f', 4, 64)
	}
	return dst
}

func (s *Shadow) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"model_version":`...)
	dst = AppendString(dst, s.ModelVersion)
	if s.Role != "" {
		dst = append(dst, `,"role":`...)
		dst = AppendString(dst, s.Role)
	}
	dst = append(dst, `,"prediction":`...)
	dst = strconv.AppendFloat(dst, float64(s.Value), 'f', -1, 32)
	if s.Late {
		dst = append(dst, `,"late":true`...)
	}
	return append(dst, '}')
}
