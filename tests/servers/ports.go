package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports are taken below those that systems hand to outgoing connections (from 32768 on
// Linux), or a connection could sit on the port of a node that is down for a moment.
const (
	firstPort = 12000
	lastPort  = 32000
)

// reservePorts reserves n ports that are free on all hosts. They stay reserved among
// the users of this package, in other processes too, until release.
func reservePorts(n int, hosts []string) (ports []int, release func(), err error) {
	dir := filepath.Join(os.TempDir(), "recsys-servers.ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, nil, fmt.Errorf("reserving ports: %w", err)
	}
	_ = os.Chmod(dir, 0o1777) // another user may own it
	var unlocks []func()
	release = func() {
		for _, unlock := range unlocks {
			unlock()
		}
	}
	for range 1000 {
		if len(ports) == n {
			return ports, release, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		unlock, err := tryLockFile(filepath.Join(dir, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if !free(port, hosts) {
			unlock()
			continue
		}
		ports, unlocks = append(ports, port), append(unlocks, unlock)
	}
	release()
	return nil, nil, fmt.Errorf("reserving ports: no %d free ports between %d and %d on %v (lock files are in %s)", n, firstPort, lastPort, hosts, dir)
}

func free(port int, hosts []string) bool {
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// hosts are the loopback addresses of n nodes.
func hosts(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("127.0.0.%d", i+1))
	}
	return all
}

var errLocked = errors.New("locked by another process")

// lockFile waits for the lock of a file that need not exist.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	err = poll(ctx, nil, func(context.Context) error {
		unlock, err = tryLockFile(path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return unlock, nil
}
