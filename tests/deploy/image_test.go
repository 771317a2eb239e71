package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheImagesBuildStepBuildsFromWhatItIsGiven does what the Dockerfile does, without a
// container: it copies what .dockerignore lets through, runs the very command, and looks
// for the files that later steps copy.
func TestTheImagesBuildStepBuildsFromWhatItIsGiven(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	build := regexp.MustCompile(`(?s)RUN (CGO_ENABLED=0 go build .*?) \\\n &&`).FindStringSubmatch(dockerfile)
	if build == nil {
		t.Fatal("the Dockerfile builds nothing")
	}
	context := t.TempDir()
	ignored := strings.Fields(read(t, ".dockerignore"))
	tracked, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
next:
	for file := range strings.Lines(string(tracked)) {
		file = strings.TrimSpace(file)
		for _, left := range ignored {
			if file == left || strings.HasPrefix(file, left+"/") {
				continue next
			}
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(context, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(t.TempDir(), "recsys-benthos")
	command := exec.Command("sh", "-c", strings.ReplaceAll(build[1], "/out/recsys-benthos", binary))
	command.Dir = context
	command.Env = append(os.Environ(), "VERSION=9.8.7")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build[1], err, output)
	}
	if output, err := exec.Command(binary, "--version").CombinedOutput(); err != nil || !strings.Contains(string(output), "9.8.7") {
		t.Errorf("--version says %q, %v", output, err)
	}
	for _, copied := range regexp.MustCompile(`(?m)^COPY (\S+) /app/`).FindAllStringSubmatch(dockerfile, -1) {
		if _, err := os.Stat(filepath.Join(context, copied[1])); err != nil {
			t.Errorf("the image copies %s, which .dockerignore keeps out", copied[1])
		}
	}
}
