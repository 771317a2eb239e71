package message

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"
)

// Kinds of requests, beside "predict".
const (
	KindRecommend = "recommend" // movies for a user
	KindSimilar   = "similar"   // movies like a movie, users like a user
	KindExplain   = "explain"   // which of the user's ratings speak for a movie
	KindAudience  = "audience"  // users for a movie
)

// otherKinds are those that predictions leave to others.
func isOtherKind(kind string) bool {
	return kind == KindRecommend || kind == KindSimilar || kind == KindExplain || kind == KindAudience
}

// Bounds of a RecommendRequest.
const (
	MaxItems  = 1000   // n
	MaxOffset = 10_000 // offset
	MaxIDs    = 10_000 // of a list of ids
	MaxUsers  = 100    // users

	maxGenres     = 100
	maxGenreBytes = 100
	maxYear       = 9999
)

const defaultItems = 10

// RecommendRequest asks for a list of movies or users:
//
//	{"kind": "recommend", "user_id": 514, "n": 10, "filters": {"genres": ["Drama"]}}
//	{"kind": "recommend", "users": [514, 515]}
//	{"kind": "similar", "movie_id": 318}
//	{"kind": "explain", "user_id": 514, "movie_id": 318}
//	{"kind": "audience", "movie_id": 318}
//
// Fields that its kind has no use for are ignored.
type RecommendRequest struct {
	ID       string // request_id, "" where absent: see Origin.RequestID
	Kind     string
	User     int64
	HasUser  bool // false for an anonymous user, of whom Liked is known
	Movie    int64
	HasMovie bool
	OfUsers  bool // similar: users rather than movies

	N, Offset                  int
	Users                      []int64 // recommend: one list for all of these; nil where absent
	Exclude, Candidates, Liked []int64 // Candidates is nil where absent: all movies
	WithSeen                   bool    // exclude_seen is false
	Filters                    Filters
	Diversity                  float64
	Popularity                 float64 // −1 where absent
	Reasons                    bool
	Brief                      bool // the reply has ids and scores only
	Rotate                     bool // movies of the last rotated lists come behind all others

	Extra []byte // unknown fields as `,"name":value` in their order
}

// Filters are what recommended movies have to fulfil. The zero value is nothing.
type Filters struct {
	Genres    []string // at least one of these, in any case
	NotGenres []string // none of these
	YearFrom  int      // 0 for any
	YearTo    int      // 0 for any
	MinCount  int      // ratings in training
}

// KindOf returns the kind of a request, "" if the data are no JSON object or have
// none. Of several fields of the name the last counts, as for DecodeRequest.
func KindOf(data []byte) string {
	if !bytes.Contains(data, kindName) && bytes.IndexByte(data, '\\') < 0 {
		return "" // as of predictions, which are many
	}
	kind := ""
	object := readFlat(string(data))
	for object.next() {
		if object.key == "kind" {
			kind = object.value.Str
		}
	}
	if object.complete {
		return kind
	}
	kind = ""
	if forEachField(data, func(key string, value jsonValue) error {
		if key == "kind" {
			kind = value.Str
		}
		return nil
	}) != nil {
		return ""
	}
	return kind
}

var kindName = []byte(`"kind"`)

type recommendFields struct {
	id, kind, user, movie, of, n, offset jsonValue
	exclude, candidates, liked, users    jsonValue
	excludeSeen, filters                 jsonValue
	diversity, popularity, reasons       jsonValue
	rotate, brief                        jsonValue
	extra                                []byte
}

func (f *recommendFields) add(key string, value *jsonValue) {
	switch key {
	case "request_id":
		f.id = *value
	case "kind":
		f.kind = *value
	case "user_id":
		f.user = *value
	case "movie_id":
		f.movie = *value
	case "of":
		f.of = *value
	case "n":
		f.n = *value
	case "offset":
		f.offset = *value
	case "exclude":
		f.exclude = *value
	case "candidates":
		f.candidates = *value
	case "liked":
		f.liked = *value
	case "users":
		f.users = *value
	case "exclude_seen":
		f.excludeSeen = *value
	case "filters":
		f.filters = *value
	case "diversity":
		f.diversity = *value
	case "popularity":
		f.popularity = *value
	case "reasons":
		f.reasons = *value
	case "rotate":
		f.rotate = *value
	case "brief":
		f.brief = *value
	case "items", "model_version", "role", "head", "basis", "score", "prediction", "title", "genres", "year", "base", "rest",
		"requested_at", "predicted_at", "cold", "unknown": // the reply's own
	default:
		f.extra = appendRawField(f.extra, key, value.Raw)
	}
}

// DecodeRecommendRequest reads and checks one request of another kind than
// predict. Every error is a *Rejection in the name of component.
func DecodeRecommendRequest(component string, data []byte) (RecommendRequest, error) {
	var fields recommendFields
	err := forEachField(data, func(key string, value jsonValue) error {
		fields.add(key, &value)
		return nil
	})
	if err != nil {
		return RecommendRequest{}, Rejectf(component, "%v", err)
	}
	request, err := fields.request()
	if err != nil {
		return RecommendRequest{}, Rejectf(component, "%v", err)
	}
	return request, nil
}

func (f *recommendFields) request() (RecommendRequest, error) {
	r := RecommendRequest{Kind: f.kind.Str, Extra: f.extra, N: defaultItems, Popularity: -1}
	if !isOtherKind(r.Kind) {
		return r, fieldErrorf("kind", "%s is not one of recommend, similar, explain, audience", excerpt(f.kind.Raw))
	}
	var reads reading
	reads.text("request_id", f.id, &r.ID)
	r.HasUser = reads.id("user_id", f.user, &r.User)
	r.HasMovie = reads.id("movie_id", f.movie, &r.Movie)
	reads.whole("n", f.n, 1, MaxItems, &r.N)
	reads.whole("offset", f.offset, 0, MaxOffset, &r.Offset)
	reads.ids("exclude", f.exclude, MaxIDs, &r.Exclude)
	reads.ids("candidates", f.candidates, MaxIDs, &r.Candidates)
	reads.ids("liked", f.liked, MaxIDs, &r.Liked)
	reads.ids("users", f.users, MaxUsers, &r.Users)
	excludeSeen := true
	reads.truth("exclude_seen", f.excludeSeen, &excludeSeen)
	r.WithSeen = !excludeSeen
	reads.filters(f.filters, &r.Filters)
	reads.share("diversity", f.diversity, &r.Diversity)
	reads.share("popularity", f.popularity, &r.Popularity)
	reads.truth("reasons", f.reasons, &r.Reasons)
	reads.truth("rotate", f.rotate, &r.Rotate)
	reads.truth("brief", f.brief, &r.Brief)
	of := "movies"
	reads.text("of", f.of, &of)
	if reads.err != nil {
		return r, reads.err
	}
	if r.Kind == KindAudience { // it is of no user
		r.User, r.HasUser = 0, false
	}
	if r.OfUsers = of == "users"; !r.OfUsers && of != "movies" {
		return r, fieldErrorf("of", `%s is neither "movies" nor "users"`, excerpt(f.of.Raw))
	}
	return r, r.checkNames()
}

// checkNames tells whether the request names what its kind needs.
func (r *RecommendRequest) checkNames() error {
	switch {
	case r.Users != nil:
		return r.checkGroup()
	case r.Kind == KindSimilar && r.OfUsers && !r.HasUser:
		return fieldErrorf("user_id", "is missing; users who are similar are so to a user")
	case r.Kind == KindSimilar && !r.OfUsers && !r.HasMovie:
		return fieldErrorf("movie_id", `is missing; movies that are similar are so to a movie, and "of": "users" asks for users`)
	case r.Kind == KindAudience && !r.HasMovie:
		return fieldErrorf("movie_id", "is missing; give the movie whose audience is asked for")
	case r.Kind == KindSimilar || r.Kind == KindAudience:
		return nil
	case r.Kind == KindExplain && !r.HasMovie:
		return fieldErrorf("movie_id", "is missing; give the movie that is to be explained")
	case r.HasUser && r.Liked != nil:
		return fieldErrorf("liked", "is for users without user_id, whose ratings are not known; leave one of the two out")
	case r.Kind == KindRecommend && r.Rotate && !r.HasUser:
		return fieldErrorf("rotate", "is for users with user_id; for an anonymous user give exclude, the movies that were shown")
	case r.Kind == KindRecommend && r.Rotate && r.Offset > 0:
		return fieldErrorf("rotate", "gives other movies each time; leave offset out")
	case !r.HasUser && r.Liked == nil:
		return fieldErrorf("user_id", "is missing; for an anonymous user give liked, a list of movies, which may be empty")
	}
	return nil
}

// checkGroup tells whether a request for several users makes sense.
func (r *RecommendRequest) checkGroup() error {
	switch {
	case r.Kind != KindRecommend:
		return fieldErrorf("users", "is for requests of kind recommend")
	case r.HasUser || r.Liked != nil:
		return fieldErrorf("users", "stands in place of user_id and liked; leave those out")
	case len(r.Users) == 0:
		return fieldErrorf("users", "is empty; give the ids of at most %d users", MaxUsers)
	case r.Reasons:
		return fieldErrorf("reasons", "is not for several users, whose ratings differ; leave it out")
	case r.Rotate:
		return fieldErrorf("rotate", "is for users with user_id; for several users give exclude, the movies that were shown")
	}
	return nil
}

// reading keeps the first error of several fields. Absent and null fields leave
// the value as it is.
type reading struct{ err error }

func (r *reading) has(value jsonValue) bool {
	return r.err == nil && value.Exists() && value.Type != gjson.Null
}

func (r *reading) text(field string, value jsonValue, out *string) {
	if r.has(value) {
		*out, r.err = parseText(field, value, maxIDBytes)
	}
}

func (r *reading) id(field string, value jsonValue, out *int64) bool {
	if !r.has(value) {
		return false
	}
	*out, r.err = parseID(field, value)
	return true
}

// whole reads a whole number from least to most.
func (r *reading) whole(field string, value jsonValue, least, most int, out *int) {
	if !r.has(value) {
		return
	}
	number, err := parseNumber(field, value)
	if err != nil {
		r.err = err
		return
	}
	if number != float64(int64(number)) || number < float64(least) || number > float64(most) {
		r.err = fieldErrorf(field, "%s is not a whole number from %d to %d", excerpt(value.Raw), least, most)
		return
	}
	*out = int(number)
}

// share reads a number from 0 to 1.
func (r *reading) share(field string, value jsonValue, out *float64) {
	if !r.has(value) {
		return
	}
	number, err := parseNumber(field, value)
	if err == nil && !(number >= 0 && number <= 1) {
		err = fieldErrorf(field, "%s is not a number from 0 to 1", excerpt(value.Raw))
	}
	*out, r.err = number, err
}

func (r *reading) truth(field string, value jsonValue, out *bool) {
	if !r.has(value) {
		return
	}
	if *out = value.Type == gjson.True; !*out && value.Type != gjson.False {
		r.err = fieldErrorf(field, "%s is neither true nor false", excerpt(value.Raw))
	}
}

// list calls fn for each element of a list of at most limit.
func (r *reading) list(field string, value jsonValue, limit int, fn func(element jsonValue) error) {
	array := gjson.Parse(value.Raw)
	if !array.IsArray() {
		r.err = fieldErrorf(field, "%s is not a list", excerpt(value.Raw))
		return
	}
	n := 0
	array.ForEach(func(_, element gjson.Result) bool {
		if n++; n > limit {
			r.err = fieldErrorf(field, "is longer than %d", limit)
			return false
		}
		r.err = fn(jsonValue{element.Type, element.Raw, element.Str})
		return r.err == nil
	})
}

func (r *reading) ids(field string, value jsonValue, most int, out *[]int64) {
	if !r.has(value) {
		return
	}
	*out = []int64{}
	r.list(field, value, most, func(element jsonValue) error {
		id, err := parseID(field, element)
		*out = append(*out, id)
		return err
	})
}

func (r *reading) genres(field string, value jsonValue, out *[]string) {
	if !r.has(value) {
		return
	}
	r.list(field, value, maxGenres, func(element jsonValue) error {
		if element.Type != gjson.String || strings.TrimSpace(element.Str) == "" {
			return fieldErrorf(field, `%s is not a genre; give a list of names such as ["Drama"]`, excerpt(element.Raw))
		}
		genre, err := parseText(field, element, maxGenreBytes)
		*out = append(*out, strings.TrimSpace(genre))
		return err
	})
}

func (r *reading) filters(value jsonValue, out *Filters) {
	if !r.has(value) {
		return
	}
	object := gjson.Parse(value.Raw)
	if !object.IsObject() {
		r.err = fieldErrorf("filters", "%s is not an object", excerpt(value.Raw))
		return
	}
	object.ForEach(func(key, field gjson.Result) bool {
		name, value := "filters."+key.Str, jsonValue{field.Type, field.Raw, field.Str}
		switch key.Str {
		case "genres":
			r.genres(name, value, &out.Genres)
		case "not_genres":
			r.genres(name, value, &out.NotGenres)
		case "year_from":
			r.whole(name, value, 1, maxYear, &out.YearFrom)
		case "year_to":
			r.whole(name, value, 1, maxYear, &out.YearTo)
		case "min_count":
			r.whole(name, value, 0, 1<<31-1, &out.MinCount)
		default:
			r.err = fieldErrorf(excerpt(name), "is unknown; filters are genres, not_genres, year_from, year_to, min_count")
		}
		return r.err == nil
	})
	if r.err == nil && out.YearTo > 0 && out.YearFrom > out.YearTo {
		r.err = fieldErrorf("filters", "no year is from %d to %d", out.YearFrom, out.YearTo)
	}
}
