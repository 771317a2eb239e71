package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a start may take if the caller's context has no deadline.
const startTimeout = 5 * time.Minute

// maxNodes is how many nodes a cluster may have.
const maxNodes = 3

// Cluster is the servers of one start. Its methods may be called concurrently.
type Cluster struct {
	Nodes []*Node
	Dir   string // all files of the cluster, logs too; Close removes it

	Username, Password string // of a user who may do everything; empty without security
	CAFile             string // PEM of the CA that signed the servers' certificate; empty without TLS
	CertFile, KeyFile  string // PEM of a certificate for clients, by the same CA; empty without TLS

	release func() // gives back ports and the folder's lock
	once    sync.Once
	err     error
}

// newCluster makes the folder of a cluster.
func newCluster(kind string, nodes int) (*Cluster, error) {
	if nodes < 1 || nodes > maxNodes {
		return nil, fmt.Errorf("%d nodes were asked for: there can be 1 to %d", nodes, maxNodes)
	}
	removeLeftOvers()
	draft, err := os.MkdirTemp("", "recsys-draft-"+kind+"-")
	if err != nil {
		return nil, err
	}
	// Only a folder with a locked file gets a name that others look for.
	unlock, err := tryLockFile(filepath.Join(draft, lockName))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(draft))
	}
	dir := strings.Replace(draft, "recsys-draft-", folderPrefix, 1)
	if err := errors.Join(os.Chmod(draft, 0o755), os.Rename(draft, dir)); err != nil {
		unlock()
		return nil, errors.Join(err, os.RemoveAll(draft))
	}
	return &Cluster{Dir: dir, release: unlock}, nil
}

const (
	folderPrefix = "recsys-servers-"
	lockName     = "lock"
)

// removeLeftOvers removes folders of clusters whose process was killed before Close:
// nobody holds their locks any more.
func removeLeftOvers() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*", lockName))
	for _, lock := range locks {
		if unlock, err := tryLockFile(lock); err == nil {
			os.RemoveAll(filepath.Dir(lock)) // what cannot be removed is tried by the next
			unlock()
		}
	}
}

// reserve adds ports to what Close gives back.
func (c *Cluster) reserve(n int, hosts []string) ([]int, error) {
	ports, release, err := reservePorts(n, hosts)
	if err != nil {
		return nil, err
	}
	before := c.release
	c.release = func() { release(); before() }
	return ports, nil
}

// Addresses returns the nodes' addresses for clients.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, n := range c.Nodes {
		all = append(all, n.Address)
	}
	return all
}

// Start starts all nodes that do not run, at once, and waits until the cluster is
// ready. A majority has to run before a single Node.Start can succeed.
func (c *Cluster) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var down []*Node
	for _, n := range c.Nodes {
		if n.Running() {
			continue
		}
		if err := n.launch(); err != nil {
			return err
		}
		down = append(down, n)
	}
	failed := make(chan error)
	for _, n := range down {
		go func() {
			err := n.await(ctx)
			if err != nil {
				cancel() // what is still waited for is of no use
			}
			failed <- err
		}()
	}
	var first error
	for range down {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Close kills all servers, waits until they are gone and removes the cluster's folder.
// Later calls return what the first did.
func (c *Cluster) Close() error {
	c.once.Do(func() {
		var errs []error
		for _, n := range c.Nodes {
			errs = append(errs, n.Kill())
		}
		errs = append(errs, os.RemoveAll(c.Dir))
		c.release()
		if err := errors.Join(errs...); err != nil {
			c.err = fmt.Errorf("closing servers: %w", err)
		}
	})
	return c.err
}

// RSS returns the memory that all nodes have in use, in bytes.
func (c *Cluster) RSS() int64 {
	var total int64
	for _, n := range c.Nodes {
		total += n.RSS()
	}
	return total
}

// TLSConfig returns a client's configuration that trusts the cluster's CA and shows the
// client certificate; nil without TLS.
func (c *Cluster) TLSConfig() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	return clientTLS(c.CAFile, c.CertFile, c.KeyFile)
}

// running returns the nodes that run and are not paused.
func (c *Cluster) running() []*Node {
	var all []*Node
	for _, n := range c.Nodes {
		if n.answers() {
			all = append(all, n)
		}
	}
	return all
}

// Node is one server of a cluster. Its methods may be called concurrently.
type Node struct {
	Name    string // kafka node 2
	Address string // for clients

	command command
	ready   func(ctx context.Context) error // whether it answers and the running others know it
	pidFile string                          // of a server that was started through a launcher

	mu     sync.Mutex
	paused bool
	proc   *process
}

// Start starts a node that was killed or stopped, on the same data and address, and
// waits until it is ready. A node that runs is only waited for.
func (n *Node) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if !n.Running() {
		if err := n.launch(); err != nil {
			return err
		}
	}
	return n.await(ctx)
}

// launch starts the process.
func (n *Node) launch() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc.running() {
		return nil
	}
	if n.pidFile != "" {
		_ = os.Remove(n.pidFile) // of the run before, if any
	}
	proc, err := run(n.command)
	if err != nil {
		return fmt.Errorf("starting %s: %w", n.Name, err)
	}
	n.proc, n.paused = proc, false
	return nil
}

// await waits until the node is ready or has died.
func (n *Node) await(ctx context.Context) error {
	proc := n.process()
	if err := poll(ctx, proc.done, n.ready); err != nil {
		if errors.Is(err, errDied) {
			err = fmt.Errorf("%w: %w", err, proc.err)
		}
		return fmt.Errorf("starting %s: %w; the end of its log:\n%s", n.Name, err, n.LogTail(30))
	}
	return nil
}

// Kill ends the node at once (SIGKILL), paused or not, and waits until it is gone.
func (n *Node) Kill() error {
	proc := n.process()
	if proc == nil {
		return nil
	}
	if err := proc.kill(); err != nil {
		return fmt.Errorf("killing %s: %w", n.Name, err)
	}
	return nil
}

// Stop asks the node to end (SIGTERM) and waits for it. If ctx ends first it says so
// and leaves the node to its stopping.
func (n *Node) Stop(ctx context.Context) error {
	proc := n.process()
	if proc == nil {
		return nil
	}
	if err := errors.Join(n.Resume(), proc.signal(syscall.SIGTERM)); err != nil {
		return fmt.Errorf("stopping %s: %w", n.Name, err)
	}
	select {
	case <-proc.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", n.Name, context.Cause(ctx))
	}
}

// Pause freezes the node (SIGSTOP): connections stay open, nothing answers.
func (n *Node) Pause() error { return n.freeze("pausing", sigStop, true) }

// Resume lets a paused node go on (SIGCONT).
func (n *Node) Resume() error { return n.freeze("resuming", sigCont, false) }

func (n *Node) freeze(doing string, signal syscall.Signal, paused bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.proc.running() {
		return nil
	}
	if err := n.proc.signal(signal); err != nil {
		return fmt.Errorf("%s %s: %w", doing, n.Name, err)
	}
	n.paused = paused
	return nil
}

// Running tells whether the server's process lives, paused or not.
func (n *Node) Running() bool { return n.process().running() }

func (n *Node) answers() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc.running() && !n.paused
}

func (n *Node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}
