package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const units = "deploy/systemd"

// TestUnitsAreThoseThatSystemdReads has systemd's own tool look at them: their fields,
// and how much a process could do.
func TestUnitsAreThoseThatSystemdReads(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: systemd-analyze is not here (apt-get install systemd)")
	}
	known := settings(t)
	for file, instance := range map[string]string{"recsys-benthos.service": "recsys-benthos.service", "recsys-benthos@.service": "recsys-benthos@predict.service"} {
		text := read(t, units, file)
		for _, set := range regexp.MustCompile(`(?m)^Environment=([A-Z_]+)=`).FindAllStringSubmatch(text, -1) {
			checkSetting(t, known, set[1], file)
		}
		// The program has to be there for the check; which one it is does not matter.
		path := filepath.Join(t.TempDir(), instance)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/local/bin/recsys-benthos", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(output), instance) {
			t.Errorf("%s: %v\n%s", file, err, output)
		}
		if output, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=15", path).CombinedOutput(); err != nil {
			t.Errorf("%s is exposed to more than 1.5 of 10: %v\n%s", file, err, output)
		}
	}
}
