//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/faults"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// network is what the pipelines reach the three nodes of each server through.
// Tests look at the servers themselves.
type network struct{ kafka, cassandra, elasticsearch proxies }

// proxies are the networks of a server's nodes, in their order.
type proxies []*faults.Proxy

// proxyHost is the address that clients of node i connect to. Brokers need one that
// is as long as their own.
func proxyHost(i int) string { return fmt.Sprintf("127.0.1.%d", i+1) }

func newNetwork(s *system) (n network, err error) {
	for _, c := range []struct {
		addresses []string
		proxies   *proxies
	}{{s.kafka.Addresses(), &n.kafka}, {s.cassandra.Addresses(), &n.cassandra}, {s.elasticsearch.Addresses(), &n.elasticsearch}} {
		if *c.proxies, err = inFrontOf(c.addresses); err != nil {
			return n, errors.Join(err, n.close())
		}
	}
	for _, p := range n.kafka { // each broker names all of them
		for i, address := range s.kafka.Addresses() {
			if err := p.Advertise(address, n.kafka[i].Address()); err != nil {
				return n, errors.Join(err, n.close())
			}
		}
	}
	return n, nil
}

func inFrontOf(addresses []string) (all proxies, err error) {
	for i, address := range addresses {
		target := strings.TrimPrefix(address, "http://")
		_, port, err := net.SplitHostPort(target)
		if err != nil {
			return all, err
		}
		p, err := faults.NewProxy(net.JoinHostPort(proxyHost(i), port), target)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (p proxies) addresses(scheme string) (all []string) {
	for _, one := range p {
		all = append(all, scheme+one.Address())
	}
	return all
}

// around is the address of a node itself, of what Cassandra tells its clients.
func (n network) around(address net.IP, port int) (net.IP, int) {
	for i := range n.cassandra {
		if address.Equal(net.ParseIP(proxyHost(i))) {
			return net.IPv4(127, 0, 0, byte(i+1)), port
		}
	}
	return address, port
}

func (n network) close() error {
	var errs []error
	for _, all := range []proxies{n.kafka, n.cassandra, n.elasticsearch} {
		for _, p := range all {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// server is one of the three.
type server struct {
	name    string
	cluster func(*system) *servers.Cluster
	proxies func(network) proxies
	one     pick // the node that a fault of one is about
}

var (
	kafka = server{"Kafka", func(s *system) *servers.Cluster { return &s.kafka.Cluster }, func(n network) proxies { return n.kafka }, coordinator}
	// The driver's sessions begin at the first.
	cassandra     = server{"Cassandra", func(s *system) *servers.Cluster { return &s.cassandra.Cluster }, func(n network) proxies { return n.cassandra }, cassandraNode}
	elasticsearch = server{"Elasticsearch", func(s *system) *servers.Cluster { return &s.elasticsearch.Cluster }, func(n network) proxies { return n.elasticsearch }, master}
)

// coordinator is the broker that predictors commit to and have their share from.
func coordinator(ctx context.Context, s *system) (*servers.Node, error) {
	found := s.broker.admin.FindGroupCoordinators(ctx, "predict")["predict"]
	if found.Err != nil {
		return nil, found.Err
	}
	return s.kafka.Nodes[found.NodeID-1], nil
}

// harm is one way for a network to fail.
type harm struct {
	name string
	do   func(*faults.Proxy)
}

var (
	cutBoth    = harm{"cut", func(p *faults.Proxy) { p.Cut(faults.Both) }}
	cutThere   = harm{"cut towards it", func(p *faults.Proxy) { p.Cut(faults.ToServer) }}
	cutBack    = harm{"cut on the way back", func(p *faults.Proxy) { p.Cut(faults.ToClient) }}
	halfOpen   = harm{"half-open", (*faults.Proxy).HalfOpen}
	reset      = harm{"reset and refused", (*faults.Proxy).Reset}
	slowedDown = harm{"slow (200 ms, 200 kB a second)", func(p *faults.Proxy) { p.Slow(200*time.Millisecond, 200_000) }}
)

// severNode has the network to one node of a server fail.
func severNode(h harm, of server, lasts time.Duration) fault {
	return fault{fmt.Sprintf("network %s for %.0f s, one node of %s", h.name, lasts.Seconds(), of.name), lasts, func(t *testing.T, s *system, _ *fleet) {
		withNode(t, s, of.one, func(_ context.Context, node *servers.Node) error {
			for i, n := range of.cluster(s).Nodes {
				if n == node {
					sever(t, h, of.proxies(s.network)[i:i+1], lasts)
				}
			}
			return nil
		})
	}}
}

// severAll has the network to all nodes of a server fail.
func severAll(h harm, of server, lasts time.Duration) fault {
	return fault{fmt.Sprintf("network %s for %.0f s, all nodes of %s", h.name, lasts.Seconds(), of.name), lasts, func(t *testing.T, s *system, _ *fleet) {
		sever(t, h, of.proxies(s.network), lasts)
	}}
}

func sever(t *testing.T, h harm, networks proxies, lasts time.Duration) {
	t.Helper()
	used := int64(0)
	for _, p := range networks {
		used += p.Counts().ToServer
		h.do(p)
	}
	if used == 0 {
		t.Error("nothing went through this network: the pipelines have another")
	}
	time.Sleep(lasts)
	for _, p := range networks {
		p.Mend()
	}
}
