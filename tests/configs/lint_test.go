package configs

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// profile is a file of resources and the variables that point it at fixtures.
type profile struct {
	file        string
	environment map[string]string
}

func profiles(t *testing.T) map[string]profile {
	return map[string]profile{
		"test": {"config/test.yaml", map[string]string{"TMPDIR": t.TempDir()}},
		"embedded": {"config/embedded.yaml", map[string]string{
			"RECSYS_STATE":    t.TempDir(),
			"RECSYS_MOVIES":   "config/fixtures/movielens",
			"RECSYS_REGISTRY": "file://./" + registryFixture,
		}},
		"cluster": {"config/cluster.yaml", nil},
	}
}

// yamlFiles returns the paths of the YAML files of a folder.
func yamlFiles(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no YAML in %s: %v", folder, err)
	}
	return paths
}

// pipelineFiles returns the paths of the pipelines, without their tests.
func pipelineFiles(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, path := range yamlFiles(t, "pipelines") {
		if !strings.HasSuffix(path, "_benthos_test.yaml") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestEveryShippedConfigurationPassesOurLinter(t *testing.T) {
	for name, p := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"lint", "--deprecated", "-r", p.file}, yamlFiles(t, "pipelines")...)
			args = append(args, yamlFiles(t, "config")...)
			if out, code := command(t, p.environment, args...); code != 0 || out != "" {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
	}
}

func TestEveryPipelineTestPassesWithoutServers(t *testing.T) {
	tests, err := filepath.Glob("pipelines/*_benthos_test.yaml")
	if err != nil || len(tests) == 0 {
		t.Fatal("no pipeline has tests", err)
	}
	for name, p := range profiles(t) {
		if name == "cluster" {
			continue // its catalog is in Cassandra: tests/cluster
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := command(t, p.environment, "test", "-r", p.file, "./pipelines/...")
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
			for _, test := range tests {
				pipeline := strings.TrimSuffix(test, "_benthos_test.yaml") + ".yaml"
				if !strings.Contains(out, "Test '"+pipeline+"' succeeded") {
					t.Errorf("%s was not tested: %s", pipeline, out)
				}
			}
		})
	}
}

func TestEveryPipelineWithProcessorsHasTests(t *testing.T) {
	for _, path := range pipelineFiles(t) {
		pipeline := readPipeline(t, path)
		if _, err := os.Stat(strings.TrimSuffix(path, ".yaml") + "_benthos_test.yaml"); err != nil && len(pipeline.Pipeline.Processors) > 0 {
			t.Errorf("%s has processors and no tests: %v", path, err)
		}
	}
}

// TestAPipelineTestThatExpectsSomethingElseFails: a test command that always
// succeeds would show nothing.
func TestAPipelineTestThatExpectsSomethingElseFails(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"x.yaml":              "pipeline:\n  processors:\n    - rating_event: {}\n",
		"x_benthos_test.yaml": "tests:\n  - name: wrong\n    input_batch:\n      - content: hello\n    output_batches:\n      - - bloblang: '!errored()'\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := profiles(t)["test"]
	if out, code := command(t, maps.Clone(p.environment), "test", "-r", p.file, folder+"/..."); code == 0 || !strings.Contains(out, "bloblang expression was false") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
