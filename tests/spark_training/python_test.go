//go:build spark

package sparktraining

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/sparksubmit"
	"github.com/recsys-benthos/recsys-benthos/spark"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// quickJava starts fast rather than runs fast.
const quickJava = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

const executorOptions = "spark.executor.extraJavaOptions" // the last of a launcher's is found nowhere else

// python is the interpreter that has PySpark, where PySpark's own programs look for it.
func python(t *testing.T) string {
	t.Helper()
	found := servers.ForPySparkTest(t)
	t.Setenv("PYSPARK_PYTHON", found)
	return found
}

// launcher runs the job that the program carries, with few threads and partitions,
// on ratings in parquet.
func launcher(t *testing.T, master string, all []ratings.Rating) *sparksubmit.Launcher {
	t.Helper()
	interpreter := python(t)
	return &sparksubmit.Launcher{
		Submit: filepath.Join(filepath.Dir(interpreter), "spark-submit"), Master: master,
		Conf: map[string]string{
			"spark.pyspark.python": interpreter, "spark.pyspark.driver.python": interpreter, "spark.ui.enabled": "false",
			"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g", "spark.executor.memory": "768m", "spark.driver.host": "127.0.0.1",
			"spark.driver.extraJavaOptions": quickJava, executorOptions: quickJava + " -Drecsys.test=" + t.TempDir(),
		},
		Scripts: spark.Files, Main: spark.Main, Source: sparksubmit.Source{Parquet: "file://" + writeParquet(t, all)}, Blocks: 2,
		Say: func(text string) { t.Log(text) },
	}
}

// killExecutor kills one of a launcher's executors, which are processes of a local-cluster.
func killExecutor(l *sparksubmit.Launcher) error {
	options := strings.Fields(l.Conf[executorOptions])
	mark := options[len(options)-1]
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range processes {
		text, err := os.ReadFile(path)
		args := strings.Split(string(text), "\x00")
		if err != nil || !slices.Contains(args, mark) || !slices.Contains(args, "--executor-id") { // or it has ended
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		executor, err := os.FindProcess(pid)
		if err != nil {
			return err
		}
		return executor.Kill()
	}
	return errors.New("no executor is there to be killed")
}

// parquetRating is what the job reads.
type parquetRating struct {
	User  int64   `parquet:"user_id"`
	Movie int64   `parquet:"movie_id"`
	Value float32 `parquet:"rating"`
	Time  int64   `parquet:"timestamp"` // Unix milliseconds
}

// writeParquet writes ratings as three files in a folder.
func writeParquet(t *testing.T, all []ratings.Rating) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var parts [3][]parquetRating
	for k, r := range all {
		parts[k%len(parts)] = append(parts[k%len(parts)], parquetRating{r.User, r.Movie, r.Value, r.Time})
	}
	for k, part := range parts {
		if err := parquet.WriteFile(filepath.Join(folder, fmt.Sprintf("part-%d.parquet", k)), part); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
