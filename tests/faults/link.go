package faults

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkBytes  = 16 << 10
	dialTimeout = 5 * time.Second
)

// link is one connection through a Proxy, whose lock guards orphaned and server.
type link struct {
	proxy     *Proxy
	client    *net.TCPConn
	server    *net.TCPConn // nil if there never was one
	orphaned  bool         // the server's side is gone, the client's stays
	closed    chan struct{}
	closeOnce sync.Once
}

// chunk is bytes on their way.
type chunk struct {
	bytes []byte
	sent  time.Time
}

// dial connects to the server; a server that is away resets the client.
func (l *link) dial(target string) bool {
	conn, err := net.DialTimeout("tcp", target, dialTimeout)
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	if err != nil {
		l.reset()
		return false
	}
	l.server = conn.(*net.TCPConn)
	select {
	case <-l.closed: // reset in the meantime
		l.server.Close()
		return false
	default:
	}
	if l.orphaned {
		l.orphan()
	}
	return true
}

// reset ends both sides with RST. The proxy's lock is held.
func (l *link) reset() {
	select {
	case <-l.closed:
		return
	default:
	}
	l.proxy.counts.Reset++
	_ = l.client.SetLinger(0)
	if l.server != nil {
		_ = l.server.SetLinger(0)
	}
	l.close()
}

// orphan ends the server's side alone. The proxy's lock is held.
func (l *link) orphan() {
	l.orphaned = true
	if l.server != nil {
		_ = l.server.SetLinger(0)
		l.server.Close()
	}
}

func (l *link) close() {
	l.closeOnce.Do(func() {
		close(l.closed)
		l.client.Close()
		if l.server != nil {
			l.server.Close()
		}
	})
}

func (l *link) isOrphaned() bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return l.orphaned
}

// forward moves bytes in both directions until both have ended.
func (l *link) forward() {
	var both sync.WaitGroup
	both.Go(func() { l.pump(ToServer, l.client, l.server) })
	if l.server != nil {
		both.Go(func() { l.pump(ToClient, l.server, l.client) })
	}
	both.Wait()
}

func (l *link) pump(d Direction, from, to *net.TCPConn) {
	chunks := make(chan chunk, 64)
	l.proxy.ended.Go(func() {
		defer close(chunks)
		l.read(d, from, chunks)
	})
	for c := range chunks {
		if !l.pass(d, c) {
			return
		}
		if to == nil {
			continue
		}
		if d == ToServer && l.isOrphaned() {
			continue // swallowed
		}
		l.delivered(d, len(c.bytes)) // counted before the other side can have them
		if _, err := to.Write(c.bytes); err != nil {
			if d == ToServer && l.isOrphaned() {
				continue
			}
			l.close()
			return
		}
	}
	if l.isOrphaned() && d == ToClient {
		<-l.closed
		return
	}
	if l.pass(d, chunk{sent: time.Now()}) && to != nil { // the end travels like bytes
		_ = to.CloseWrite()
	}
}

// read takes what arrives, as it arrives, or in Kafka's frames where addresses in
// them have to be replaced.
func (l *link) read(d Direction, from io.Reader, to chan<- chunk) {
	next := readChunk
	if addresses := l.proxy.rewrites(); d == ToClient && len(addresses) > 0 {
		next = addresses.readFrame
	}
	for {
		bytes, err := next(from)
		for sent := time.Now(); len(bytes) > 0; {
			n := min(len(bytes), chunkBytes)
			select {
			case to <- chunk{bytes[:n], sent}:
			case <-l.closed:
				return
			}
			bytes = bytes[n:]
		}
		if err != nil {
			return
		}
	}
}

func readChunk(from io.Reader) ([]byte, error) {
	buffer := make([]byte, chunkBytes)
	n, err := from.Read(buffer)
	return buffer[:n], err
}

// pass waits until the network lets a chunk through; false is that the link ends.
func (l *link) pass(d Direction, c chunk) bool {
	for {
		l.proxy.mu.Lock()
		now, changed := l.proxy.now, l.proxy.changed
		l.proxy.mu.Unlock()
		var due <-chan time.Time
		if now.held&d == 0 {
			late := time.Until(c.sent.Add(now.latency))
			if now.rate > 0 {
				late = max(late, 0) + time.Duration(len(c.bytes))*time.Second/time.Duration(now.rate)
			}
			if late <= 0 {
				return true
			}
			due = time.After(late)
		}
		select {
		case <-due:
			return true
		case <-changed:
		case <-l.closed:
			return false
		}
	}
}

func (l *link) delivered(d Direction, bytes int) {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	if d == ToServer {
		l.proxy.counts.ToServer += int64(bytes)
	} else {
		l.proxy.counts.ToClient += int64(bytes)
	}
}
