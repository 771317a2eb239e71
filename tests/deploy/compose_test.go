package deploy

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestComposeRunsEveryPipelineWithSettingsThatThereAre(t *testing.T) {
	services := at(documents(t, read(t, "compose.yaml"))[0], "services").(object)
	known, run := settings(t), map[string]bool{}
	for _, service := range slices.Sorted(maps.Keys(services)) {
		variables, _ := at(services[service], "environment").(object)
		if at(services[service], "build") == nil {
			continue // a server
		}
		for variable := range variables {
			if variable != "<<" {
				checkSetting(t, known, variable, service)
			}
		}
		checkRun(t, texts(at(services[service], "command")), service, run)
	}
	for _, pipeline := range ofCluster(t) {
		if !run[pipeline] {
			t.Errorf("no service of compose.yaml runs pipelines/%s.yaml", pipeline)
		}
	}
}

// TestServersOfComposeAreThoseThatAreTested compares major and minor versions.
func TestServersOfComposeAreThoseThatAreTested(t *testing.T) {
	compose, tested := read(t, "compose.yaml"), read(t, "tests", "servers", "cache.go")
	for image, name := range map[string]string{"apache/kafka": "kafka", "cassandra": "cassandra", "elasticsearch/elasticsearch": "elasticsearch"} {
		used := regexp.MustCompile(`image: \S*` + image + `:(\d+\.\d+)`).FindStringSubmatch(compose)
		if used == nil || !strings.Contains(tested, `"`+name+"-"+used[1]+".") {
			t.Errorf("%s: compose.yaml has %v, which is not what tests/servers starts", image, used)
		}
	}
}

// TestVersionsAgree: manifests, Dockerfile, code and changes name one version, and the
// toolchain of the image is that of go.mod.
func TestVersionsAgree(t *testing.T) {
	newest := regexp.MustCompile(`(?m)^## (\S+)`).FindStringSubmatch(read(t, "CHANGELOG.md"))[1]
	for where, text := range map[string]string{
		"Dockerfile": read(t, "Dockerfile"), "cmd/recsys-benthos/commands/app.go": read(t, "cmd", "recsys-benthos", "commands", "app.go"),
		manifests + "/40-predict.yaml": read(t, manifests, "40-predict.yaml"),
	} {
		if !strings.Contains(text, newest) {
			t.Errorf("%s does not have the version %s of CHANGELOG.md", where, newest)
		}
	}
	needed := regexp.MustCompile(`(?m)^go (\d+\.\d+)\.(\d+)$`).FindStringSubmatch(read(t, "go.mod"))
	image := regexp.MustCompile(`golang:(\d+\.\d+)\.(\d+)-`).FindStringSubmatch(read(t, "Dockerfile"))
	if needed == nil || image == nil || needed[1] != image[1] || atoi(t, image[2]) < atoi(t, needed[2]) {
		t.Errorf("go.mod wants %v, and the Dockerfile has %v", needed, image)
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
