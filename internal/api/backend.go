package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// Backend is what the server answers from by itself, and what a change is merged
// with. What is nil is not there; routes that need it say so.
type Backend struct {
	Movies   *catalog.Catalog
	Store    ratings.Store
	Registry *registry.Registry
}

// Respond answers a request of kind Direct.
func (r *Route) Respond(request *http.Request, body []byte, now time.Time, backend *Backend) ([]byte, *Problem) {
	d := &decoder{route: r, request: request, body: body, now: now, backend: backend, call: Call{Route: r, shape: r.shape}}
	if err := d.parseQuery(); err != nil {
		return nil, err
	}
	if err := d.format(); err != nil {
		return nil, err
	}
	answer, problem := r.direct(d)
	if problem != nil {
		return nil, problem
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, Problemf(http.StatusInternalServerError, "writing the answer: %v", err)
	}
	return text, nil
}

// movies is the catalog, once it has content.
func (d *decoder) movies() (*catalog.Catalog, *Problem) {
	switch {
	case d.backend == nil || d.backend.Movies == nil:
		return nil, missing("movie catalog", "catalog")
	case !d.backend.Movies.Ready():
		return nil, Problemf(http.StatusServiceUnavailable, "the movie catalog is not read yet").After(time.Second)
	}
	return d.backend.Movies, nil
}

func (d *decoder) store() (ratings.Store, *Problem) {
	if d.backend == nil || d.backend.Store == nil {
		return nil, missing("rating store", "store")
	}
	return d.backend.Store, nil
}

func (d *decoder) directory() (ratings.Directory, *Problem) {
	store, problem := d.store()
	if problem != nil {
		return nil, problem
	}
	directory, ok := store.(ratings.Directory)
	if !ok {
		return nil, Problemf(http.StatusNotImplemented, "the rating store of this server tells of ratings only")
	}
	return directory, nil
}

func missing(what, field string) *Problem {
	return Problemf(http.StatusNotImplemented, "this server has no %s: the field %s of its recommend_http does not name one", what, field)
}

// unavailable is the answer where a store cannot be read.
func unavailable(err error) *Problem {
	return Problemf(http.StatusServiceUnavailable, "%v", err).After(time.Second)
}

// n is the parameter n, with the bounds of the table.
func (d *decoder) n() (int, *Problem) {
	n, _, problem := d.integer("n")
	return int(n), problem
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// zeroTime is what Gorse's clients take for no time.
const zeroTime = "0001-01-01T00:00:00Z"

func timeText(milliseconds int64) string {
	if milliseconds == 0 {
		return zeroTime
	}
	return time.UnixMilli(milliseconds).UTC().Format(time.RFC3339Nano)
}
