package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// PySpark are the packages of Spark, with numpy, which its recommender and our job want.
var PySpark = []string{"pyspark==4.0.1", "numpy==2.2.6"}

// sparkKafka is what Spark reads and writes Kafka with, beside its own jars.
var sparkKafka = release{name: "spark-kafka-4.0.1", dependencies: []string{
	"org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.1:jar", "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0:jar",
	"org.apache.kafka:kafka-clients:3.9.1:jar", "org.apache.commons:commons-pool2:2.12.0:jar",
}}

// sparkCassandra is what Spark reads Cassandra with, beside its own jars.
var sparkCassandra = release{name: "spark-cassandra-3.5.1", dependencies: []string{
	"com.datastax.spark:spark-cassandra-connector_2.13:3.5.1:jar", "com.datastax.spark:spark-cassandra-connector-driver_2.13:3.5.1:jar",
	"org.apache.cassandra:java-driver-core-shaded:4.18.1:jar", "org.apache.cassandra:java-driver-mapper-runtime:4.18.1:jar",
	"org.apache.cassandra:java-driver-query-builder:4.18.1:jar", "com.datastax.oss:native-protocol:1.5.1:jar",
	"com.datastax.oss:java-driver-shaded-guava:25.1-jre-graal-sub-1:jar", "com.typesafe:config:1.4.1:jar",
	"org.hdrhistogram:HdrHistogram:2.1.12:jar", "org.reactivestreams:reactive-streams:1.0.3:jar",
}}

// Spark is Apache Spark with a Python of its own.
type Spark struct {
	Python string // path of the interpreter
	Jars   string // of Kafka's source and sink, for spark.jars
}

// FetchSpark returns Spark from the cache, where it puts it the first time. It
// needs python3 with venv, Java 17 and Maven.
func FetchSpark(ctx context.Context) (Spark, error) {
	jars, err := sparkJars(ctx, sparkKafka)
	if err != nil {
		return Spark{}, err
	}
	python, err := FetchPython(ctx, PySpark...)
	if err != nil {
		return Spark{}, err
	}
	return Spark{python, jars}, nil
}

// FetchSparkCassandra returns the jars of Cassandra's connector, for spark.jars, from
// the cache, where it puts them the first time.
func FetchSparkCassandra(ctx context.Context) (jars string, err error) {
	return sparkJars(ctx, sparkCassandra)
}

func sparkJars(ctx context.Context, r release) (string, error) {
	dir, err := r.fetch(ctx)
	if err != nil {
		return "", err
	}
	jars, err := classpath(dir)
	return strings.ReplaceAll(jars, string(os.PathListSeparator), ","), err
}

// FetchPython returns a Python interpreter that has the given packages, each
// written name==version, from the cache, where it puts it the first time. The
// first package names it. It needs python3 with venv.
func FetchPython(ctx context.Context, packages ...string) (interpreter string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	venv := filepath.Join(cache, strings.ReplaceAll(packages[0], "==", "-"))
	python := filepath.Join(venv, "bin", "python")
	complete := filepath.Join(venv, "complete") // what was interrupted is begun again
	if _, err := os.Stat(complete); err == nil {
		return python, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, venv+".lock") // two that come at once would clear each other's
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(complete); err == nil { // by whoever held the lock
		return python, nil
	}
	if err := runTool(ctx, "python3", "-m", "venv", "--clear", venv); err != nil {
		return "", fmt.Errorf("making a Python environment: %w; install python3 with venv (Debian: apt-get install python3-venv)", err)
	}
	if err := runTool(ctx, python, append([]string{"-m", "pip", "install", "--quiet"}, packages...)...); err != nil {
		return "", fmt.Errorf("installing %s: %w", strings.Join(packages, " and "), err)
	}
	return python, os.WriteFile(complete, nil, 0o644)
}

func runTool(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("running %s: %w", filepath.Base(name), err), errors.New(lastLines(out, 5)))
	}
	return nil
}
