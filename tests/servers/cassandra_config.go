package servers

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

const cassandraLogging = `<configuration>
<appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{0}: %msg%n</pattern></encoder></appender>
<root level="INFO"><appender-ref ref="out"/></root>
</configuration>
`

// cassandraOpens is what Cassandra 5.0 reaches of Java 17's inside.
var cassandraOpens = func() []string {
	var flags []string
	for _, name := range []string{
		"java.base/jdk.internal.misc", "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry",
		"java.rmi/sun.rmi.server", "java.sql/java.sql",
	} {
		flags = append(flags, "--add-exports="+name+"=ALL-UNNAMED")
	}
	for _, name := range []string{
		"java.lang.module", "jdk.internal.loader", "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.math",
		"jdk.internal.module", "jdk.internal.util.jar", "sun.nio.ch", "java.io", "java.nio", "java.lang.reflect", "java.lang", "java.util",
	} {
		flags = append(flags, "--add-opens=java.base/"+name+"=ALL-UNNAMED")
	}
	return append(flags, "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED")
}()

// cassandraTokens divide the ring evenly, by number of nodes.
var cassandraTokens = [][]string{
	1: {"0"},
	2: {"-9223372036854775808", "0"},
	3: {"-9223372036854775808", "-3074457345618258603", "3074457345618258602"},
}

// cassandraLayout is what the nodes' settings are made of.
type cassandraLayout struct {
	CassandraOptions
	dir             string
	client, storage int // ports, the same on all nodes
	certificates    certificates
}

func (l cassandraLayout) file(i int) string {
	return filepath.Join(l.dir, fmt.Sprintf("cassandra-%d.yaml", i+1))
}

func (l cassandraLayout) data(i int) string {
	if i < len(l.Data) && l.Data[i] != "" {
		return l.Data[i]
	}
	return filepath.Join(l.dir, fmt.Sprintf("cassandra-%d", i+1))
}

// flags are those of node i's JVM.
func (l cassandraLayout) flags(i int, archiveFlag string) []string {
	flags := []string{"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	if l.Bench {
		flags = []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC"}
	}
	flags = append(flags, archiveFlag, "-Xss256k", "-XX:-UsePerfData", "-Djdk.attach.allowAttachSelf=true")
	flags = append(flags, cassandraOpens...)
	ringDelay := "15000"
	if l.Nodes == 1 {
		ringDelay = "100"
	}
	return append(flags,
		"-Dcassandra.config="+fileURL(l.file(i)),
		"-Dcassandra.storagedir="+l.data(i),
		"-Dlogback.configurationFile="+fileURL(filepath.Join(l.dir, "logback.xml")),
		"-Dcassandra.ring_delay_ms="+ringDelay,
		"-Dcassandra.skip_wait_for_gossip_to_settle=0",
		"-Dcassandra.superuser_setup_delay_ms=0",
		"-Dcassandra.initial_token_check=false",
		fmt.Sprintf("-Dcassandra.system_auth.default_rf=%d", l.Nodes), // users are to outlive a node
	)
}

// settings returns the cassandra.yaml of node i.
func (l cassandraLayout) settings(i int) string {
	host, data := hosts(l.Nodes)[i], l.data(i)
	quoted := func(parts ...string) string { return fmt.Sprintf("%q", filepath.Join(parts...)) }
	s := map[string]string{
		"cluster_name":          "recsys",
		"num_tokens":            "1",
		"initial_token":         fmt.Sprintf("%q", cassandraTokens[l.Nodes][i]),
		"partitioner":           "org.apache.cassandra.dht.Murmur3Partitioner",
		"endpoint_snitch":       "SimpleSnitch",
		"seed_provider":         fmt.Sprintf("[{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: \"127.0.0.1:%d\"}]}]", l.storage),
		"listen_address":        host,
		"rpc_address":           host,
		"storage_port":          fmt.Sprint(l.storage),
		"native_transport_port": fmt.Sprint(l.client),
		"auto_bootstrap":        "false",

		"data_file_directories":  "[" + quoted(data, "data") + "]",
		"commitlog_directory":    quoted(data, "commitlog"),
		"saved_caches_directory": quoted(data, "saved_caches"),
		"hints_directory":        quoted(data, "hints"),
		"cdc_raw_directory":      quoted(data, "cdc_raw"),

		// What is acknowledged is synced: a killed node has it again.
		"commitlog_sync":              "group",
		"commitlog_sync_group_window": "2ms",
		"commitlog_segment_size":      "8MiB",
		"commitlog_total_space":       "128MiB",
		"memtable_heap_space":         "96MiB",
		"memtable_offheap_space":      "32MiB",
		"concurrent_reads":            "16",
		"concurrent_writes":           "128", // 16 would cap asynchronous writers under a synced log
		"concurrent_compactors":       "1",
		"key_cache_size":              "8MiB",
		"file_cache_size":             "32MiB",
		"auto_snapshot":               "false",

		"authenticator": "AllowAllAuthenticator",
		"authorizer":    "AllowAllAuthorizer",
	}
	if i < len(l.Advertise) {
		s["broadcast_rpc_address"] = l.Advertise[i]
	}
	if l.Auth {
		s["authenticator"], s["authorizer"] = "PasswordAuthenticator", "CassandraAuthorizer"
		s["roles_validity"], s["permissions_validity"], s["credentials_validity"] = "1s", "1s", "1s" // a grant counts soon
	}
	if l.TLS {
		s["client_encryption_options"] = fmt.Sprintf(
			"{enabled: true, optional: false, require_client_auth: %t, keystore: %q, truststore: %q, ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}}",
			l.ClientAuth, l.certificates.serverStore, l.certificates.ca)
	}
	maps.Copy(s, l.Settings)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s: %s\n", key, s[key])
	}
	return b.String()
}
