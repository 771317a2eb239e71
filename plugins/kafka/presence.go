package kafka

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	lookPeriod   = time.Second
	silence      = 3 * time.Second // after which a cluster is asked whether it is there
	askFor       = 2 * time.Second
	metricOnline = "kafka_connected"
)

// presence knows whether a cluster answers a client, so that readiness tells the
// truth: franz-go waits out an outage silently, and a frozen broker gives no error.
// What a broker says counts; only a client that hears nothing asks.
type presence struct {
	heard  atomic.Int64 // when a broker said something last, Unix nanoseconds
	away   atomic.Bool
	gauge  *service.MetricGauge
	log    *service.Logger
	what   string // of the client, for the log
	seeds  []string
	change func() // called when away has changed; may be nil
}

func newPresence(res *service.Resources, what string, seeds []string, change func()) *presence {
	p := &presence{gauge: res.Metrics().NewGauge(metricOnline, "direction"), log: res.Logger(), what: what, seeds: seeds, change: change}
	p.gauge.Set(0, what)
	return p
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (p *presence) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		p.heard.Store(time.Now().UnixNano())
	}
}

// watch looks until ctx ends. It begins when the cluster has answered.
func (p *presence) watch(ctx context.Context, client *kgo.Client) {
	p.heard.Store(time.Now().UnixNano())
	p.away.Store(false)
	p.gauge.Set(1, p.what)
	defer p.leave()
	ticker := time.NewTicker(lookPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		there := time.Since(time.Unix(0, p.heard.Load())) < silence || answers(ctx, client)
		if ctx.Err() != nil {
			return
		}
		p.tell(there)
	}
}

// leave is the end of a client, which is in no outage then.
func (p *presence) leave() {
	p.gauge.Set(0, p.what)
	if p.away.Swap(false) {
		p.count(true)
	}
}

// tell makes known whether the cluster is there, if that is news.
func (p *presence) tell(there bool) {
	if p.away.Swap(!there) == !there {
		return
	}
	if there {
		p.gauge.Set(1, p.what)
	} else {
		p.gauge.Set(0, p.what)
	}
	p.count(there)
	if p.change != nil {
		p.change()
	}
}

// outages counts, by cluster, the clients of this process that have no answer: an outage
// is told once, and once that it is over.
var outages = struct {
	sync.Mutex
	clients map[string]int
}{clients: map[string]int{}}

func (p *presence) count(there bool) {
	seeds := strings.Join(p.seeds, ", ")
	outages.Lock()
	defer outages.Unlock()
	before := outages.clients[seeds]
	switch {
	case there && before == 1:
		p.log.Infof("Outage over: Kafka answers at %s", seeds)
	case !there && before == 0:
		p.log.Warnf("Outage: Kafka does not answer at %s; waiting until it does, nothing is lost", seeds)
	}
	if there {
		outages.clients[seeds] = before - 1
	} else {
		outages.clients[seeds] = before + 1
	}
}

// answers asks all brokers at once: one that is frozen does not make the cluster away. It
// does not wait for those that say nothing: franz-go may take longer to give up a
// connection that it is just opening than ctx lasts.
func answers(ctx context.Context, client *kgo.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	brokers := append(client.DiscoveredBrokers(), client.SeedBrokers()...)
	results := make(chan error, len(brokers))
	for _, broker := range brokers {
		go func() {
			response, err := broker.Request(ctx, kmsg.NewPtrApiVersionsRequest())
			if err == nil && response == nil {
				err = errors.New("no answer")
			}
			results <- err
		}()
	}
	for range brokers {
		select {
		case err := <-results:
			if err == nil {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
	return false
}
