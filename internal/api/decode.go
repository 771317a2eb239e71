package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Call is an HTTP request as messages.
type Call struct {
	Route    *Route
	ID       string         // of the request, and the start of its messages' ids
	Messages [][]byte       // at least one
	Keys     []int64        // of events: the user or movie that each is about, Kafka's key
	Items    []ratings.Item // of events of type item: what the catalog has once they are durable
	shape    shape
}

// Decode reads a request of the route. The body has been read already; id is
// what its messages are called; now is the time of feedback that has none. Only
// kind Feedback needs a backend.
func (r *Route) Decode(request *http.Request, body []byte, id string, now time.Time, backend *Backend) (*Call, *Problem) {
	d := &decoder{route: r, request: request, body: body, now: now, backend: backend, call: Call{Route: r, ID: id, shape: r.shape}}
	if err := d.parseQuery(); err != nil {
		return nil, err
	}
	if err := d.format(); err != nil {
		return nil, err
	}
	if err := r.decode(d); err != nil {
		return nil, err
	}
	return &d.call, nil
}

type decoder struct {
	route   *Route
	request *http.Request
	query   url.Values
	body    []byte
	now     time.Time
	backend *Backend
	call    Call
}

// parseQuery refuses parameters that the route does not have: a filter with a
// typing error would silently not filter.
func (d *decoder) parseQuery() *Problem {
	if d.request.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(d.request.URL.RawQuery)
	if err != nil {
		return badRequest("the query cannot be read: %v", err)
	}
	for name, values := range query {
		i := slices.IndexFunc(d.route.Params, func(p Param) bool { return p.In == "query" && p.Name == name })
		if i < 0 {
			return badRequest("the query parameter %s is unknown; %s", quote(name), d.parameters())
		}
		if len(values) > 1 && !d.route.Params[i].Many {
			return badRequest("the query parameter %s is given %d times; give it once", name, len(values))
		}
	}
	d.query = query
	return nil
}

func (d *decoder) parameters() string {
	var names []string
	for _, p := range d.route.Params {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return "this path has none"
	}
	return "there are " + strings.Join(names, ", ")
}

// format settles the shape of the reply, in which Gorse's header has a say.
func (d *decoder) format() *Problem {
	switch value := d.query.Get("format"); {
	case value == "full":
		d.call.shape = full
	case value == "short" && d.call.shape == full:
		d.call.shape = ids
	case value != "" && value != "short":
		return badRequest("the query parameter format is %s; give short or full", quote(value))
	}
	if d.call.shape == ids && d.request.Header.Get("X-Api-Version") == "2" {
		d.call.shape = scores
	}
	return nil
}

// id reads an id of the path.
func (d *decoder) id(name string) (int64, *Problem) {
	value := d.request.PathValue(name)
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil || id < 0 || value[0] == '+' {
		return 0, badRequest("the %s id in the path is %s; give a whole number from 0 to 9223372036854775807, such as 514", name, quote(value))
	}
	return id, nil
}

// integer reads an integer of the query, with the bounds of the table.
func (d *decoder) integer(name string) (value int64, given bool, problem *Problem) {
	i := slices.IndexFunc(d.route.Params, func(p Param) bool { return p.Name == name && p.In == "query" })
	if i < 0 {
		return 0, false, nil
	}
	p := &d.route.Params[i]
	if len(d.query[name]) == 0 {
		return p.Default, false, nil
	}
	written := d.query.Get(name)
	value, err := strconv.ParseInt(written, 10, 64)
	if err != nil || value < p.Min || value > p.Max {
		return 0, false, badRequest("the query parameter %s is %s; give a whole number from %d to %d", name, quote(written), p.Min, p.Max)
	}
	return value, true, nil
}

// truth reads true or false of the query.
func (d *decoder) truth(name string) (bool, *Problem) {
	switch written := d.query.Get(name); {
	case written == "true":
		return true, nil
	case written == "false" || len(d.query[name]) == 0:
		return false, nil
	default:
		return false, badRequest("the query parameter %s is %s; give true or false", name, quote(written))
	}
}

// quote shortens what a client wrote so that it can be quoted.
func quote(text string) string {
	const longest = 60
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return strconv.Quote(text)
}

// begin starts a message of the call.
func (d *decoder) begin() []byte {
	dst := append(make([]byte, 0, 160), `{"request_id":`...)
	dst = message.AppendString(dst, d.call.ID)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, d.route.Kind...)
	dst = append(dst, '"')
	if (d.call.shape == ids || d.call.shape == scores) && d.route.Kind != Audience { // nothing else is looked at
		dst = append(dst, `,"brief":true`...)
	}
	return dst
}

func appendNumber(dst []byte, name string, value int64) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return strconv.AppendInt(dst, value, 10)
}

func (d *decoder) add(dst []byte) *Problem {
	d.call.Messages = append(d.call.Messages, append(dst, '}'))
	return nil
}

// appendPage appends n and offset.
func (d *decoder) appendPage(dst []byte) ([]byte, *Problem) {
	for _, name := range [...]string{"n", "offset"} {
		value, given, err := d.integer(name)
		if err != nil {
			return dst, err
		}
		if given || name == "n" {
			dst = appendNumber(dst, name, value)
		}
	}
	return dst, nil
}

// appendFilters appends the filters of the query and the path.
func (d *decoder) appendFilters(dst []byte) ([]byte, *Problem) {
	f, err := d.filters()
	if err != nil {
		return dst, err
	}
	return appendFilters(dst, f)
}

func (d *decoder) filters() (*Filters, *Problem) {
	f := Filters{Genres: nonEmpty(d.query["category"]), NotGenres: nonEmpty(d.query["not_category"])}
	if category := d.request.PathValue("category"); category != "" {
		f.Genres = []string{category}
	}
	for name, field := range map[string]**int64{"year_from": &f.YearFrom, "year_to": &f.YearTo, "min_count": &f.MinCount} {
		value, given, err := d.integer(name)
		if err != nil {
			return nil, err
		}
		if given {
			*field = &value
		}
	}
	return &f, nil
}

// nonEmpty leaves empty texts out: clients send category= for all of them.
func nonEmpty(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "" })
}

func (d *decoder) recommend() *Problem {
	user, err := d.id("user")
	if err != nil {
		return err
	}
	dst := appendNumber(d.begin(), "user_id", user)
	rotate, err := d.truth("rotate")
	if err != nil {
		return err
	}
	offset, _, err := d.integer("offset")
	if err != nil {
		return err
	}
	if dst, err = appendRotate(dst, rotate, offset); err != nil {
		return err
	}
	explained, err := d.truth("reasons")
	if err != nil {
		return err
	}
	if explained {
		dst = append(dst, `,"reasons":true`...)
	}
	return d.list(dst)
}

// popular is a list for somebody of whom nothing is known.
func (d *decoder) popular() *Problem { return d.list(append(d.begin(), `,"liked":[]`...)) }

// list ends a request for a list.
func (d *decoder) list(dst []byte) *Problem {
	dst, err := d.appendPage(dst)
	if err != nil {
		return err
	}
	if dst, err = d.appendFilters(dst); err != nil {
		return err
	}
	return d.add(dst)
}

func (d *decoder) estimate() *Problem { return d.pair(false) }

func (d *decoder) explain() *Problem { return d.pair(true) }

// pair is a request about a user and a movie, with n if paged.
func (d *decoder) pair(paged bool) *Problem {
	user, err := d.id("user")
	if err != nil {
		return err
	}
	movie, err := d.id("movie")
	if err != nil {
		return err
	}
	dst := appendNumber(appendNumber(d.begin(), "user_id", user), "movie_id", movie)
	if paged {
		if dst, err = d.appendPage(dst); err != nil {
			return err
		}
	}
	return d.add(dst)
}

func (d *decoder) audience() *Problem {
	id, err := d.id("movie")
	if err != nil {
		return err
	}
	return d.list(appendNumber(d.begin(), "movie_id", id))
}

func (d *decoder) similar() *Problem {
	name := "movie"
	if d.route.of == "users" {
		name = "user"
	}
	id, err := d.id(name)
	if err != nil {
		return err
	}
	dst := appendNumber(d.begin(), name+"_id", id)
	dst = append(dst, `,"of":"`...)
	dst = append(dst, d.route.of...)
	return d.list(append(dst, '"'))
}
