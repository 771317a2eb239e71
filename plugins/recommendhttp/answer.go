package recommendhttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

// ask sends a request through the pipeline and waits for what comes back.
func (s *server) ask(r *http.Request, route *api.Route, body []byte, id string) (*call, *api.Problem) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return nil, errBusy
	}
	var backend *api.Backend
	if route.Kind == api.Feedback {
		backend = s.in.backend()
	}
	if route.Merges() {
		leave, p := s.enter(r)
		if p != nil {
			return nil, p
		}
		defer leave()
	}
	decoded, p := route.Decode(r, body, id, time.Now(), backend)
	if p != nil {
		return nil, p
	}
	queue, release := s.in.reads, (func())(nil)
	if route.Kind == api.Feedback {
		select {
		case s.writes <- struct{}{}:
		default:
			return nil, errBusyLog
		}
		queue, release = s.in.writes, func() { <-s.writes }
	} else if h := s.in.health(); !h.Ready {
		return nil, api.Problemf(http.StatusServiceUnavailable, "%s", strings.Join(h.Problems, "; ")).After(noModelYet)
	}
	c := newCall(decoded, release)
	c.ctx = tracing.Within(c.ctx, r.Context())
	timer := time.NewTimer(s.conf.request)
	defer timer.Stop()
	select {
	case queue <- c:
	default: // it is full of calls that were given up
		c.giveUp()
		return nil, errBusy
	}
	if p := s.wait(r, c, timer.C); p != nil {
		c.giveUp()
		return nil, p
	}
	if err := c.failure(); err != nil {
		p := problem(err)
		if p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
			s.in.log.Errorf("answering %s: %v", r.URL.Path, err)
		}
		return nil, p
	}
	if len(c.Items) > 0 && backend.Movies != nil {
		// What comes back by the topic movies in a moment, so that who asks next finds it.
		if err := backend.Movies.Apply(c.Items...); err != nil {
			s.in.log.Errorf("answering %s: %v", r.URL.Path, err)
		}
	}
	return c, nil
}

// enter waits for the change before, which this one is merged with.
func (s *server) enter(r *http.Request) (leave func(), problem *api.Problem) {
	timer := time.NewTimer(s.conf.request)
	defer timer.Stop()
	select {
	case s.merging <- struct{}{}:
		return func() { <-s.merging }, nil
	case <-timer.C:
		return nil, errTooLate
	case <-r.Context().Done():
	case <-s.closing.Done():
	}
	return nil, errStopping
}

// respond answers what the pipeline is not asked for.
func (s *server) respond(w http.ResponseWriter, r *http.Request, route *api.Route, body []byte, id string) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.refuse(w, route.Kind, id, errBusy)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.conf.request)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	text, p := route.Respond(r.WithContext(ctx), body, time.Now(), s.in.backend())
	if p != nil {
		if ctx.Err() != nil {
			p = errTooLate
		}
		s.refuse(w, route.Kind, id, p)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	s.in.answered.count(route.Kind, http.StatusOK)
	s.write(w, r, "application/json", text)
}

// wait returns when the call is settled, or why it will not be in time.
func (s *server) wait(r *http.Request, c *call, late <-chan time.Time) *api.Problem {
	draining := s.in.draining
	for {
		select {
		case <-c.done:
			return nil
		case <-late:
			return errTooLate
		case <-r.Context().Done(): // nobody reads the answer
			return errStopping
		case <-s.closing.Done():
			return errStopping
		case <-draining: // what is in a batch already will be settled
			if c.state.Load() != taken {
				return errStopping
			}
			draining = nil
		}
	}
}

// answer writes what came back.
func (s *server) answer(w http.ResponseWriter, r *http.Request, c *call) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if tag := c.Tag(c.replies); tag != "" {
		header.Set("ETag", tag)
		header.Set("Cache-Control", "private, no-cache") // asks whether the tag is still right
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			header.Set("Vary", "Accept-Encoding, X-API-Version")
			s.in.answered.count(c.Route.Kind, http.StatusNotModified)
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body, err := c.Answer(c.replies)
	if err != nil {
		s.refuse(w, c.Route.Kind, c.ID, api.Problemf(http.StatusInternalServerError, "%v", err))
		return
	}
	s.in.answered.count(c.Route.Kind, http.StatusOK)
	s.write(w, r, "application/json", body)
}

const (
	maxPooled     = 256 << 10 // bytes of memory that is kept for the next answer
	minCompressed = 1 << 10   // bytes; smaller answers fit in one packet as they are
)

// compressor is a gzip writer and where it writes to.
type compressor struct {
	zip    *gzip.Writer
	buffer bytes.Buffer
}

var compressors = sync.Pool{New: func() any {
	c := &compressor{}
	c.zip, _ = gzip.NewWriterLevel(&c.buffer, gzip.BestSpeed) // the level is a good one
	return c
}}

// write writes a body, compressed for a client that accepts it.
func (s *server) write(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Add("Vary", "Accept-Encoding, X-API-Version")
	if s.conf.compress && len(body) >= minCompressed && acceptsGzip(r) {
		c := compressors.Get().(*compressor)
		defer func() {
			if c.buffer.Cap() <= maxPooled {
				compressors.Put(c)
			}
		}()
		c.buffer.Reset()
		c.zip.Reset(&c.buffer)
		_, _ = c.zip.Write(body) // a buffer takes all
		_ = c.zip.Close()
		header.Set("Content-Encoding", "gzip")
		body = c.buffer.Bytes()
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// acceptsGzip reads Accept-Encoding; gzip;q=0 is a no.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		weight = strings.TrimSpace(weight)
		value, err := strconv.ParseFloat(strings.TrimPrefix(weight, "q="), 64)
		return weight == "" || err == nil && value > 0
	}
	return false
}
