package docs

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/recsys-benthos/recsys-benthos/internal/movielens"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// patience bounds what takes seconds, on a machine that runs everything else too.
const patience = 2 * time.Minute

// sample is the MovieLens that the commands of the documentation are given: a
// small one, without the internet.
var sample = movielens.Sample{Users: 100, Ratings: 6000, Seed: 1}

// visit is a person who does what a page says, in a folder that has the binary,
// and MovieLens beside it.
type visit struct {
	*testing.T
	folder, home       string
	kafka, page, admin string   // addresses for those that the documentation has
	others             []string // more of them: the documentation's, this machine's, …
	before             string   // what was exported, and where the person has gone
	running            []*left
	tests              []string // files of unit tests that the page has written
}

// left is a block of commands that was left running.
type left struct {
	*binary.Process
	block  block
	output binary.Output
}

func newVisit(t *testing.T) *visit {
	t.Helper()
	v := &visit{T: t, folder: t.TempDir(), home: t.TempDir()}
	for _, address := range []*string{&v.kafka, &v.page, &v.admin} {
		var err error
		if *address, err = binary.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	if err := movielens.WriteSample(filepath.Join(v.folder, "ml-latest-small"), sample); err != nil {
		t.Fatal(err)
	}
	// The binary on this machine: on addresses that are free, and without a download.
	script := fmt.Sprintf(`#!/bin/sh
case "$1" in
up) shift; exec %[1]s up --broker %[2]s --listen %[3]s --admin %[4]s --data %[5]s "$@" ;;
broker) shift; exec %[1]s broker --address %[2]s "$@" ;;
*) exec %[1]s "$@" ;;
esac
`, program, v.kafka, v.page, v.admin, filepath.Join(v.folder, "ml-latest-small"))
	if err := os.WriteFile(filepath.Join(v.folder, "recsys-benthos"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.leave)
	return v
}

// checkout gives the folder what a checkout has that commands name.
func (v *visit) checkout() {
	v.Helper()
	for _, name := range []string{"pipelines", "config"} {
		if err := os.CopyFS(filepath.Join(v.folder, name), os.DirFS(filepath.Join(root, name))); err != nil {
			v.Fatal(err)
		}
	}
}

// follow does what the blocks say, in their order.
func (v *visit) follow(all []block) {
	v.Helper()
	for i, b := range all {
		if i > 0 && b.section != all[i-1].section {
			v.leave()
		}
		if page, ok := b.note(noteFilesOf); ok {
			for _, other := range pageBlocks(v.T, page) {
				if other.has(noteFile) {
					v.write(other)
				}
			}
		}
		switch {
		case b.has(noteFile):
			v.write(b)
		case b.has(noteReplaces):
			v.replace(b)
		case b.language != "sh" || b.has(noteNeedsServers) || b.has(noteNotRun):
		case b.has(noteLeaveRunning):
			v.start(b)
		case i+1 < len(all) && all[i+1].has(noteOutput):
			v.runUntil(b, all[i+1])
		default:
			if out, err := v.run(b); err != nil {
				v.Fatalf("%s: %v\n%s%s", b.at(), err, out, v.said())
			}
		}
	}
	v.leave()
	v.testFiles()
}

// write writes the file that a block is.
func (v *visit) write(b block) {
	v.Helper()
	name, _ := b.note(noteFile)
	path := filepath.Join(v.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(v.here(b.text)), 0o644); err != nil {
		v.Fatal(err)
	}
	if strings.HasSuffix(name, "_benthos_test.yaml") {
		v.tests = append(v.tests, name)
	}
}

// replace puts a block in the place of a resource, as a person does in an editor:
// from the line of its label to the next label, comments between them aside.
func (v *visit) replace(b block) {
	v.Helper()
	note, _ := b.note(noteReplaces)
	label, file, ok := strings.Cut(note, " in ")
	if !ok {
		v.Fatalf("%s: write <!-- replaces: LABEL in FILE -->", b.at())
	}
	path := filepath.Join(v.folder, filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	if err != nil {
		v.Fatalf("%s: %v; the page has to write the file before, as recsys-benthos init does", b.at(), err)
	}
	resource := regexp.MustCompile(`(?m)^  - label: ` + label + `\b.*\n(?:(?:   .*)?\n)*`)
	found := resource.FindAllIndex(text, -1)
	if len(found) != 1 {
		v.Fatalf("%s: %s has %d resources labelled %s, not one", b.at(), file, len(found), label)
	}
	edited := string(text[:found[0][0]]) + v.here(b.text) + "\n" + string(text[found[0][1]:])
	if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
		v.Fatal(err)
	}
}

// here is a text with the addresses of this machine for those that the
// documentation has.
func (v *visit) here(text string) string {
	addresses := []string{"127.0.0.1:9092", v.kafka, "127.0.0.1:4195", v.page, "127.0.0.1:4196", v.admin}
	return strings.NewReplacer(append(addresses, v.others...)...).Replace(text)
}

// programs are what blocks may run beside recsys-benthos. More may be asked of a
// reader, in a block that says why it is not run.
var programs = []string{
	"cat", "cd", "cp", "curl", "cut", "diff", "echo", "grep", "gunzip", "gzip", "head", "kill", "ls", "mkdir", "mv", "printf", "rm", "sed",
	"sort", "tail", "tr", "uniq", "wc",
}

// runnable returns why the commands of a block cannot be run here, if they cannot.
func runnable(b block) error {
	all, err := calls(b.text)
	if err != nil {
		return err
	}
	for _, c := range all {
		arguments, ours := c.ours()
		joined := strings.Join(arguments, " ")
		switch {
		case c.isBuild():
		case !ours && !slices.Contains(programs, c.program):
			return fmt.Errorf("%s is not run in tests; write <!-- needs servers --> or <!-- not run: why --> right above the block", c.program)
		case ours && c.program == "go":
			return fmt.Errorf("go run needs a checkout; write <!-- not run: why --> right above the block")
		case !ours || b.has(noteLeaveRunning) || len(arguments) == 0 || strings.Contains(joined, "--help"):
		case slices.Contains([]string{"broker", "streams"}, arguments[0]),
			arguments[0] == "watch" && !strings.Contains(joined, "--once"),
			arguments[0] == "up" && !strings.Contains(joined, "--until-predictions") && !strings.Contains(joined, "--for"):
			return fmt.Errorf("recsys-benthos %s does not end by itself; write <!-- leave running --> or <!-- not run: why --> right above the block", arguments[0])
		}
	}
	return nil
}

// isBuild tells the command that has been run before the tests.
func (c call) isBuild() bool {
	return c.program == "go" && slices.Equal(c.arguments, []string{"build", "./cmd/recsys-benthos"})
}

// command is a block as a shell runs it that stops at the first error.
func (v *visit) command(ctx context.Context, b block) *exec.Cmd {
	text := regexp.MustCompile(`(?m)^go build \./cmd/recsys-benthos( .*)?$`).ReplaceAllString(b.text, "")
	script := v.before + v.here(text)
	v.before += kept(v.here(text))
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir = v.folder
	return command
}

func (v *visit) environment() []string {
	return []string{
		"HOME=" + v.home, "PATH=" + v.folder + string(os.PathListSeparator) + os.Getenv("PATH"),
		"KAFKA_BROKERS=" + v.kafka, "RECSYS_LISTEN=" + v.page, "RECSYS_ADMIN=" + v.admin,
	}
}

// kept are the commands of a block that a person's next ones depend on.
func kept(text string) string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return ""
	}
	var kept strings.Builder
	for _, statement := range file.Stmts {
		exports := false
		switch command := statement.Cmd.(type) {
		case *syntax.DeclClause:
			exports = true
		case *syntax.CallExpr:
			exports = len(command.Args) > 0 && wordText(command.Args[0]) == "cd"
		}
		if exports {
			kept.WriteString(text[statement.Pos().Offset():statement.End().Offset()] + "\n")
		}
	}
	return kept.String()
}

// run runs a block to its end and returns what it prints.
func (v *visit) run(b block) (output string, err error) {
	v.Helper()
	if err := runnable(b); err != nil {
		v.Fatalf("%s: %v", b.at(), err)
	}
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	command := v.command(ctx, b)
	command.Env = append(binary.Inherited(), v.environment()...)
	command.WaitDelay = time.Second // for a child that holds the output open
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("it has not ended within %s", patience)
	}
	return string(out), err
}

// runUntil runs a block until it prints what the page shows: again and again, if
// something works beside it.
func (v *visit) runUntil(b, shown block) {
	v.Helper()
	before := v.before
	for deadline := time.Now().Add(patience); ; {
		v.before = before
		out, err := v.run(b)
		missing := missingLines(v.here(shown.text), out)
		if err == nil && missing == nil {
			return
		}
		if len(v.running) == 0 || v.ended() || time.Now().After(deadline) {
			v.Fatalf("%s: it does not print %q, as %s shows (%v); it prints:\n%s%s", b.at(), missing, shown.at(), err, out, v.said())
		}
		select {
		case <-v.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// missingLines returns the lines that an output should have and has not. In them
// … stands for anything.
func missingLines(shown, output string) (missing []string) {
	for line := range strings.Lines(shown) {
		line = strings.TrimSpace(line)
		pattern := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
		if found, _ := regexp.MatchString(`(?m)^\s*`+pattern+`\s*$`, output); line != "" && !found {
			missing = append(missing, line)
		}
	}
	return missing
}

// start leaves a block running, and waits until it is ready if the page says how
// that is seen.
func (v *visit) start(b block) {
	v.Helper()
	if err := runnable(b); err != nil {
		v.Fatalf("%s: %v", b.at(), err)
	}
	l := &left{block: b}
	command := v.command(context.WithoutCancel(v.Context()), b)
	command.Stdout, command.Stderr = &l.output, &l.output
	// A shell replaces itself by its last command only if that is its only one, so
	// that a signal would not reach the command.
	command.Args[len(command.Args)-1] = lastByExec(command.Args[len(command.Args)-1])
	process, err := binary.Start(command, v.environment()...)
	if err != nil {
		v.Fatal(err)
	}
	l.Process = process
	v.running = append(v.running, l)
	if address, _ := b.note(noteLeaveRunning); address != "" {
		v.await(l, func() error { return answers(v.here(address)) })
	}
	if all, err := calls(b.text); err == nil && slices.ContainsFunc(all, call.isBroker) {
		// It says that it listens, which is what a person waits for.
		v.await(l, func() error { return listens(v.kafka) })
	}
}

// isBroker tells the embedded broker.
func (c call) isBroker() bool {
	arguments, ours := c.ours()
	return ours && len(arguments) > 0 && arguments[0] == "broker"
}

func answers(address string) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return nil
}

func listens(address string) error {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return connection.Close()
}

// lastByExec has the last command of a script take the shell's place.
func lastByExec(script string) string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil || len(file.Stmts) == 0 {
		return script
	}
	last, ok := file.Stmts[len(file.Stmts)-1].Cmd.(*syntax.CallExpr)
	if !ok || len(last.Args) == 0 {
		return script
	}
	at := last.Args[0].Pos().Offset()
	return script[:at] + "exec " + script[at:]
}

// await waits until a block that was left running is ready.
func (v *visit) await(l *left, ready func() error) {
	v.Helper()
	for deadline := time.Now().Add(patience); ; {
		err := ready()
		if err == nil {
			return
		}
		if ended := l.Ended(); ended != nil || time.Now().After(deadline) {
			v.Fatalf("%s: it is not ready: %v, %v%s", l.block.at(), err, ended, v.said())
		}
		select {
		case <-l.Done:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// leave stops what was left running, the last first, as Ctrl-C does.
func (v *visit) leave() {
	for _, l := range slices.Backward(v.running) {
		if err := l.Ended(); err != nil {
			v.Errorf("%s: it was to run on, and it ended: %v\n%s", l.block.at(), err, l.output.Tail())
			continue
		}
		_ = l.Command.Process.Signal(syscall.SIGTERM)
		select {
		case <-l.Done:
		case <-time.After(patience / 4):
			v.Errorf("%s: it does not stop\n%s", l.block.at(), l.output.Tail())
			l.Kill()
		}
	}
	v.running = nil
}

// ended reports whether something that was to run on has ended.
func (v *visit) ended() bool {
	return slices.ContainsFunc(v.running, func(l *left) bool { return l.Ended() != nil })
}

// said is what the running blocks have printed.
func (v *visit) said() string {
	var all strings.Builder
	for _, l := range v.running {
		fmt.Fprintf(&all, "\n--- %s, left running, says:\n%s", l.block.at(), l.output.Tail())
	}
	return all.String()
}

// testFiles runs the unit tests that the page has written: the page may have
// shown another command than the one that runs them all.
func (v *visit) testFiles() {
	v.Helper()
	for _, name := range v.tests {
		b := block{page: name, language: "sh", text: "recsys-benthos test -r config/test.yaml ./" + name + "\n"}
		if out, err := v.run(b); err != nil || !strings.Contains(out, "succeeded") {
			v.Errorf("%s: its unit tests fail: %v\n%s", name, err, out)
		}
	}
}
