package recsystest

import (
	"os"
	"path/filepath"
	"testing"
)

// DataDir returns the folder of MovieLens ml-latest-small, which RECSYS_DATA
// names, itself or by its parent. Without RECSYS_DATA it skips the test, but
// where CI=true it fails: there, a test that was not run must not look like one
// that passed.
func DataDir(t testing.TB) string {
	t.Helper()
	root := os.Getenv("RECSYS_DATA")
	if root == "" {
		const message = "RECSYS_DATA is not set: set it to the folder of MovieLens ml-latest-small " +
			"(https://files.grouplens.org/datasets/movielens/ml-latest-small.zip, unpacked)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip("SKIPPED, NOT TESTED: " + message)
	}
	for _, folder := range []string{root, filepath.Join(root, "ml-latest-small")} {
		if _, err := os.Stat(filepath.Join(folder, "ratings.csv")); err == nil {
			return folder
		}
	}
	t.Fatalf("RECSYS_DATA=%s: neither it nor its folder ml-latest-small holds ratings.csv", root)
	return ""
}
