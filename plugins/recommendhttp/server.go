package recommendhttp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// closeTimeout bounds the wait for answers that are under way at the end.
const closeTimeout = 3 * time.Second

// server is one running HTTP server.
type server struct {
	in      *input
	conf    *config
	http    *http.Server
	tasks   sync.WaitGroup
	addr    net.Addr
	limiter *api.Limiter // nil without a limit
	guard   *http.CrossOriginProtection
	slots   chan struct{} // of requests
	writes  chan struct{} // of feedback
	merging chan struct{} // of one change that depends on what is known
	prefix  string        // of ids given here
	last    atomic.Uint64
	origins map[string]bool
	private bool // for this machine only, by its address, and without keys

	closing context.Context // ends when the server closes
	end     context.CancelFunc
	stopped context.Context // ends when it has answered what it had to
	stop    context.CancelFunc
}

func startServer(in *input) (*server, error) {
	c := in.conf
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("serving HTTP on %s: %w; stop what uses the address, or set the field %s to another one", c.address, err, fieldAddress)
	}
	s := &server{
		in: in, conf: c, addr: listener.Addr(), guard: http.NewCrossOriginProtection(), origins: map[string]bool{},
		slots: make(chan struct{}, c.requests), writes: make(chan struct{}, c.writes), merging: make(chan struct{}, 1), prefix: rand.Text()[:10] + "-",
	}
	s.closing, s.end = context.WithCancel(context.Background())
	s.stopped, s.stop = context.WithCancel(context.Background())
	if c.rate > 0 {
		s.limiter = api.NewLimiter(c.rate, c.burst)
	}
	s.private = len(c.keys) == 0 && isLoopback(c.address)
	for _, origin := range c.origins {
		s.origins[origin] = true
		if origin != "*" {
			_ = s.guard.AddTrustedOrigin(origin) // checked with the configuration
		}
	}
	handler, err := s.handler()
	if err != nil {
		s.end()
		return nil, errors.Join(err, listener.Close())
	}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: c.read,
		ReadTimeout:       c.read,
		WriteTimeout:      c.write,
		IdleTimeout:       c.idle,
		MaxHeaderBytes:    c.headerBytes,
	}
	if c.certificate != nil {
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*c.certificate}, MinVersion: tls.VersionTLS12}
	}
	s.tasks.Go(func() { in.answered.run(s.stopped) })
	s.tasks.Go(func() {
		if c.certificate != nil {
			_ = s.http.ServeTLS(listener, "", "")
			return
		}
		_ = s.http.Serve(listener)
	})
	return s, nil
}

// close lets answers finish within ctx, then ends what is left, and waits for it.
func (s *server) close(ctx context.Context) error {
	s.end()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.stop()
	s.tasks.Wait()
	return err
}
