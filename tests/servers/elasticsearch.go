package servers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ElasticsearchOptions describe an Elasticsearch cluster. The zero value is one node
// without security. The distribution has the core only: no scripts (painless), no
// aggregations of x-pack or of the analytics module, no reindex, and GET / answers 405.
type ElasticsearchOptions struct {
	Nodes int // 1 (also for 0) to 3

	Security bool      // https, and clients log in as Cluster.Username
	NotAfter time.Time // with Security: end of the servers' certificate; zero means in a day

	// APIKeys, with Security, has the server take API keys: their index needs a module that
	// the distribution lacks, for which a small plugin stands in.
	APIKeys bool

	// Roles, with Security, are more roles by their names, as roles.yml has them. Each has
	// a user of the same name, with the password of Cluster.Username.
	Roles map[string]string

	// Data is, by node, a folder for its data that exists, and that the caller removes.
	// Nodes without one have theirs in Cluster.Dir.
	Data []string

	// Settings are lines added to elasticsearch.yml or replacing what is there, from the
	// full name of a setting to its value in YAML.
	Settings map[string]string

	Bench bool // a JVM that runs fast rather than starts fast
}

// Elasticsearch is a running Elasticsearch cluster. Its addresses are URLs.
type Elasticsearch struct {
	Cluster
}

// StartElasticsearch starts an Elasticsearch cluster and waits until all nodes are
// members. The caller closes it. Run by root it runs as nobody: it refuses root.
func StartElasticsearch(ctx context.Context, o ElasticsearchOptions) (*Elasticsearch, error) {
	e, err := startElasticsearch(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("starting elasticsearch: %w", err)
	}
	return e, nil
}

func startElasticsearch(ctx context.Context, o ElasticsearchOptions) (*Elasticsearch, error) {
	runtime, err := findJava()
	if err != nil {
		return nil, err
	}
	dir, err := elasticsearchRelease.fetch(ctx)
	if err != nil {
		return nil, err
	}
	o.Nodes = max(o.Nodes, 1)
	base, err := newCluster("elasticsearch", o.Nodes)
	if err != nil {
		return nil, err
	}
	e := &Elasticsearch{}
	e.Dir, e.release = base.Dir, base.release
	if err := e.layOut(o, runtime, dir); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if err := e.Start(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// layOut writes the folders of the nodes, which share the unpacked release.
func (e *Elasticsearch) layOut(o ElasticsearchOptions, runtime java, dir string) error {
	ports, err := e.reserve(2*o.Nodes, hosts(1))
	if err != nil {
		return err
	}
	// In the cluster's folder, as another user may not be let into the cache.
	home := filepath.Join(e.Dir, "home")
	if err := linkTree(dir, home); err != nil {
		return err
	}
	if o.APIKeys {
		if err := addAnalysis(home, runtime); err != nil {
			return err
		}
	}
	l := elasticsearchLayout{ElasticsearchOptions: o, dir: e.Dir, http: ports[:o.Nodes], transport: ports[o.Nodes:]}
	scheme := "http"
	if o.Security {
		scheme = "https"
		e.Username, e.Password = elasticsearchUser, elasticsearchPassword
		if l.certificates, err = issueCertificates(filepath.Join(e.Dir, "certificates"), o.NotAfter); err != nil {
			return err
		}
		l.certificates.use(&e.Cluster)
	}
	for i := range o.Nodes {
		if err := l.write(i, filepath.Join(home, "config")); err != nil {
			return err
		}
		n := &Node{
			Name:    fmt.Sprintf("elasticsearch node %d", i+1),
			Address: scheme + "://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(l.http[i])),
			pidFile: l.file(i, "pid"),
			command: l.command(i, home, runtime),
		}
		n.ready = func(ctx context.Context) error { return e.ready(ctx, n) }
		e.Nodes = append(e.Nodes, n)
	}
	return nil
}

// ready looks whether a node answers and sees all others that run.
func (e *Elasticsearch) ready(ctx context.Context, n *Node) error {
	var health struct {
		Nodes  int    `json:"number_of_nodes"`
		Status string `json:"status"`
	}
	if err := e.get(ctx, n, "/_cluster/health", &health); err != nil {
		return err
	}
	if want := len(e.running()); health.Nodes < want {
		return fmt.Errorf("%s sees %d of %d nodes", n.Name, health.Nodes, want)
	}
	return nil
}

// Master returns the node that is the elected master; while none is, or it is one that
// is down, it waits for the election.
func (e *Elasticsearch) Master(ctx context.Context) (*Node, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var master *Node
	err := poll(ctx, nil, func(ctx context.Context) error {
		for _, n := range e.running() {
			var state struct {
				Master string                           `json:"master_node"`
				Nodes  map[string]struct{ Name string } `json:"nodes"`
			}
			if err := e.get(ctx, n, "/_cluster/state/master_node,nodes?local=true", &state); err != nil {
				return err
			}
			i, err := strconv.Atoi(state.Nodes[state.Master].Name)
			if err != nil || !e.Nodes[i-1].answers() {
				return fmt.Errorf("%s knows of no master that answers", n.Name)
			}
			master = e.Nodes[i-1]
		}
		if master == nil {
			return errors.New("no node runs")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking elasticsearch for its master: %w", err)
	}
	return master, nil
}

// get asks one node and decodes its answer.
func (e *Elasticsearch) get(ctx context.Context, n *Node, path string, answer any) error {
	conf := &tls.Config{InsecureSkipVerify: true} // the certificate may be one that has expired
	if e.CertFile != "" {                         // Settings may have the server want one
		certificate, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
		if err != nil {
			return err
		}
		conf.Certificates = []tls.Certificate{certificate}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.Address+path, nil)
	if err != nil {
		return err
	}
	if e.Username != "" {
		req.SetBasicAuth(e.Username, e.Password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s%s: %s: %s", n.Address, path, resp.Status, lastLines(body, 5))
	}
	return json.Unmarshal(body, answer)
}

// nobody is a user without rights on every Unix that matters.
const nobody = 65534

// runAs is the user that Elasticsearch runs as, 0 for the present one.
func runAs() uint32 {
	if os.Geteuid() == 0 {
		return nobody
	}
	return 0
}
