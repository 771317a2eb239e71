package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// javaRelease is what all three servers run on: Kafka and Elasticsearch need 17 at
// least, Cassandra 5.0 refuses what is newer.
const javaRelease = "17"

// java is the Java runtime that servers are started with.
type java struct {
	home    string // the folder with bin/java
	version string // 17.0.15+6, part of the names of archives that only this runtime can use
}

func (j java) binary() string { return filepath.Join(j.home, "bin", "java") }

// Missing says what this machine lacks to start servers and how to get it, or "".
func Missing() string {
	if runtime.GOOS == "windows" {
		return "servers are started on Linux and macOS only"
	}
	if _, err := findJava(); err != nil {
		return err.Error()
	}
	if _, err := exec.LookPath("mvn"); err == nil {
		return ""
	}
	for _, r := range releases {
		if !r.cached() {
			return fmt.Sprintf("Maven (mvn), which fetches %s: install it (Debian: apt-get install maven), or set %s to a folder where it is fetched already", r.name, cacheVariable)
		}
	}
	return ""
}

// ForTest skips the test if servers cannot be started here; it fails the test instead
// if the environment says CI=true or RECSYS_REQUIRE_SERVERS=1.
func ForTest(t testing.TB) {
	t.Helper()
	need(t, Missing())
}

// need skips or fails the test if anything is missing.
func need(t testing.TB, missing string) {
	t.Helper()
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("RECSYS_REQUIRE_SERVERS") == "1" {
		t.Fatalf("real servers are required here, but this is missing: %s", missing)
	}
	t.Skipf("NOT TESTED with real servers, this is missing: %s", missing)
}

var property = regexp.MustCompile(`(?m)^ *(java\.home|java\.specification\.version|java\.vm\.version) = (.*?)\r?$`)

// findJava takes the Java of JAVA_HOME, or else of the PATH.
var findJava = sync.OnceValues(func() (java, error) {
	const wanted = "a Java runtime of release " + javaRelease + ": install it (Debian: apt-get install openjdk-17-jdk-headless) and set JAVA_HOME if it is not the first in PATH"
	binary := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		binary = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(binary)
	if err != nil {
		return java{}, errors.New(wanted)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-XshowSettings:properties", "-version").CombinedOutput()
	if err != nil {
		return java{}, fmt.Errorf("%s (asking %s for its version: %w: %s)", wanted, path, err, bytes.TrimSpace(out))
	}
	values := map[string]string{}
	for _, m := range property.FindAllStringSubmatch(string(out), -1) {
		values[m[1]] = strings.TrimSpace(m[2])
	}
	if got := values["java.specification.version"]; got != javaRelease {
		return java{}, fmt.Errorf("%s (%s is Java %s)", wanted, path, got)
	}
	return java{home: values["java.home"], version: values["java.vm.version"]}, nil
})
