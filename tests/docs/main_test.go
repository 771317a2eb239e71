package docs

import (
	"os"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// program is the binary that the commands of the documentation are run with.
var program string

func TestMain(m *testing.M) { os.Exit(binary.Main(m, &program)) }
