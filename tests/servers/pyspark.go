package servers

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// pySparkFetch is the longest that fetching PySpark may take, which is 434 MB.
const pySparkFetch = 20 * time.Minute

// ForPySparkTest returns a Python interpreter that has PySpark, from the cache, where
// it puts it the first time. It skips the test if PySpark cannot run here; it fails the
// test instead if the environment says CI=true or RECSYS_REQUIRE_SERVERS=1.
func ForPySparkTest(t testing.TB) (interpreter string) {
	t.Helper()
	if _, err := findJava(); err != nil {
		need(t, err.Error())
	}
	if _, err := exec.LookPath("python3"); err != nil {
		need(t, "python3 with venv: install it (Debian: apt-get install python3-venv)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), pySparkFetch)
	defer cancel()
	python, err := FetchPython(ctx, PySpark...)
	if err != nil {
		need(t, "PySpark, from Python's package registry: "+err.Error())
	}
	return python
}
