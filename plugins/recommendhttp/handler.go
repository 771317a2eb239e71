package recommendhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// retryAfter is told to clients where nothing better is known.
const retryAfter = time.Second

// noModelYet is told while there is no model: the first training takes seconds.
const noModelYet = 5 * time.Second

// maxIDBytes bounds the ids that clients give their requests.
const maxIDBytes = 128

var (
	errBusy     = api.Problemf(http.StatusServiceUnavailable, "too many requests are being answered").After(retryAfter)
	errBusyLog  = api.Problemf(http.StatusServiceUnavailable, "too much feedback is being written").After(retryAfter)
	errStopping = api.Problemf(http.StatusServiceUnavailable, "the server is stopping").After(retryAfter)
	errTooLate  = api.Problemf(http.StatusGatewayTimeout, "the pipeline took too long").After(retryAfter)
)

// allMethods are those of HTTP. A pattern for any method would contradict the one
// of a path such as /api/models/{version}.
var allMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

// pagePolicy lets the page of the interface have its own style, and nothing else.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// handler serves all routes; a path that has none is a problem too.
func (s *server) handler() (http.Handler, error) {
	document, err := api.OpenAPI(s.in.mgr.EngineVersion())
	if err != nil {
		return nil, err
	}
	page, err := api.Page()
	if err != nil {
		return nil, err
	}
	local := map[string]http.HandlerFunc{
		"live": s.live, "ready": s.ready,
		"openapi": func(w http.ResponseWriter, r *http.Request) { s.write(w, r, "application/json", document) },
		"page": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", pagePolicy)
			s.write(w, r, "text/html; charset=utf-8", page)
		},
	}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, route := range api.Routes() {
		methods[route.Path] = append(methods[route.Path], route.Method)
		mux.Handle(route.Method+" "+route.Path, s.route(route, local[route.Local]))
	}
	for path, allowed := range methods {
		if slices.Contains(allowed, http.MethodGet) {
			allowed = append(allowed, http.MethodHead)
		}
		wrong := api.Problemf(http.StatusMethodNotAllowed, "this path has the methods %s", strings.Join(allowed, ", "))
		wrong.Allow = strings.Join(append(allowed, http.MethodOptions), ", ")
		for _, method := range allMethods {
			if !slices.Contains(allowed, method) {
				mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) { s.refuse(w, api.None, "", wrong) })
			}
		}
	}
	mux.HandleFunc("/api/", s.notFound)
	mux.HandleFunc("/", s.page)
	return s.outermost(mux), nil
}

// outermost is what all requests pass.
func (s *server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch cause := recover(); cause {
			case nil:
			case http.ErrAbortHandler:
				panic(cause) // net/http's own way to cut a connection
			default:
				s.in.log.Errorf("answering %s: %v\n%s", r.URL.Path, cause, debug.Stack())
				s.refuse(w, api.None, "", api.Problemf(http.StatusInternalServerError, "this is a fault of the server"))
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !slices.Contains(allMethods, r.Method) {
			p := api.Problemf(http.StatusMethodNotAllowed, "no path has the method %q", r.Method)
			p.Allow = strings.Join(allMethods[:7], ", ")
			s.refuse(w, api.None, "", p)
			return
		}
		if s.private && !isLoopback(r.Host) { // a page elsewhere whose name leads to this machine: DNS rebinding
			s.refuse(w, api.None, "", api.Problemf(http.StatusMisdirectedRequest,
				"the host is %q, and without keys only this machine is answered; ask for %s, or set keys", r.Host, s.conf.address))
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && len(s.origins) > 0 {
			if s.share(w, r, origin) {
				return
			}
		}
		if strings.Contains(r.URL.Path, "//") || hasDots(r.URL.EscapedPath()) { // ServeMux would redirect to another path
			s.notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hasDots reports whether a part of the path is . or .. as it was written; %2E is a
// name like others.
func hasDots(path string) bool {
	return strings.Contains(path, "/.") && slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool { return part == "." || part == ".." })
}

// share lets the pages of an allowed origin read the answer. It answers a
// browser's question whether it may ask.
func (s *server) share(w http.ResponseWriter, r *http.Request, origin string) (answered bool) {
	header := w.Header()
	header.Add("Vary", "Origin")
	switch {
	case s.origins[origin]:
		header.Set("Access-Control-Allow-Origin", origin)
	case s.origins["*"]:
		header.Set("Access-Control-Allow-Origin", "*")
	default:
		return false
	}
	header.Set("Access-Control-Expose-Headers", "ETag, Retry-After, X-Request-Id")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match, X-API-Key, X-API-Version, X-Request-Id")
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// page is what is not under /api/: the dashboard's, if there is one here.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	if s.in.origin != nil {
		if page := s.in.origin.Page(); page != nil {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(s.closing, cancel)() // its streams have no end of their own
			page.ServeHTTP(w, r.WithContext(ctx))
			return
		}
	}
	if r.URL.Path == "/" {
		http.Redirect(w, r, "/api/", http.StatusFound)
		return
	}
	s.notFound(w, r)
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	p := api.Problemf(http.StatusNotFound, "there is nothing here; the paths are listed at /api/")
	if hasDots(r.URL.EscapedPath()) {
		p = api.Problemf(http.StatusBadRequest, "a part of the path is . or ..; write a name with %%2E")
	} else if strings.HasPrefix(r.URL.Path, "/api/") && (strings.HasSuffix(r.URL.Path, "/") || strings.Contains(r.URL.Path, "//")) {
		p = api.Problemf(http.StatusBadRequest, "a part of the path is empty; give an id, such as 514: the paths are listed at /api/")
	}
	s.refuse(w, api.None, "", p)
}

// route answers the requests of a route; local is nil where it goes through the
// pipeline.
func (s *server) route(route *api.Route, local http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local != nil {
			local(w, r)
			return
		}
		w, r, end := s.traced(w, r, route)
		defer end()
		id := s.requestID(r)
		w.Header().Set("X-Request-Id", id)
		if p := s.admit(r, route); p != nil {
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="recsys-benthos"`)
			}
			s.refuse(w, route.Kind, id, p)
			return
		}
		body, p := s.body(w, r, route)
		if p != nil {
			s.refuse(w, route.Kind, id, p)
			return
		}
		if route.Kind == api.Direct {
			s.respond(w, r, route, body, id)
			return
		}
		c, p := s.ask(r, route, body, id)
		if p != nil {
			s.refuse(w, route.Kind, id, p)
			return
		}
		s.answer(w, r, c)
	})
}

// requestID is what the client calls the request, or an id of our own.
func (s *server) requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	printable := !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' })
	if id != "" && len(id) <= maxIDBytes && printable {
		return id
	}
	return s.prefix + strconv.FormatUint(s.last.Add(1), 10)
}

// admit checks who asks, and how often.
func (s *server) admit(r *http.Request, route *api.Route) *api.Problem {
	if err := s.guard.Check(r); err != nil && !s.origins["*"] {
		return api.Problemf(http.StatusForbidden, "a page of another origin asks for a change; allow its origin in the field %s.%s", fieldCORS, fieldOrigins)
	}
	key, p := s.conf.keys.Admit(r, route.Scope)
	if p != nil {
		return p
	}
	if s.limiter == nil {
		return nil
	}
	var client string
	if key != nil {
		client = key.Name
	} else if client, _, _ = net.SplitHostPort(r.RemoteAddr); client == "" {
		client = r.RemoteAddr
	}
	if wait := s.limiter.Take(client, time.Now()); wait > 0 {
		return api.Problemf(http.StatusTooManyRequests, "more than %v requests a second", s.conf.rate).After(wait)
	}
	return nil
}

// body reads the body before anything is held for the request, so that slow
// clients hold up nobody.
func (s *server) body(w http.ResponseWriter, r *http.Request, route *api.Route) ([]byte, *api.Problem) {
	if route.Body == "" {
		return nil, nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, api.Problemf(http.StatusUnsupportedMediaType, "the body has the Content-Encoding %q; send it as it is", r.Header.Get("Content-Encoding"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.conf.bodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &tooLarge):
		return nil, api.Problemf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, api.Problemf(http.StatusRequestTimeout, "the body did not come within %v", s.conf.read)
	}
	return nil, api.Problemf(http.StatusBadRequest, "the body broke off")
}

func (s *server) live(w http.ResponseWriter, r *http.Request) { s.tell(w, r, http.StatusOK) }

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	s.tell(w, r, http.StatusServiceUnavailable)
}

// tell answers how the server is, with the given status if it is not ready.
func (s *server) tell(w http.ResponseWriter, _ *http.Request, otherwise int) {
	h := s.in.health()
	status := http.StatusOK
	if !h.Ready {
		status = otherwise
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h)
}

// refuse answers with a problem.
func (s *server) refuse(w http.ResponseWriter, kind api.Kind, id string, p *api.Problem) {
	s.in.answered.count(kind, p.Status)
	p.Write(w, id)
}
