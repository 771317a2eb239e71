package elasticsearch

import (
	"errors"
	"net/url"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// A node that failed is left out for the first of these, and with each further
// failure for twice as long, up to the last.
const (
	firstDeadTime = time.Second
	lastDeadTime  = 30 * time.Second
)

// nodePool hands out nodes in turn, without those that failed a short while ago;
// the transport's own pool would leave them out for a minute and more. The
// transport serialises the calls.
type nodePool struct {
	nodes []*elastictransport.Connection
	last  int
	now   func() time.Time
}

// Next implements elastictransport.ConnectionPool. When all nodes are dead it
// gives the one that has been left alone longest.
func (p *nodePool) Next() (*elastictransport.Connection, error) {
	if len(p.nodes) == 0 {
		return nil, errors.New("no node is configured")
	}
	now := p.now()
	var oldest *elastictransport.Connection
	for i := 1; i <= len(p.nodes); i++ {
		at := (p.last + i) % len(p.nodes)
		node := p.nodes[at]
		if !node.IsDead {
			p.last = at
			return node, nil
		}
		if now.Sub(node.DeadSince) >= deadTime(node.Failures) {
			node.DeadSince = now // one request tries it; the others go elsewhere meanwhile
			p.last = at
			return node, nil
		}
		if oldest == nil || node.DeadSince.Before(oldest.DeadSince) {
			oldest = node
		}
	}
	oldest.DeadSince = now
	return oldest, nil
}

func deadTime(failures int) time.Duration {
	return min(firstDeadTime<<min(max(0, failures-1), 8), lastDeadTime)
}

// OnSuccess implements elastictransport.ConnectionPool.
func (p *nodePool) OnSuccess(node *elastictransport.Connection) error {
	node.IsDead, node.Failures = false, 0
	return nil
}

// OnFailure implements elastictransport.ConnectionPool.
func (p *nodePool) OnFailure(node *elastictransport.Connection) error {
	node.IsDead, node.DeadSince = true, p.now()
	node.Failures++
	return nil
}

// URLs implements elastictransport.ConnectionPool.
func (p *nodePool) URLs() []*url.URL {
	urls := make([]*url.URL, len(p.nodes))
	for i, node := range p.nodes {
		urls[i] = node.URL
	}
	return urls
}
