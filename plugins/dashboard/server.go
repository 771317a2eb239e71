package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
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
	hub    *hub
	ending context.CancelFunc // ends the hub and all streams of events
	done   <-chan struct{}    // is closed by ending
	tasks  sync.WaitGroup
}

// startPage keeps the page's viewers informed until end.
func startPage(h *hub) *page {
	ctx, cancel := context.WithCancel(context.Background())
	p := &page{hub: h, ending: cancel, done: ctx.Done()}
	p.tasks.Go(func() { h.run(ctx) })
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

func (p *page) snapshot(w http.ResponseWriter, _ *http.Request) {
	data, err := p.hub.state()
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
	viewer, err := p.hub.join()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer p.hub.leave(viewer)
	data, err := p.hub.state()
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

func (p *page) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, `{"status":"ok","viewers":%d}`, p.hub.count())
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
