package docs

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// program is the binary that the commands of the documentation are run with.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	// Following a page is mostly waiting: four at once take half the time of two.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return binary.Main(m, &program)
}
