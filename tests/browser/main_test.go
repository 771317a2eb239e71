// Package browser opens the live page of the built binary in headless Chromium
// and looks at it as a person does: that every panel fills, that its numbers are
// those of the snapshot, that it follows new models, survives a lost connection,
// fits a phone, asks nobody else for anything, and shows hostile text as text.
// Nothing here needs the internet. With RECSYS_SCREENSHOTS=DIR the screenshots
// are kept there, otherwise where -artifacts of go test keeps them.
package browser

import (
	"os"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// program is the path of the binary under test, built once.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if chromium() == "" && os.Getenv("CI") != "true" {
		return m.Run() // every test is going to be skipped
	}
	return binary.Main(m, &program)
}
