package message

import "strconv"

// Recommendation is the reply to a RecommendRequest.
type Recommendation struct {
	RequestID    string
	Kind         string
	User         int64
	HasUser      bool
	Users        []int64 // of one list for several, nil otherwise
	Movie        int64   // of similar and explain
	HasMovie     bool
	MovieFields  []byte // title, genres and year of Movie as `"title":…`, empty where not known
	Items        []RecommendedItem
	ModelVersion string
	Role         string // in which the version served the user, "" being the champion's
	Head         string // which head of the model spoke, "" if none did
	Basis        string // what the list was made from
	Explained    *Explained
	RequestedAt  int64 // Unix milliseconds; Kafka's time of the request
	PredictedAt  int64 // Unix milliseconds
	ColdUser     bool
	ColdMovie    bool
	Unknown      []int64 // movies that the request names and the model does not know
	Extra        []byte  // unknown fields of the request, as RecommendRequest.Extra
}

// Explained is what an explanation says beside its items.
type Explained struct {
	Score      float64 // Base + Σ of the items' scores + Rest
	Prediction float32
	Base       float64
	Rest       float64
}

// RecommendedItem is one movie or user of a list.
type RecommendedItem struct {
	ID            int64
	IsUser        bool // ID is a user's
	Score         float64
	Prediction    float32 // stars
	HasPrediction bool
	Rating        float32 // what the user gave the movie, in stars
	HasRating     bool
	Fields        []byte // title, genres and year as `"title":…`, empty where not known
	Reason        *Reason
}

// Reason is the movie that speaks most for an item.
type Reason struct {
	Movie     int64
	Rating    float32 // the user's, in stars
	HasRating bool    // false of a movie that is only liked
	Score     float64 // its part of the item's score
	Fields    []byte  // as RecommendedItem.Fields
}

// AppendJSON appends the reply.
func (r *Recommendation) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"request_id":`...)
	dst = AppendString(dst, r.RequestID)
	dst = append(dst, `,"kind":`...)
	dst = AppendString(dst, r.Kind)
	if r.HasUser {
		dst = appendID(dst, "user_id", r.User)
	}
	if r.Users != nil {
		dst = append(dst, `,"users":[`...)
		for k, user := range r.Users {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, user, 10)
		}
		dst = append(dst, ']')
	}
	if r.HasMovie {
		dst = appendID(dst, "movie_id", r.Movie)
		dst = appendFields(dst, r.MovieFields)
	}
	if e := r.Explained; e != nil {
		dst = appendNumber(dst, "score", e.Score, 64)
		dst = appendNumber(dst, "prediction", float64(e.Prediction), 32)
	}
	dst = append(dst, `,"items":[`...)
	for i := range r.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.Items[i].appendJSON(dst)
	}
	dst = append(dst, ']')
	if e := r.Explained; e != nil {
		dst = appendNumber(dst, "base", e.Base, 64)
		dst = appendNumber(dst, "rest", e.Rest, 64)
	}
	dst = append(dst, `,"model_version":`...)
	dst = AppendString(dst, r.ModelVersion)
	for _, field := range [...][2]string{{"role", r.Role}, {"head", r.Head}, {"basis", r.Basis}} {
		if field[1] != "" {
			dst = append(append(append(dst, `,"`...), field[0]...), `":`...)
			dst = AppendString(dst, field[1])
		}
	}
	dst = append(dst, `,"requested_at":`...)
	dst = appendTime(dst, r.RequestedAt)
	dst = append(dst, `,"predicted_at":`...)
	dst = appendTime(dst, r.PredictedAt)
	dst = append(dst, `,"cold":`...)
	dst = appendCold(dst, r.ColdUser, r.ColdMovie)
	if len(r.Unknown) > 0 {
		dst = append(dst, `,"unknown":[`...)
		for i, id := range r.Unknown {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, id, 10)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, r.Extra...)
	return append(dst, '}')
}

func (i *RecommendedItem) appendJSON(dst []byte) []byte {
	name := `{"movie_id":`
	if i.IsUser {
		name = `{"user_id":`
	}
	dst = append(dst, name...)
	dst = strconv.AppendInt(dst, i.ID, 10)
	dst = appendNumber(dst, "score", i.Score, 32)
	if i.HasPrediction {
		dst = appendNumber(dst, "prediction", float64(i.Prediction), 32)
	}
	if i.HasRating {
		dst = appendNumber(dst, "rating", float64(i.Rating), 32)
	}
	dst = appendFields(dst, i.Fields)
	if r := i.Reason; r != nil {
		dst = append(dst, `,"reason":{"movie_id":`...)
		dst = strconv.AppendInt(dst, r.Movie, 10)
		if r.HasRating {
			dst = appendNumber(dst, "rating", float64(r.Rating), 32)
		}
		dst = appendNumber(dst, "score", r.Score, 32)
		dst = append(appendFields(dst, r.Fields), '}')
	}
	return append(dst, '}')
}

func appendFields(dst, fields []byte) []byte {
	if len(fields) == 0 {
		return dst
	}
	return append(append(dst, ','), fields...)
}

func appendID(dst []byte, name string, id int64) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return strconv.AppendInt(dst, id, 10)
}

// appendNumber appends a finite number with as many digits as so many bits have.
func appendNumber(dst []byte, name string, value float64, bits int) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return strconv.AppendFloat(dst, value, 'f', -1, bits)
}

// appendCold appends what the model does not know.
func appendCold(dst []byte, user, movie bool) []byte {
	switch {
	case user && movie:
		return append(dst, `["user","movie"]`...)
	case user:
		return append(dst, `["user"]`...)
	case movie:
		return append(dst, `["movie"]`...)
	}
	return append(dst, `[]`...)
}
