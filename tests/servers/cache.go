package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cacheVariable names the environment variable of the cache folder.
const cacheVariable = "RECSYS_SERVERS_CACHE"

// dependencyPlugin is pinned: Maven's own default differs between its versions.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// release is one server at one version: a set of files in the cache.
type release struct {
	name         string   // its folder in the cache
	dependencies []string // group:artifact:version or group:artifact:version:type
	unpack       bool     // the only dependency is an archive to unpack
	program      string   // a Go program to build instead: package@version
}

var (
	kafkaRelease         = release{name: "kafka-4.1.1", dependencies: []string{"org.apache.kafka:kafka_2.13:4.1.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"}}
	cassandraRelease     = release{name: "cassandra-5.0.9", dependencies: []string{"org.apache.cassandra:cassandra-all:5.0.9"}}
	elasticsearchRelease = release{name: "elasticsearch-8.19.7", dependencies: []string{"org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.19.7:zip"}, unpack: true}

	releases = []release{kafkaRelease, cassandraRelease, elasticsearchRelease}
)

// cacheDir is where the servers' files are kept between runs.
func cacheDir() (string, error) {
	if dir := os.Getenv(cacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder (set %s): %w", cacheVariable, err)
	}
	return filepath.Join(dir, "recsys-benthos", "servers"), nil
}

// cached tells whether the release's files are in the cache, complete.
func (r release) cached() bool {
	dir, err := cacheDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, r.name))
	return err == nil
}

// fetch returns the folder with the release's files, which it fetches if need be. The
// folder appears under its name only once it is complete, so what was interrupted is
// begun again.
func (r release) fetch(ctx context.Context) (string, error) {
	dir, err := r.fetchInto(ctx)
	if err != nil {
		return "", fmt.Errorf("fetching %s: %w", r.name, err)
	}
	return dir, nil
}

func (r release) fetchInto(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, r.name)
	if r.cached() {
		return final, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, r.name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if r.cached() { // by whoever held the lock
		return final, nil
	}
	staging := final + ".partial"
	if err := os.RemoveAll(staging); err != nil {
		return "", err
	}
	if err := r.download(ctx, staging); err != nil {
		return "", err
	}
	return final, os.Rename(staging, final)
}

// download has Maven copy the release's dependencies into dir/libs, or builds its
// program.
func (r release) download(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if r.program != "" {
		return r.build(ctx, dir)
	}
	pom := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pom, []byte(r.pom()), 0o644); err != nil {
		return err
	}
	libs := filepath.Join(dir, "libs")
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, dependencyPlugin, "-DoutputDirectory="+libs)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running mvn %s: %w\n%s", dependencyPlugin, err, lastLines(out, 20))
	}
	if !r.unpack {
		return nil
	}
	archives, err := filepath.Glob(filepath.Join(libs, "*.zip"))
	if err != nil {
		return err
	}
	if len(archives) != 1 {
		return fmt.Errorf("mvn left %d archives in %s, not one", len(archives), libs)
	}
	if err := unzip(archives[0], dir); err != nil {
		return fmt.Errorf("unpacking %s: %w", archives[0], err)
	}
	return os.RemoveAll(libs)
}

// build has Go build the release's program into dir/bin.
func (r release) build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "install", r.program)
	cmd.Dir = dir // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Join(dir, "bin"), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running go install %s: %w\n%s", r.program, err, lastLines(out, 20))
	}
	return nil
}

// pom is the smallest Maven project with the release's dependencies.
func (r release) pom() string {
	var b strings.Builder
	b.WriteString("<project>\n<modelVersion>4.0.0</modelVersion>\n<groupId>servers</groupId>\n<artifactId>servers</artifactId>\n<version>1</version>\n<packaging>pom</packaging>\n<dependencies>\n")
	for _, dependency := range r.dependencies {
		part := strings.Split(dependency, ":")
		fmt.Fprintf(&b, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>", part[0], part[1], part[2])
		if len(part) > 3 {
			fmt.Fprintf(&b, "<type>%s</type><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>", part[3])
		}
		b.WriteString("</dependency>\n")
	}
	b.WriteString("</dependencies>\n</project>\n")
	return b.String()
}

// classpath lists the jars of a fetched release in one order always, which archives of
// classes depend on.
func classpath(dir string) (string, error) {
	jars, err := filepath.Glob(filepath.Join(dir, "libs", "*.jar"))
	if err != nil {
		return "", err
	}
	if len(jars) == 0 {
		return "", fmt.Errorf("no jars in %s: remove the folder, it is fetched again", dir)
	}
	return strings.Join(jars, string(os.PathListSeparator)), nil
}

// classArchive returns the file of preloaded classes of a release for this Java, which
// halves the time a server takes to start. The first time it has train make it.
func classArchive(ctx context.Context, r release, runtime java, train func(ctx context.Context, path string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, r.name+"-java-"+runtime.version+".jsa")
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	unlock, err := lockFile(ctx, final+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); !errors.Is(err, os.ErrNotExist) {
		return final, err
	}
	partial := final + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := train(ctx, partial); err != nil {
		return "", fmt.Errorf("making the archive of classes of %s: %w", r.name, err)
	}
	return final, os.Rename(partial, final)
}

func lastLines(text []byte, n int) string {
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
