package servers

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The user of clusters with security, and the hash of the password as Elasticsearch
// keeps it (bcrypt; bin/elasticsearch-users would take seconds to make it).
const (
	elasticsearchUser     = "recsys"
	elasticsearchPassword = "recsys-secret"
	elasticsearchHash     = "$2a$10$xK1mbsilx6kdRMowtsWH/ep7/gCD16.k.47RGZbJgXAaJ1TgABGSq"
)

const elasticsearchLogging = `status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
`

// elasticsearchLayout is what the nodes' settings are made of.
type elasticsearchLayout struct {
	ElasticsearchOptions
	dir             string
	http, transport []int // ports, by node
	certificates    certificates
}

// file is a path in the folder of node i.
func (l elasticsearchLayout) file(i int, name string) string {
	return filepath.Join(l.dir, fmt.Sprintf("elasticsearch-%d", i+1), name)
}

// data is the data folder of node i.
func (l elasticsearchLayout) data(i int) string {
	if i < len(l.Data) && l.Data[i] != "" {
		return l.Data[i]
	}
	return l.file(i, "data")
}

// write makes the folder of node i, with settings beside what the release has for all.
func (l elasticsearchLayout) write(i int, config string) error {
	if err := linkTree(config, l.file(i, "config")); err != nil {
		return err
	}
	files := map[string]string{"elasticsearch.yml": l.settings(i), "log4j2.properties": elasticsearchLogging, "jvm.options": l.flags(i)}
	if l.Security {
		files["users"] = elasticsearchUser + ":" + elasticsearchHash + "\n"
		files["users_roles"] = "superuser:" + elasticsearchUser + "\n"
		for name, role := range l.Roles {
			files["roles.yml"] += name + ": " + role + "\n"
			files["users"] += name + ":" + elasticsearchHash + "\n"
			files["users_roles"] += name + ":" + name + "\n"
		}
		files["http.pem"], files["http.key"], files["ca.pem"] = "", "", "" // must be in the config folder
		for name, from := range map[string]string{"http.pem": l.certificates.serverCert, "http.key": l.certificates.serverKey, "ca.pem": l.certificates.ca} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			files[name] = string(text)
		}
	}
	for name, text := range files {
		path := l.file(i, filepath.Join("config", name))
		_ = os.Remove(path) // the link, not the release's file
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, folder := range []string{l.data(i), l.file(i, "logs"), l.file(i, "tmp")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if runAs() == 0 {
		return nil
	}
	errs := []error{os.Chown(l.data(i), nobody, nobody)}
	for _, name := range []string{"", "config", "logs", "tmp"} {
		errs = append(errs, os.Chown(l.file(i, name), nobody, nobody))
	}
	return errors.Join(errs...)
}

// command starts node i through the release's launcher, which computes flags, starts the
// server as a child and stays.
func (l elasticsearchLayout) command(i int, home string, runtime java) command {
	return command{
		path: filepath.Join(home, "bin", "elasticsearch"),
		args: []string{"-p", l.file(i, "pid")},
		dir:  l.file(i, ""),
		log:  filepath.Join(l.dir, fmt.Sprintf("elasticsearch-%d.log", i+1)),
		uid:  runAs(),
		env: []string{
			"HOME=" + l.file(i, "tmp"),
			"ES_JAVA_HOME=" + runtime.home,
			"ES_PATH_CONF=" + l.file(i, "config"),
			"ES_TMPDIR=" + l.file(i, "tmp"),
			"ES_JAVA_OPTS=",
			"CLI_JAVA_OPTS=-XX:TieredStopAtLevel=1",
		},
	}
}

// flags are those of node i's JVM.
func (l elasticsearchLayout) flags(i int) string {
	flags := []string{"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-AlwaysPreTouch"}
	if l.Bench {
		flags = []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC"}
	}
	return strings.Join(append(flags, "-Djava.io.tmpdir="+l.file(i, "tmp"), "-XX:-UsePerfData", "-XX:ErrorFile="+l.file(i, "logs")+"/hs_err_pid%p.log"), "\n") + "\n"
}

// settings returns the elasticsearch.yml of node i.
func (l elasticsearchLayout) settings(i int) string {
	var seeds, names []string
	for j, port := range l.transport {
		seeds = append(seeds, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		names = append(names, strconv.Itoa(j+1))
	}
	s := map[string]string{
		"cluster.name":   "recsys",
		"node.name":      fmt.Sprintf("%q", names[i]),
		"network.host":   "127.0.0.1",
		"http.port":      fmt.Sprint(l.http[i]),
		"transport.port": fmt.Sprint(l.transport[i]),
		"path.data":      fmt.Sprintf("%q", l.data(i)),
		"path.logs":      fmt.Sprintf("%q", l.file(i, "logs")),

		"cluster.routing.allocation.disk.threshold_enabled": "false",
		"xpack.security.enabled":                            "false",
	}
	if l.Nodes == 1 {
		s["discovery.type"] = "single-node"
	} else {
		s["discovery.seed_hosts"] = `["` + strings.Join(seeds, `", "`) + `"]`
		s["cluster.initial_master_nodes"] = `["` + strings.Join(names, `", "`) + `"]`
	}
	if l.Security {
		s["xpack.security.enabled"] = "true"
		s["xpack.security.http.ssl.enabled"] = "true"
		s["xpack.security.http.ssl.key"] = "http.key"
		s["xpack.security.http.ssl.certificate"] = "http.pem"
		s["xpack.security.http.ssl.certificate_authorities"] = "ca.pem"
	}
	if l.Security && l.Nodes > 1 { // demanded between nodes then
		s["xpack.security.transport.ssl.enabled"] = "true"
		s["xpack.security.transport.ssl.key"] = "http.key"
		s["xpack.security.transport.ssl.certificate"] = "http.pem"
		s["xpack.security.transport.ssl.certificate_authorities"] = "ca.pem"
	}
	maps.Copy(s, l.Settings)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s: %s\n", key, s[key])
	}
	return b.String()
}
