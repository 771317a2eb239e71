// Package origin lets a page and an interface of one process share an address,
// so that a browser takes them for one origin, whichever of them starts first
// and whether both run or one.
package origin

import (
	"net"
	"net/http"
	"sync"
)

// Key is the key of an *Origins among the generic values of a Benthos resource
// manager.
type Key struct{}

// Origins are the addresses of one process. Safe for concurrent use.
type Origins struct {
	mu  sync.Mutex
	all map[string]*Origin
}

// New returns no addresses yet.
func New() *Origins { return &Origins{all: map[string]*Origin{}} }

// At returns the address's origin. An address whose port the system chooses is
// another one each time.
func (o *Origins) At(address string) *Origin {
	if _, port, err := net.SplitHostPort(address); err == nil && (port == "0" || port == "") {
		return &Origin{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all[address] == nil {
		o.all[address] = &Origin{}
	}
	return o.all[address]
}

// Guest is a page. It listens by itself while there is no host.
type Guest struct {
	Handler http.Handler
	Listen  func() error // starts listening; told again after Leave if there was a host
	Leave   func()       // stops listening, and returns when the address is free
}

// Origin is one address: a host serves it all, a guest its page on it.
type Origin struct {
	mu        sync.Mutex
	hosts     int
	guest     *Guest
	listening bool // the guest does
}

// Join adds a guest, which listens unless there is a host. A second guest has to
// listen as well, and learns there that the address is taken.
func (o *Origin) Join(g *Guest) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.guest != nil {
		return g.Listen()
	}
	if o.hosts == 0 {
		if err := g.Listen(); err != nil {
			return err
		}
		o.listening = true
	}
	o.guest = g
	return nil
}

// Part takes a guest away. The caller stops what its Listen started.
func (o *Origin) Part(g *Guest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.guest == g {
		o.guest, o.listening = nil, false
	}
}

// Host makes a guest leave the address, so that the caller can listen there. The
// caller serves Page until it has stopped listening, and then calls release once:
// the guest listens again. Its error is that of the guest, whose page is not
// served then.
func (o *Origin) Host() (release func() error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hosts++
	if o.listening {
		o.guest.Leave()
		o.listening = false
	}
	return func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.hosts--; o.hosts > 0 || o.guest == nil {
			return nil
		}
		if err := o.guest.Listen(); err != nil {
			return err
		}
		o.listening = true
		return nil
	}
}

// Page is the guest's, or nil.
func (o *Origin) Page() http.Handler {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.guest == nil {
		return nil
	}
	return o.guest.Handler
}
