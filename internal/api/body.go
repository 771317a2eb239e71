package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// maxFuture is how far the time of feedback may lie ahead of the clock.
const maxFuture = 5 * time.Minute

// maxJSONDepth bounds the nesting of a body.
const maxJSONDepth = 100

// ID is an id in a body: a JSON number or a decimal string.
type ID int64

// UnmarshalJSON reads an id.
func (i *ID) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] < '0' || text[0] > '9' { // a sign
		return fmt.Errorf(`%s is no id; give a whole number such as 514 or "514"`, quote(string(data)))
	}
	*i = ID(value)
	return nil
}

// Filters choose among movies.
type Filters struct {
	Genres    []string `json:"genres,omitempty"`
	NotGenres []string `json:"not_genres,omitempty"`
	YearFrom  *int64   `json:"year_from,omitempty"`
	YearTo    *int64   `json:"year_to,omitempty"`
	MinCount  *int64   `json:"min_count,omitempty"`
}

func (f *Filters) empty() bool {
	return len(f.Genres) == 0 && len(f.NotGenres) == 0 && f.YearFrom == nil && f.YearTo == nil && f.MinCount == nil
}

func appendFilters(dst []byte, f *Filters) ([]byte, *Problem) {
	if f == nil || f.empty() {
		return dst, nil
	}
	const most, longest = 100, 100
	for _, genres := range [][]string{f.Genres, f.NotGenres} {
		if len(genres) > most {
			return dst, badRequest("%d genres are given; at most %d are allowed", len(genres), most)
		}
		for _, genre := range genres {
			if len(genre) > longest {
				return dst, badRequest("the genre %s is longer than %d bytes", quote(genre), longest)
			}
		}
	}
	if f.YearFrom != nil && f.YearTo != nil && *f.YearFrom > *f.YearTo {
		return dst, badRequest("year_from %d is after year_to %d", *f.YearFrom, *f.YearTo)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return dst, badRequest("the filters cannot be read: %v", err)
	}
	return append(append(dst, `,"filters":`...), text...), nil
}

// recommendRequest is the schema RecommendRequest.
type recommendRequest struct {
	N          *int64   `json:"n,omitempty"`
	Offset     *int64   `json:"offset,omitempty"`
	Liked      []ID     `json:"liked,omitempty"`
	Exclude    []ID     `json:"exclude,omitempty"`
	Candidates []ID     `json:"candidates,omitempty"`
	Filters    *Filters `json:"filters,omitempty"`
	Rotate     bool     `json:"rotate,omitempty"`
}

// groupRequest is the schema GroupRequest.
type groupRequest struct {
	Users []ID `json:"users"`
	recommendRequest
}

// unmarshal reads the body, and nothing but what the type has.
func (d *decoder) unmarshal(into any) *Problem {
	if err := d.checkJSON(); err != nil {
		return err
	}
	if !gjson.ParseBytes(d.body).IsObject() { // null would be one without fields
		return badRequest("the body does not fit the schema %s: %s is no object", d.route.Body, quote(string(d.body)))
	}
	decoder := json.NewDecoder(bytes.NewReader(d.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("the body does not fit the schema %s: %v", d.route.Body, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body has more than one JSON value")
	}
	return nil
}

func (d *decoder) checkJSON() *Problem {
	if len(bytes.TrimSpace(d.body)) == 0 {
		return badRequest("the body is empty; give JSON of the schema %s", d.route.Body)
	}
	if bytes.Count(d.body, []byte{'['})+bytes.Count(d.body, []byte{'{'}) > maxJSONDepth && tooDeep(d.body) {
		return badRequest("the body nests deeper than %d levels", maxJSONDepth)
	}
	if !gjson.ValidBytes(d.body) {
		return badRequest("the body is malformed JSON: %s", quote(string(d.body[:min(len(d.body), 100)])))
	}
	return nil
}

// tooDeep counts brackets in texts too; no honest body has that many more open
// than closed.
func tooDeep(data []byte) bool {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth > maxJSONDepth {
			return true
		}
	}
	return false
}

func (d *decoder) recommendBody() *Problem {
	user, err := d.id("user")
	if err != nil {
		return err
	}
	var request recommendRequest
	if err := d.unmarshal(&request); err != nil {
		return err
	}
	return d.addRecommend(appendNumber(d.begin(), "user_id", user), &request)
}

func (d *decoder) anonymous() *Problem {
	var request recommendRequest
	if err := d.unmarshal(&request); err != nil {
		return err
	}
	if len(request.Liked) == 0 {
		return badRequest("liked is empty; give the ids of movies that the person likes, or use /api/popular")
	}
	if request.Rotate {
		return badRequest("rotate is for /api/recommend/{user}; leave it out, and give exclude, the movies that were shown")
	}
	return d.addRecommend(d.begin(), &request)
}

// group asks for one list for several users.
func (d *decoder) group() *Problem {
	var request groupRequest
	if err := d.unmarshal(&request); err != nil {
		return err
	}
	switch {
	case len(request.Users) == 0:
		return badRequest("users is empty; give the ids of at most %d users", message.MaxUsers)
	case len(request.Users) > message.MaxUsers:
		return badRequest("users has %d users; at most %d are allowed", len(request.Users), message.MaxUsers)
	case request.Liked != nil:
		return badRequest("liked is for /api/recommend-anonymous; leave it out")
	case request.Rotate:
		return badRequest("rotate is for /api/recommend/{user}; leave it out, and give exclude, the movies that were shown")
	}
	return d.addRecommend(appendIDs(d.begin(), "users", request.Users), &request.recommendRequest)
}

func (d *decoder) addRecommend(dst []byte, r *recommendRequest) *Problem {
	n, offset := int64(defaultN), int64(0)
	if r.N != nil {
		n = *r.N
	}
	if r.Offset != nil {
		offset = *r.Offset
	}
	if n < 1 || n > MaxN {
		return badRequest("n is %d; give a whole number from 1 to %d", n, MaxN)
	}
	if offset < 0 || offset > MaxOffset {
		return badRequest("offset is %d; give a whole number from 0 to %d", offset, MaxOffset)
	}
	dst = appendNumber(dst, "n", n)
	if offset > 0 {
		dst = appendNumber(dst, "offset", offset)
	}
	dst, err := appendRotate(dst, r.Rotate, offset)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		name string
		ids  []ID
	}{{"liked", r.Liked}, {"exclude", r.Exclude}, {"candidates", r.Candidates}} {
		if len(list.ids) > MaxList {
			return badRequest("%s has %d movies; at most %d are allowed", list.name, len(list.ids), MaxList)
		}
		if list.ids != nil {
			dst = appendIDs(dst, list.name, list.ids)
		}
	}
	if dst, err = appendFilters(dst, r.Filters); err != nil {
		return err
	}
	return d.add(dst)
}

// appendRotate asks for another list each time, which has no second page.
func appendRotate(dst []byte, rotate bool, offset int64) ([]byte, *Problem) {
	switch {
	case !rotate:
		return dst, nil
	case offset > 0:
		return dst, badRequest("rotate gives other movies each time; leave offset out")
	}
	return append(dst, `,"rotate":true`...), nil
}

func appendIDs(dst []byte, name string, ids []ID) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, `":[`...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}

// elements are the values of an array, or the one value of what is none.
func (d *decoder) elements(most int) ([]gjson.Result, *Problem) {
	if err := d.checkJSON(); err != nil {
		return nil, err
	}
	root := gjson.ParseBytes(d.body)
	all := []gjson.Result{root}
	if root.IsArray() {
		all = root.Array()
	}
	switch {
	case len(all) == 0:
		return nil, badRequest("the list is empty")
	case len(all) > most:
		return nil, badRequest("the list has %d elements; at most %d are allowed in one request", len(all), most)
	}
	for i, e := range all {
		if !e.IsObject() {
			return nil, badRequest("element %d is %s; expected an object of the schema %s", i, quote(e.Raw), d.route.Body)
		}
	}
	return all, nil
}

// estimates reads pairs. Ratings in them are left out: this route teaches
// nothing, whoever may read.
func (d *decoder) estimates() *Problem {
	elements, problem := d.elements(MaxPairs)
	if problem != nil {
		return problem
	}
	prefix := d.call.ID
	for i, e := range elements {
		request, err := message.DecodeRequest("api", message.MovieLensScale, []byte(e.Raw))
		if err != nil {
			return badRequest("element %d: %s", i, reason(err))
		}
		d.call.ID = request.ID
		if request.ID == "" {
			d.call.ID = prefix + "-" + strconv.Itoa(i)
		}
		dst := appendNumber(appendNumber(d.begin(), "user_id", request.User), "movie_id", request.Movie)
		_ = d.add(append(dst, request.Extra...))
	}
	d.call.ID = prefix
	return nil
}

// reason is what a Rejection says, without who says it.
func reason(err error) string {
	var rejection *message.Rejection
	if errors.As(err, &rejection) {
		return rejection.Reason
	}
	return err.Error()
}
