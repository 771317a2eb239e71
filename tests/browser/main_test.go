// Package browser opens the live page of the built binary in headless Chromium
// and looks at it as a person does: that every panel fills, that its numbers are
// those of the snapshot, that it follows new models, survives a lost connection,
// fits a phone, asks nobody else for anything, and shows hostile text as text.
// Nothing here needs the internet. With RECSYS_SCREENSHOTS=DIR the screenshots
// are kept there, otherwise where -artifacts of go test keeps them.
package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if chromium() == "" && os.Getenv("CI") != "true" {
		return m.Run() // every test is going to be skipped
	}
	folder, err := os.MkdirTemp("", "recsys-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "recsys-benthos")
	build := exec.Command("go", "build", "-o", binary, "github.com/recsys-benthos/recsys-benthos/cmd/recsys-benthos")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}
