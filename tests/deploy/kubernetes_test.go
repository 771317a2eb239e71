package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const manifests = "deploy/kubernetes"

// objects are all manifests by kind.
func objects(t *testing.T) map[string][]object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, manifests, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	all := map[string][]object{}
	for _, file := range files {
		for _, one := range documents(t, read(t, manifests, filepath.Base(file))) {
			kind := fmt.Sprint(one["kind"])
			all[kind] = append(all[kind], one)
		}
	}
	return all
}

func name(o object) string { return fmt.Sprint(at(o, "metadata", "name")) }

func TestKubernetesRunsEveryPipelineWithSettingsThatThereAre(t *testing.T) {
	all, known, run := objects(t), settings(t), map[string]bool{}
	given := at(all["ConfigMap"][0], "data").(object)
	for setting := range given {
		checkSetting(t, known, setting, "ConfigMap")
	}
	for _, d := range all["Deployment"] {
		container := at(d, "spec", "template", "spec", "containers", 0)
		args := texts(at(container, "args"))
		checkRun(t, args, name(d), run)
		if args[0] != "streams" || args[1] != "--no-api" {
			t.Errorf("%s runs %v: its admin server would be open or refused", name(d), args[:2])
		}
		variables, _ := at(container, "env").([]any)
		for i := range variables {
			checkSetting(t, known, fmt.Sprint(at(variables, i, "name")), name(d))
		}
	}
	for _, pipeline := range ofCluster(t) {
		if !run[pipeline] {
			t.Errorf("no deployment runs pipelines/%s.yaml", pipeline)
		}
	}
}

// TestPodsHaveNoRightsAndBudgets looks at what the restricted level and a drained node
// ask for.
func TestPodsHaveNoRightsAndBudgets(t *testing.T) {
	all := objects(t)
	budgets := map[string]bool{}
	for _, b := range all["PodDisruptionBudget"] {
		budgets[fmt.Sprint(at(b, "spec", "selector", "matchLabels"))] = true
	}
	for _, d := range append(all["Deployment"], all["Job"]...) {
		pod := at(d, "spec", "template", "spec")
		container := at(pod, "containers", 0)
		for what, ok := range map[string]bool{
			"runs as root":                       at(pod, "securityContext", "runAsNonRoot") == true,
			"has a token of the service account": at(pod, "automountServiceAccountToken") == false,
			"can write to its image":             at(container, "securityContext", "readOnlyRootFilesystem") == true,
			"can gain rights":                    at(container, "securityContext", "allowPrivilegeEscalation") == false,
			"has capabilities":                   fmt.Sprint(at(container, "securityContext", "capabilities", "drop")) == "[ALL]",
			"has no seccomp profile":             at(pod, "securityContext", "seccompProfile", "type") == "RuntimeDefault",
			"asks for no memory":                 at(container, "resources", "requests", "memory") != nil,
			"is not bounded in memory":           at(container, "resources", "limits", "memory") == at(container, "resources", "requests", "memory"),
		} {
			if !ok {
				t.Errorf("%s %s %s", d["kind"], name(d), what)
			}
		}
	}
	for _, d := range all["Deployment"] {
		labels := at(d, "spec", "selector", "matchLabels")
		if !budgets[fmt.Sprint(labels)] {
			t.Errorf("%s has no disruption budget", name(d))
		}
		if fmt.Sprint(labels) != fmt.Sprint(at(d, "spec", "template", "metadata", "labels")) {
			t.Errorf("%s does not select its pods", name(d))
		}
		container := at(d, "spec", "template", "spec", "containers", 0)
		ports := map[string]bool{}
		listed, _ := at(container, "ports").([]any)
		for i := range listed {
			ports[fmt.Sprint(at(listed, i, "name"))] = true
		}
		for _, probe := range []string{"readinessProbe", "livenessProbe"} {
			if port := fmt.Sprint(at(container, probe, "httpGet", "port")); !ports[port] {
				t.Errorf("the %s of %s asks port %s, which the pod does not have", probe, name(d), port)
			}
		}
		if path := at(container, "livenessProbe", "httpGet", "path"); path != "/ping" {
			t.Errorf("%s is restarted by %v, which an outage fails", name(d), path)
		}
	}
	scaled := map[string]bool{}
	for _, h := range all["HorizontalPodAutoscaler"] {
		scaled[fmt.Sprint(at(h, "spec", "scaleTargetRef", "name"))] = true
	}
	for _, d := range all["Deployment"] {
		if replicas := at(d, "spec", "replicas"); scaled[name(d)] == (replicas != nil) {
			t.Errorf("%s has replicas %v, and is scaled %t: one of the two", name(d), replicas, scaled[name(d)])
		}
	}
	if len(scaled) == 0 || len(all["NetworkPolicy"]) == 0 {
		t.Error("nothing is scaled or fenced in")
	}
}

// validator is the tool with Kubernetes's published schemas, and its version.
const validator = "kubernetes-validate==1.37.0"

func TestManifestsFitKubernetesSchemas(t *testing.T) {
	tool := validate(t)
	files, err := filepath.Glob(filepath.Join(root, manifests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.29", "1.37"} {
		output, err := exec.Command(tool, append([]string{"-k", version, "--strict"}, files...)...).CombinedOutput()
		if err != nil {
			t.Errorf("Kubernetes %s: %v\n%s", version, err, output)
		}
		if n := strings.Count(string(output), " passed "); n < 2*len(files)-4 {
			t.Errorf("Kubernetes %s: only %d objects were looked at\n%s", version, n, output)
		}
	}
	wrong := filepath.Join(t.TempDir(), "wrong.yaml")
	text := strings.Replace(read(t, manifests, "40-predict.yaml"), "minReadySeconds:", "minReadySecond:", 1)
	if err := os.WriteFile(wrong, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(tool, "-k", "1.37", "--strict", wrong).CombinedOutput(); err == nil {
		t.Errorf("a misspelt field passes: %s", output)
	}
}

// validate installs the validator from PyPI and returns its path.
func validate(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, command := range [][]string{
		{"python3", "-m", "venv", dir},
		{filepath.Join(dir, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", validator},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: %v\n%s", command, err, output)
			}
			t.Skipf("SKIPPED: %s cannot be installed here: %v: %v\n%s", validator, command, err, output)
		}
	}
	return filepath.Join(dir, "bin", "kubernetes-validate")
}
