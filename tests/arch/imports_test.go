// Package arch keeps imports going one way: cmd → plugins → internal.
package arch

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module  = "github.com/recsys-benthos/recsys-benthos"
	benthos = "github.com/redpanda-data/benthos"
	root    = "../.."
)

// violation says what is wrong with a file in the given folder (relative to the
// root) that imports path, or "".
func violation(folder, path string) string {
	imported, ours := strings.CutPrefix(path, module+"/")
	switch {
	case under(folder, "internal") && (path == benthos || strings.HasPrefix(path, benthos+"/")):
		return "internal is to be usable without Benthos"
	case folder == "client" && strings.Contains(strings.SplitN(path, "/", 2)[0], "."):
		return "the client is the standard library only, so that it costs who imports it nothing"
	case !ours:
		return ""
	case under(folder, "internal") && under(imported, "plugins"):
		return "plugins import internal, not the other way round"
	case under(imported, "cmd") && !under(folder, "cmd"):
		return "nothing imports the command"
	case under(folder, "plugins") && under(imported, "plugins") && folder != "plugins/all" && feature(folder) != feature(imported):
		return "plugins meet in internal, not in each other"
	}
	return ""
}

func under(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// feature is the folder of one plugin package: plugins/als.
func feature(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// check returns the violations of a source file. A test of a plugin may import
// other plugins, as a user's pipeline has several; it stands outside of its
// package, as x_test.
func check(folder, name string, source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	outside := strings.HasSuffix(name, "_test.go") && strings.HasSuffix(file.Name.Name, "_test")
	if outside && folder == "client" {
		return nil, nil // asks a real server
	}
	outside = outside && under(folder, "plugins")
	var found []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if outside && strings.HasPrefix(path, module+"/plugins/") {
			continue
		}
		if reason := violation(folder, path); reason != "" {
			found = append(found, fmt.Sprintf("%s/%s imports %s: %s", folder, name, path, reason))
		}
	}
	return found, nil
}

func TestImportsGoOneWay(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && len(name) > 2 {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		found, err := check(filepath.ToSlash(folder), entry.Name(), source)
		for _, problem := range found {
			t.Error(problem)
		}
		files++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
}

// TestEveryPluginIsBuiltIn: what plugins/all does not import, no binary has.
func TestEveryPluginIsBuiltIn(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, "plugins/all/all.go"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "all.go", source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var imported []string
	for _, spec := range file.Imports {
		imported = append(imported, spec.Path.Value)
	}
	folders, err := os.ReadDir(filepath.Join(root, "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if path := strconv.Quote(module + "/plugins/" + folder.Name()); folder.IsDir() && folder.Name() != "all" && !slices.Contains(imported, path) {
			t.Errorf("plugins/all does not import %s", path)
		}
	}
}

// TestTopLevelFoldersAreTheseOnly: others import client and nothing else.
func TestTopLevelFoldersAreTheseOnly(t *testing.T) {
	allowed := []string{"client", "cmd", "config", "deploy", "docs", "internal", "pipelines", "plugins", "spark", "tests"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if files, _ := filepath.Glob(filepath.Join(root, entry.Name(), "*")); entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && len(files) > 0 {
			found = append(found, entry.Name())
		}
	}
	if found = slices.DeleteFunc(found, func(name string) bool { return name == "recsys-data" || name == "dist" }); !slices.Equal(found, allowed) { // of up and deploy/release.sh
		t.Errorf("top-level folders are %v, want %v", found, allowed)
	}
}

func TestTheCheckFindsWhatIsNotAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		folder, file, source string
		want                 string // the reason; empty: allowed
	}{
		"internal imports Benthos": {
			"internal/als", "x.go", `package als; import "github.com/redpanda-data/benthos/v4/public/service"`,
			"internal is to be usable without Benthos",
		},
		"a test in internal imports Benthos": {
			"internal/als", "x_test.go", `package als_test; import _ "github.com/redpanda-data/benthos/v4/public/bloblang"`,
			"internal is to be usable without Benthos",
		},
		"internal imports a plugin": {
			"internal/model", "x.go", `package model; import "` + module + `/plugins/als"`,
			"plugins import internal, not the other way round",
		},
		"internal imports the command": {
			"internal/model", "x.go", `package model; import "` + module + `/cmd/recsys-benthos/commands"`,
			"nothing imports the command",
		},
		"internal imports internal": {"internal/model", "x.go", `package model; import "` + module + `/internal/als"`, ""},
		"a plugin imports another": {
			"plugins/als", "x.go", `package als; import _ "` + module + `/plugins/sqlite"`,
			"plugins meet in internal, not in each other",
		},
		"a plugin's folder imports another plugin": {
			"plugins/dashboard/web", "x.go", `package web; import "` + module + `/plugins/als"`,
			"plugins meet in internal, not in each other",
		},
		"a plugin's own test imports another": {
			"plugins/als", "x_test.go", `package als; import _ "` + module + `/plugins/sqlite"`,
			"plugins meet in internal, not in each other",
		},
		"a plugin's outside test imports another": {"plugins/deadletter", "x_test.go", `package deadletter_test; import _ "` + module + `/plugins/kafka"`, ""},
		"a plugin imports its own folder":         {"plugins/dashboard", "x.go", `package dashboard; import "` + module + `/plugins/dashboard/web"`, ""},
		"a plugin imports internal and Benthos":   {"plugins/als", "x.go", `package als; import ("` + module + `/internal/als"; "github.com/redpanda-data/benthos/v4/public/service")`, ""},
		"the list of all plugins":                 {"plugins/all", "all.go", `package all; import _ "` + module + `/plugins/als"`, ""},
		"a test imports the command": {
			"tests/e2e", "x_test.go", `package e2e; import "` + module + `/cmd/recsys-benthos/commands"`,
			"nothing imports the command",
		},
		"the command imports its own": {"cmd/recsys-benthos", "main.go", `package main; import "` + module + `/cmd/recsys-benthos/commands"`, ""},
		"the client imports a module": {
			"client", "x.go", `package client; import "` + module + `/internal/api"`,
			"the client is the standard library only, so that it costs who imports it nothing",
		},
		"the client imports the standard library": {"client", "x.go", `package client; import "net/http"`, ""},
		"the client's test asks a server":         {"client", "x_test.go", `package client_test; import "` + module + `/tests/serving"`, ""},
		"a module of a similar name":              {"internal/als", "x.go", `package als; import "github.com/redpanda-data/benthosaurus"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := check(c.folder, c.file, []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.HasSuffix(found[0], ": "+c.want)) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
