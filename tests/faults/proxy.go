package faults

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction of bytes through a Proxy.
type Direction int

// Directions; they add up.
const (
	ToServer Direction = 1 << iota
	ToClient
	Both = ToServer | ToClient
)

// Counts of what went through a Proxy since it began.
type Counts struct {
	Connections, Open  int   // accepted, and of them still there
	Reset              int   // connections that the proxy reset or refused
	ToServer, ToClient int64 // bytes delivered
}

// Proxy forwards TCP connections on loopback to a server and is the network
// between them. Its methods are safe for concurrent use.
type Proxy struct {
	target   string
	listener *net.TCPListener
	ended    sync.WaitGroup

	mu        sync.Mutex
	now       condition
	changed   chan struct{} // closed at the next change
	links     map[*link]struct{}
	addresses addresses
	counts    Counts
	closed    bool
}

// condition of the network; the zero value is a sound one.
type condition struct {
	held     Direction // bytes wait
	halfOpen bool      // the server's side is gone, which the client is not told
	refusing bool
	latency  time.Duration
	rate     int64 // bytes a second and direction; zero is without limit
}

// NewProxy listens on address (127.0.0.1:0 for a free port, or any other address
// of loopback) and forwards to target, both host:port.
func NewProxy(address, target string) (*Proxy, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("reading the proxy's address %q: %w; write it as 127.0.0.1:0", address, err)
	}
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("the proxy's address %s is not on loopback; take one of 127.0.0.0/8", address)
	}
	listener, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("opening the proxy to %s: %w", target, err)
	}
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.ended.Go(p.accept)
	return p, nil
}

// Address is where clients connect to, as host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut holds all bytes of a direction back. Connections stay open, and new ones
// seem to succeed, as their bytes wait too; Mend delivers them all.
func (p *Proxy) Cut(d Direction) { p.change(condition{held: d}, nil) }

// HalfOpen ends the server's side of all connections and keeps the client's open:
// what is sent to it is swallowed. So it is with new ones. Mend resets them.
func (p *Proxy) HalfOpen() { p.change(condition{halfOpen: true}, (*link).orphan) }

// Reset resets all connections, and new ones at once.
func (p *Proxy) Reset() { p.change(condition{refusing: true}, (*link).reset) }

// Slow delays all bytes by the latency and delivers at most so many a second in
// each direction; zero is without limit.
func (p *Proxy) Slow(latency time.Duration, bytesPerSecond int64) {
	p.change(condition{latency: latency, rate: bytesPerSecond}, nil)
}

// Mend makes the network sound again. Connections whose server is gone are reset.
func (p *Proxy) Mend() { p.change(condition{}, nil) }

// change sets another condition, in which what was swallowed or lost is lost.
func (p *Proxy) change(c condition, each func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = c
	for l := range p.links {
		if each != nil {
			each(l)
		}
		if l.orphaned && !c.halfOpen {
			l.reset()
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Counts returns what went through until now.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	counts.Open = len(p.links)
	return counts
}

// Close resets all connections and stops listening.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Reset()
	p.ended.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.AcceptTCP()
		if err != nil {
			return // closed
		}
		p.ended.Go(func() { p.serve(client) })
	}
}

// serve forwards one connection until it ends.
func (p *Proxy) serve(client *net.TCPConn) {
	l := &link{proxy: p, client: client, closed: make(chan struct{})}
	p.mu.Lock()
	p.counts.Connections++
	p.links[l] = struct{}{}
	l.orphaned = p.now.halfOpen
	if p.now.refusing || p.closed {
		l.reset()
	}
	orphaned := l.orphaned
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
		l.close()
	}()
	if !orphaned && !l.dial(p.target) {
		return
	}
	l.forward()
}
