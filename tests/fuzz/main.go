// Command fuzz searches for bytes that a decoder stumbles over: it runs each fuzz test of
// the project for a time, one after the other, and prints a table. Plain `go test` runs
// their seeds only.
//
//	go run ./tests/fuzz --time 10m            all of them
//	go run ./tests/fuzz --time 1m Request     those whose folder and name fit this regular expression
//	go run ./tests/fuzz --keep 40             keep so many inputs of each as seeds
//
// An input that fails is written to testdata/fuzz of its package, where every later run of
// the tests tries it: commit it with what mends it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	time     time.Duration
	parallel int
	keep     int
	pattern  *regexp.Regexp
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("fuzz", flag.ExitOnError)
	flags.DurationVar(&o.time, "time", 10*time.Minute, "how long each fuzz test runs")
	flags.IntVar(&o.parallel, "parallel", 2, "processes of each")
	flags.IntVar(&o.keep, "keep", 0, "inputs of each that are copied to testdata/fuzz, the shortest")
	_ = flags.Parse(args) // it exits
	var err error
	if o.pattern, err = regexp.Compile(flags.Arg(0)); err != nil {
		return err
	}
	targets, err := find(".")
	if err != nil {
		return err
	}
	var failed []string
	fmt.Println("| decoder | inputs tried | new | result |\n| - | - | - | - |")
	for _, t := range targets {
		if !o.pattern.MatchString(t.folder+" "+t.name) || ctx.Err() != nil {
			continue
		}
		result := t.search(ctx, o)
		fmt.Printf("| %s %s | %s | %s | %s |\n", t.folder, t.name, result.tried, result.fresh, result.verdict)
		if result.output != "" {
			failed = append(failed, t.name)
			fmt.Fprintln(os.Stderr, result.output)
		}
		if o.keep != 0 && result.output == "" {
			if err := t.keep(ctx, o.keep); err != nil {
				return err
			}
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return ctx.Err()
}

// target is one fuzz test.
type target struct{ folder, name string }

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// find returns the fuzz tests below a folder.
func find(root string) (all []target, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range declaration.FindAllSubmatch(text, -1) {
			all = append(all, target{filepath.Dir(path), string(found[1])})
		}
		return nil
	})
	return all, err
}

// result is what came of a search; output is not empty if it found something.
type result struct{ tried, fresh, verdict, output string }

var progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)

// search runs the fuzz test.
func (t target) search(ctx context.Context, o options) result {
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", o.time.String(),
		"-fuzzminimizetime", "200x", "-parallel", fmt.Sprint(o.parallel), "./"+t.folder)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	output, err := command.CombinedOutput()
	r := result{tried: "0", fresh: "0", verdict: "nothing found"}
	for line := range strings.Lines(string(output)) {
		if found := progress.FindStringSubmatch(line); found != nil {
			r.tried, r.fresh = found[1], found[2]
		}
	}
	// Go says this of a test that was at work when its time was over.
	late := strings.Contains(string(output), "context deadline exceeded") && !strings.Contains(string(output), "Failing input")
	if err != nil && ctx.Err() == nil && !late {
		r.verdict, r.output = "failed", string(output)
	}
	return r
}

// keep copies the shortest inputs that reached something new to where go test finds them.
func (t target) keep(ctx context.Context, most int) error {
	cache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("looking for the cache of inputs: %w", err)
	}
	module, err := exec.CommandContext(ctx, "go", "list", "./"+t.folder).Output()
	if err != nil {
		return fmt.Errorf("looking for the name of package %s: %w", t.folder, err)
	}
	from := filepath.Join(strings.TrimSpace(string(cache)), "fuzz", strings.TrimSpace(string(module)), t.name)
	entries, err := os.ReadDir(from)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	inputs := map[string][]byte{}
	for _, entry := range entries {
		if inputs[entry.Name()], err = os.ReadFile(filepath.Join(from, entry.Name())); err != nil {
			return err
		}
	}
	names := slices.SortedFunc(maps.Keys(inputs), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(inputs[a]), len(inputs[b])), cmp.Compare(a, b))
	})
	to := filepath.Join(t.folder, "testdata", "fuzz", t.name)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range names[:min(len(names), most)] {
		if err := os.WriteFile(filepath.Join(to, name), inputs[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
