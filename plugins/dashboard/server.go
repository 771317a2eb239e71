package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/live"
)

// Bounds of the server. A stream of events has no end, so that each of its
// writes has the time-out instead of the whole answer.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 20 * time.Second
	idleTimeout  = time.Minute
	closeTimeout = 3 * time.Second
	headerBytes  = 16 << 10
)

// securityPolicy lets the page load from where it came, and from nowhere else.
const securityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is what a server serves: the page's files and its data.
type page struct {
	live    *live.Aggregates
	windows []time.Duration
	hubs    []*hub             // one for each window
	ending  context.CancelFunc // ends the hubs and all streams of events
	done    <-chan struct{}    // is closed by ending
	tasks   sync.WaitGroup
}

// startPage keeps the page's viewers informed until end. encode gives the state over
// one of the windows.
func startPage(aggregates *live.Aggregates, encode func(window int) ([]byte, error), refresh time.Duration) *page {
	ctx, cancel := context.WithCancel(context.Background())
	p := &page{live: aggregates, windows: aggregates.Windows(), ending: cancel, done: ctx.Done()}
	for i := range p.windows {
		h := newHub(func() ([]byte, error) { return encode(i) }, refresh)
		p.hubs = append(p.hubs, h)
		p.tasks.Go(func() { h.run(ctx) })
	}
	return p
}

// end ends all streams of events, and waits for what startPage started.
func (p *page) end() {
	p.ending()
	p.tasks.Wait()
}

func (p *page) handler() http.Handler {
	mux := http.NewServeMux()
	for path, file := range assets() {
		mux.Handle("GET "+path, file)
	}
	mux.HandleFunc("GET /live/snapshot", p.snapshot)
	mux.HandleFunc("GET /live/events", p.events)
	mux.HandleFunc("GET /live/predictions", p.predictions)
	mux.HandleFunc("GET /live/health", p.health)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", securityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin") // who opens the page, or is opened by it, does not reach its window
		mux.ServeHTTP(w, r)
	})
}

// window is the hub of the window that a request asks for, by its seconds; without
// any it is the shortest.
func (p *page) window(r *http.Request) (*hub, error) {
	asked := r.URL.Query().Get("window")
	var have []string
	for i, window := range p.windows {
		seconds := strconv.FormatInt(int64(window.Seconds()), 10)
		if asked == "" || asked == seconds {
			return p.hubs[i], nil
		}
		have = append(have, seconds)
	}
	return nil, fmt.Errorf("window=%q: give seconds, one of %s", asked, strings.Join(have, ", "))
}

func (p *page) snapshot(w http.ResponseWriter, r *http.Request) {
	hub, err := p.window(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := hub.state()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(data)
}

// events streams states until the viewer goes or the server ends.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	hub, err := p.window(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	viewer, err := hub.join()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer hub.leave(viewer)
	data, err := hub.state()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy in between must not hold events back
	stream := http.NewResponseController(w)
	for {
		_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return
		}
		if err := stream.Flush(); err != nil {
			return
		}
		select {
		case data = <-viewer:
		case <-r.Context().Done():
			return
		case <-p.done:
			return
		}
	}
}

// The bounds of a search.
const (
	maxSearch     = 200 // bytes
	maxSearchRows = 500
)

// predictions searches the latest predictions, by user and by a part of the title.
func (p *page) predictions(w http.ResponseWriter, r *http.Request) {
	query, err := searchFor(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rows, fit := p.live.Search(query)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct {
		Predictions []live.Prediction `json:"predictions"`
		Fit         int               `json:"fit"` // among those that are kept
	}{rows, fit})
}

func searchFor(values url.Values) (q live.Query, err error) {
	if user := values.Get("user"); user != "" {
		q.HasUser = true
		if q.User, err = strconv.ParseInt(user, 10, 64); err != nil {
			return q, fmt.Errorf("user=%q is not a whole number", user)
		}
	}
	if q.Title = values.Get("title"); len(q.Title) > maxSearch {
		return q, fmt.Errorf("title has %d bytes; give at most %d", len(q.Title), maxSearch)
	}
	if limit := values.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > maxSearchRows {
			return q, fmt.Errorf("limit=%q is not a whole number from 1 to %d", limit, maxSearchRows)
		}
	}
	return q, nil
}

func (p *page) health(w http.ResponseWriter, _ *http.Request) {
	viewers := 0
	for _, hub := range p.hubs {
		viewers += hub.count()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, `{"status":"ok","viewers":%d}`, viewers)
}

// server is one running HTTP server.
type server struct {
	http  *http.Server
	tasks sync.WaitGroup
	addr  net.Addr
}

// startServer listens on the address and serves until close.
func startServer(address string, handler http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving the dashboard on %s: %w; stop what uses the address, or set the field address to another one", address, err)
	}
	s := &server{addr: listener.Addr()}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
	}
	s.tasks.Go(func() { _ = s.http.Serve(listener) })
	return s, nil
}

// leave frees the address at once. Browsers come back by themselves.
func (s *server) leave() {
	_ = s.http.Close()
	s.tasks.Wait()
}

// close lets answers finish within ctx, and waits for everything that was
// started.
func (s *server) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("closing the dashboard: %w", err), s.http.Close())
	}
	s.tasks.Wait()
	return err
}
