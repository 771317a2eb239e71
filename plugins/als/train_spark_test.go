//go:build spark && unix

package als

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// sparkTrainer returns a trainer whose engine is real PySpark, with a checkpoint in
// every third iteration. Its spark-submit writes its pid into a file first, which is
// that of its process group too.
func sparkTrainer(t *testing.T) (trainer *trainer, pids, checkpoints string) {
	t.Helper()
	python := servers.ForPySparkTest(t)
	t.Setenv("PYSPARK_PYTHON", python) // PySpark's own programs look for it there
	dir := t.TempDir()
	pids, checkpoints = filepath.Join(dir, "pids"), filepath.Join(dir, "checkpoints")
	all := recsystest.Ratings(60, 40, 0.4, 1)
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintf(&text, "%d,%d,%v,%d\n", r.User, r.Movie, r.Value, r.Time)
	}
	submit := "#!/bin/sh\necho $$ >> '" + pids + "'\nexec '" + filepath.Join(filepath.Dir(python), "spark-submit") + "' \"$@\"\n"
	for name, content := range map[string]string{"ratings.csv": text.String(), "submit": submit} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store := recsystest.NewMemoryStore()
	if err := store.Apply(t.Context(), ratings.Changes{Ratings: all}); err != nil {
		t.Fatal(err)
	}
	mgr := service.MockResources(service.MockResourcesOptAddCache("rating_store"))
	mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, ratings.Store(store))
	conf, err := trainSpec().ParseYAML(fmt.Sprintf(`
registry: file://%[1]s/registry
algorithm: als
parameters: {rank: 4, iterations: 4}
engine:
  spark:
    submit: %[1]s/submit
    master: local[1]
    conf:
      spark.pyspark.python: %[2]s
      spark.pyspark.driver.python: %[2]s
      spark.ui.enabled: "false"
      spark.driver.host: 127.0.0.1
      spark.driver.extraJavaOptions: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
      spark.sql.shuffle.partitions: "1"
    ratings: {csv: "file://%[1]s/ratings.csv"}
    blocks: 1
    checkpoint: %[3]s
`, dir, python, checkpoints), nil)
	if err != nil {
		t.Fatal(err)
	}
	if trainer, err = newTrainer(conf, mgr); err != nil {
		t.Fatal(err)
	}
	return trainer, pids, checkpoints
}

// isMade waits until a file is there of which something is known: the job takes minutes
// on a machine with other work.
func isMade(t *testing.T, pattern string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Minute); ; {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not appear", pattern)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestAKilledSparkDriverLeavesTheRegistryAndTheTriggerTriesAgain kills the driver when
// it has a checkpoint, in the middle of its iterations.
func TestAKilledSparkDriverLeavesTheRegistryAndTheTriggerTriesAgain(t *testing.T) {
	trainer, pids, checkpoints := sparkTrainer(t)
	said := make(chan string, 1)
	go func() { said <- outcome(t, trainer, `{"trigger":"kafka"}`) }()
	isMade(t, filepath.Join(checkpoints, "*", "rdd-*"))
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	leader, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	report, err := trainer.registry.Verify(t.Context())
	if err != nil || report.Versions != 0 || report.Promotions != 0 || len(report.Problems)+len(report.Warnings) > 0 {
		t.Errorf("after the kill the registry is %+v, %v", report, err)
	}
	if got := <-said; got != outcomePromoted {
		t.Fatalf("the trigger led to %q", got)
	}
	if text, err := os.ReadFile(pids); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("spark-submit was started for %q, %v; want twice", text, err)
	}
	report, err = trainer.registry.Verify(t.Context())
	if err != nil || report.Versions != 1 || report.Promotions != 1 || len(report.Problems)+len(report.Warnings) > 0 {
		t.Errorf("after the second attempt the registry is %+v, %v", report, err)
	}
	versions, err := trainer.registry.List()
	if err != nil || len(versions) != 1 || versions[0].Metrics.RMSE <= 0 || versions[0].Metrics.RMSE > 1 || versions[0].Fence < 1 ||
		versions[0].Trigger != "kafka" || !strings.Contains(versions[0].Tool, "train_als.py on Spark") {
		t.Errorf("versions %+v, %v", versions, err)
	}
}
