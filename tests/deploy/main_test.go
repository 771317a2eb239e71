// Package deploy checks what is deployed with: that the manifests of Kubernetes, the
// units of systemd and compose.yaml name settings and pipelines that there are, and run
// all of a cluster; that an image and a release can be built from what they name.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const root = "../.."

// ofOneMachine are pipelines that a cluster does not run all the time.
var ofOneMachine = []string{"simulate", "recommend_all"}

// read is a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// object is a document of YAML.
type object = map[string]any

// documents reads all documents of a file.
func documents(t *testing.T, text string) (all []object) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var one object
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// at walks into objects and lists: at(o, "spec", "containers", 0, "args").
func at(value any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			fields, _ := value.(object)
			value = fields[key]
		case int:
			list, _ := value.([]any)
			if key >= len(list) {
				return nil
			}
			value = list[key]
		}
	}
	return value
}

func texts(value any) (all []string) {
	list, _ := value.([]any)
	for _, one := range list {
		if text, ok := one.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

var reference = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)`)

// settings are the variables that pipelines, profiles and the code read.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{"GOMEMLIMIT": true, "AWS_SHARED_CREDENTIALS_FILE": true, "PIPELINES": true}
	for _, folder := range []string{"pipelines", "config", "cmd/recsys-benthos/commands"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // a folder
			}
			for _, found := range reference.FindAllSubmatch(text, -1) {
				known[string(found[1])] = true
			}
			for _, found := range regexp.MustCompile(`"((?:RECSYS|KAFKA|CASSANDRA|ELASTICSEARCH|KIBANA)_[A-Z0-9_]+)"`).FindAllSubmatch(text, -1) {
				known[string(found[1])] = true
			}
		}
	}
	return known
}

// checkSetting demands that a variable is read by something.
func checkSetting(t *testing.T, known map[string]bool, name, where string) {
	t.Helper()
	if !known[name] && !known[strings.TrimSuffix(name, "_FILE")] {
		t.Errorf("%s sets %s, which nothing reads", where, name)
	}
}

// ofCluster are the pipelines that a cluster runs.
func ofCluster(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "pipelines", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if !strings.HasSuffix(name, "_benthos_test") && !slices.Contains(ofOneMachine, name) {
			all = append(all, name)
		}
	}
	return all
}

// checkRun demands that the arguments name pipelines and profiles that there are, and
// notes the pipelines in run.
func checkRun(t *testing.T, args []string, where string, run map[string]bool) {
	t.Helper()
	for _, arg := range args {
		if !strings.HasSuffix(arg, ".yaml") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, arg)); err != nil {
			t.Errorf("%s runs %s, which there is not", where, arg)
		}
		if name, ok := strings.CutPrefix(arg, "pipelines/"); ok {
			run[strings.TrimSuffix(name, ".yaml")] = true
		}
	}
}
