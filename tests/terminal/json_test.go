package terminal

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryCommandPrintsJSON(t *testing.T) {
	f := prepared(t)
	admin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer admin.Close()
	folder := t.TempDir()
	own := func(name string) string { return filepath.Join(folder, name) }
	// Those that change roles have a registry of their own.
	changing := "file://" + own("registry")
	must(t, "train", "--ratings", f.data, "--registry", changing, "--rank", "2", "--iterations", "2", "--preference-rank", "0")
	must(t, "models", "export", "--registry", f.registry, "champion", own("champion.tar"))
	version := champion(t, f)
	for _, args := range [][]string{
		{"init", "--json", own("init")},
		{"train", "--ratings", f.data, "--registry", changing, "--rank", "3", "--iterations", "2", "--json"},
		{"eval", "--ratings", f.data, "--rank", "3", "--iterations", "2", "--json"},
		{"eval", "--ratings", f.data, "--rank", "3", "--iterations", "2", "--splits", "2", "--json"},
		{"eval", "--ratings", f.data, "--rank", "3", "--iterations", "2", "--replay", "--json"},
		{"models", "list", "--registry", f.registry, "--json"},
		{"models", "show", "--registry", f.registry, "--json"},
		{"models", "show", "--registry", f.registry, "--diagnose", "--json"},
		{"models", "compare", "--registry", f.registry, "--json", "champion", "champion"},
		{"models", "log", "--registry", f.registry, "--json"},
		{"models", "verify", "--registry", f.registry, "--json"},
		{"models", "export", "--registry", f.registry, "--json", "champion", own("again.tar")},
		{"models", "import", "--registry", changing, "--json", own("champion.tar")},
		{"models", "export", "--registry", f.registry, "--format", "spark", "--json", "champion", own("als-model")},
		{"models", "import", "--registry", changing, "--format", "spark", "--json", own("als-model")},
		{"models", "challenge", "--registry", changing, "--name", "new", "--json", version},
		{"models", "withdraw", "--registry", changing, "--json", "new"},
		{"models", "promote", "--registry", changing, "--force", "--json", version},
		{"models", "rollback", "--registry", changing, "--json"},
		{"models", "prune", "--registry", changing, "--keep", "1", "--json"},
		{"predict", "--user", "1", "--movie", "2", "--registry", f.registry, "--json"},
		{"recommend", "--user", "1", "--registry", f.registry, "--data", f.data, "--json"},
		{"recommend", "--all", "--out", own("lists.jsonl"), "--registry", f.registry, "--data", f.data, "--json"},
		{"health", "--admin", strings.TrimPrefix(admin.URL, "http://"), "--json"},
		{"doctor", "--admin", "127.0.0.1:1", "--listen", "127.0.0.1:1", "--json"},
	} {
		got := run(t, nil, args...)
		if got.code != 0 {
			t.Errorf("%q ended with %d\n%s", args, got.code, got.stderr)
			continue
		}
		lines := 0
		for scanner := bufio.NewScanner(strings.NewReader(got.stdout)); scanner.Scan(); lines++ {
			if !json.Valid(scanner.Bytes()) {
				t.Errorf("%q prints %q", args, scanner.Text())
			}
		}
		if lines == 0 {
			t.Errorf("%q prints nothing", args)
		}
	}
}

func must(t *testing.T, args ...string) ran {
	t.Helper()
	got := run(t, nil, args...)
	if got.code != 0 {
		t.Fatalf("%q ended with %d\n%s", args, got.code, got.stderr)
	}
	return got
}

// champion is the version that serves.
func champion(t *testing.T, f fixture) string {
	t.Helper()
	var manifest struct{ Version string }
	if err := json.Unmarshal([]byte(must(t, "models", "show", "--registry", f.registry, "--json").stdout), &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest.Version
}
