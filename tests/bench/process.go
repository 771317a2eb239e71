package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program that is measured.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it is gone
	err  error         // of its end

	admin   string       // address of the admin server, of ours
	counted atomic.Int64 // the last number it wrote, of those by hand
}

// start runs a program with the environment extended by env, "NAME=value". The
// numbers that it writes, one a line, are what it has done.
func (b *bench) start(ctx context.Context, name string, env []string, path string, args ...string) (*process, error) {
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(path, args...), log: log, done: make(chan struct{})}
	p.cmd.Dir = b.root
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.follow(stdout)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, ctx.Err()
}

func (p *process) follow(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
			p.counted.Store(n)
		} else {
			fmt.Fprintln(p.log, lines.Text())
		}
	}
}

// startOurs runs pipelines of the repository, unchanged, with a profile and
// config/service.yaml. The profiler costs nothing while nobody asks.
func (b *bench) startOurs(ctx context.Context, profile string, env []string, pipelines ...string) (*process, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	env = append([]string{"RECSYS_ADMIN=" + admin, "RECSYS_DEBUG=true", "LOG_LEVEL=WARN"}, env...)
	return b.startStreams(ctx, "config/service.yaml", admin, profile, env, pipelines...)
}

// startWith does it with a service configuration that has %s in the place of the
// address of the admin server.
func (b *bench) startWith(ctx context.Context, config, profile string, env []string, pipelines ...string) (*process, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	service := filepath.Join(b.dir, "service-"+admin+".yaml")
	if err := os.WriteFile(service, fmt.Appendf(nil, config, admin), 0o600); err != nil {
		return nil, err
	}
	return b.startStreams(ctx, service, admin, profile, env, pipelines...)
}

func (b *bench) startStreams(ctx context.Context, service, admin, profile string, env []string, pipelines ...string) (*process, error) {
	args := []string{"streams", "-o", service, "-r", profile}
	for _, name := range pipelines {
		args = append(args, "pipelines/"+name+".yaml")
	}
	state, err := os.MkdirTemp(b.dir, "state-")
	if err != nil {
		return nil, err
	}
	p, err := b.start(ctx, "recsys-benthos", append([]string{
		"RECSYS_STATE=" + state, "RECSYS_REGISTRY=" + b.registry, "RECSYS_MOVIES=" + b.data,
	}, env...), b.binary, args...)
	if p != nil {
		p.admin = admin
	}
	return p, err
}

// family is the process and its children: Python has a Java beside it.
func (p *process) family() []int {
	pid := p.cmd.Process.Pid
	family := []int{pid}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			family = append(family, child)
		}
	}
	return family
}

// cpu is what the process and its children have used so far, user and system.
func (p *process) cpu() (sum time.Duration) {
	for _, pid := range p.family() {
		sum += cpuOf(pid)
	}
	return sum
}

func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(stat, []byte(") ")) // after the name, from field 3 on
	fields := strings.Fields(string(after))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // 100 ticks a second on every Linux
}

// peakRSS is the most memory that the process and its children have had in use,
// in bytes.
func (p *process) peakRSS() (sum int64) {
	for _, pid := range p.family() {
		sum += peakRSSOf(pid)
	}
	return sum
}

func peakRSSOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// lag is what our process has still to do by its own account; false while it
// does not know all its partitions.
func (p *process) lag(ctx context.Context, partitions int) (int64, bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		return 0, false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, false
	}
	defer response.Body.Close()
	var sum int64
	metrics := bufio.NewScanner(response.Body)
	for metrics.Scan() {
		if !strings.HasPrefix(metrics.Text(), "kafka_lag{") {
			continue
		}
		lag, err := strconv.ParseFloat(metrics.Text()[strings.LastIndexByte(metrics.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, false
		}
		sum += int64(lag)
		partitions--
	}
	return sum, partitions == 0
}

// profile writes a CPU profile of our process to path.
func (p *process) profile(path string, seconds int) error {
	response, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.admin, seconds))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("profiling: %s: %s", response.Status, data)
	}
	return os.WriteFile(path, data, 0o600)
}

// signal pauses or resumes the process.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// check fails if the process has ended.
func (p *process) check() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %w\n%s", p.name, errors.Join(p.err, errors.New("too early")), p.logTail())
	default:
		return nil
	}
}

func (p *process) logTail() string {
	data, _ := os.ReadFile(p.log.Name())
	return string(data[max(0, len(data)-2000):])
}

// stop ends the process and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.log.Close()
}
