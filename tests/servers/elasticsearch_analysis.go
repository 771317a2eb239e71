package servers

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed analysis/Analysis.java
var analysisSource []byte

const analysisDescriptor = `description=what the index of API keys needs
name=analysis
classname=recsys.Analysis
version=1
java.version=17
elasticsearch.version=%s
`

// addAnalysis compiles the plugin into a cluster's home.
func addAnalysis(home string, runtime java) error {
	folder := filepath.Join(home, "plugins", "analysis")
	source, classes := filepath.Join(home, "tmp", "Analysis.java"), filepath.Join(home, "tmp", "classes")
	version := strings.TrimPrefix(elasticsearchRelease.name, "elasticsearch-")
	if err := errors.Join(
		os.MkdirAll(folder, 0o755), os.MkdirAll(classes, 0o755), os.WriteFile(source, analysisSource, 0o644),
		os.WriteFile(filepath.Join(folder, "plugin-descriptor.properties"), fmt.Appendf(nil, analysisDescriptor, version), 0o644),
	); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"javac", "-proc:none", "-cp", filepath.Join(home, "lib", "*"), "-d", classes, source},
		{"jar", "--create", "--file", filepath.Join(folder, "analysis.jar"), "-C", classes, "."},
	} {
		if out, err := exec.Command(filepath.Join(runtime.home, "bin", args[0]), args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("running %s, for API keys: %w\n%s", args[0], err, lastLines(out, 20))
		}
	}
	return nil
}
