package cassandra

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// agreementTimeout bounds the wait until all nodes have a change of the schema.
const agreementTimeout = 30 * time.Second

// SetupOptions say how Setup goes about it.
type SetupOptions struct {
	// Replication is the CQL map of a keyspace that is created; empty: factor 3,
	// or the number of nodes where there are fewer, in the data centre of the nodes.
	Replication string
	DryRun      bool              // only Print what would be done
	Print       func(line string) // called for every statement; may be nil
}

// Setup creates the keyspace, the tables and the columns of config/schema.cql that
// are missing, one statement after the other, and waits after each until all nodes
// agree. What exists stays as it is; Check tells whether it fits.
func Setup(ctx context.Context, s Settings, o SetupOptions) error {
	if err := s.check(); err != nil {
		return err
	}
	session, err := s.connectAnywhere(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	if o.Replication == "" {
		o.Replication = defaultReplication(session)
	}
	statements, err := schemaStatements(s.Keyspace, o.Replication)
	if err != nil {
		return err
	}
	missing, err := missingStatements(ctx, session, s.Keyspace, statements)
	if err != nil {
		return err
	}
	for _, statement := range missing {
		if o.Print != nil {
			o.Print(oneLine(statement))
		}
		if o.DryRun {
			continue
		}
		if err := applyStatement(ctx, session, statement); err != nil {
			return err
		}
	}
	return nil
}

// missingStatements leaves out what is there already, so that a role without
// the right to create needs it only when there is something to create.
func missingStatements(ctx context.Context, session *gocql.Session, keyspace string, all []string) ([]string, error) {
	exists, err := findKeyspace(ctx, session, keyspace)
	if err != nil || !exists {
		return all, err
	}
	found, err := readTables(ctx, session, keyspace)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, statement := range all {
		table, ok := parseTable(statement)
		switch {
		case !ok:
		case found[table.name] == nil:
			missing = append(missing, statement)
		default:
			missing = append(missing, missingColumns(keyspace, table, found[table.name])...)
		}
	}
	return missing, nil
}

// missingColumns adds what a newer release has. A column that belongs to the key
// cannot be added: Check tells.
func missingColumns(keyspace string, table schemaTable, have map[string]string) (statements []string) {
	for _, column := range table.columns {
		if _, ok := have[column.name]; !ok && !isKey(table, column.name) {
			statements = append(statements, fmt.Sprintf("ALTER TABLE %s.%s ADD %s %s", cqlName(keyspace), table.name, column.name, column.cqlType))
		}
	}
	return statements
}

func applyStatement(ctx context.Context, session *gocql.Session, statement string) error {
	err := session.Query(statement).Consistency(gocql.One).ExecContext(ctx)
	switch {
	case isUnauthorized(err):
		return fmt.Errorf("%q: %w; run setup as a role that may create keyspaces and tables", oneLine(statement), err)
	case err != nil:
		return fmt.Errorf("%q: %w", oneLine(statement), err)
	}
	return agree(ctx, session, statement)
}

// agree waits until all nodes have the same schema. The driver waits too, but
// returns no error when they do not come to agree.
func agree(ctx context.Context, session *gocql.Session, statement string) error {
	waiting, cancel := context.WithTimeout(ctx, agreementTimeout)
	defer cancel()
	for {
		apart, err := disagreement(waiting, session)
		if err == nil && apart == "" {
			return nil
		}
		if !wait(waiting, 200*time.Millisecond) {
			if ctx.Err() != nil {
				return fmt.Errorf("after %q the time is over: %w; what is there stays, so run setup again, with a longer --timeout if the nodes are slow", oneLine(statement), ctx.Err())
			}
			if err != nil {
				apart = err.Error()
			}
			return fmt.Errorf("after %q the nodes do not agree on the schema within %s: %s; start the nodes that are down and run setup again",
				oneLine(statement), agreementTimeout, apart)
		}
	}
}

// disagreement names the nodes whose schema differs from that of the node that
// answers, or is not known; "" if there is none.
func disagreement(ctx context.Context, session *gocql.Session) (string, error) {
	var local gocql.UUID
	if err := session.Query("SELECT schema_version FROM system.local WHERE key = 'local'").Consistency(gocql.One).ScanContext(ctx, &local); err != nil {
		return "", fmt.Errorf("reading the schema's version: %w", err)
	}
	var apart []string
	for _, host := range session.GetHosts() {
		if !host.IsUp() {
			apart = append(apart, host.ConnectAddress().String()+" is down")
			continue
		}
		var version gocql.UUID
		err := session.Query("SELECT schema_version FROM system.local WHERE key = 'local'").
			Consistency(gocql.One).SetHostID(host.HostID()).ScanContext(ctx, &version)
		switch {
		case err != nil:
			apart = append(apart, fmt.Sprintf("%s does not answer (%v)", host.ConnectAddress(), err))
		case version != local:
			apart = append(apart, host.ConnectAddress().String()+" has another schema")
		}
	}
	return strings.Join(apart, ", "), nil
}

func defaultReplication(session *gocql.Session) string {
	centres := map[string]int{}
	for _, host := range session.GetHosts() {
		centres[host.DataCenter()]++
	}
	parts := []string{"'class': 'NetworkTopologyStrategy'"}
	for _, name := range slices.Sorted(maps.Keys(centres)) {
		if name != "" {
			parts = append(parts, fmt.Sprintf("'%s': %d", name, min(centres[name], 3)))
		}
	}
	if len(parts) == 1 {
		parts = []string{"'class': 'SimpleStrategy'", "'replication_factor': 1"}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Server returns the version of the node that answers.
func Server(ctx context.Context, s Settings) (version string, err error) {
	session, err := s.connectAnywhere(ctx)
	if err != nil {
		return "", err
	}
	defer session.Close()
	if err := session.Query("SELECT release_version FROM system.local").Consistency(gocql.One).ScanContext(ctx, &version); err != nil {
		return "", fmt.Errorf("asking Cassandra at %s for its version: %w", s.where(), err)
	}
	return version, nil
}

// Check says what is wrong with the keyspace, its tables and the cluster; none
// means that all promises hold. An error means that it could not look.
func Check(ctx context.Context, s Settings) ([]Problem, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	session, err := s.connectAnywhere(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	exists, err := findKeyspace(ctx, session, s.Keyspace)
	if err != nil {
		return nil, err
	}
	if !exists {
		return []Problem{{s.Keyspace, "there is no such keyspace", "recsys-benthos setup", true}}, nil
	}
	wanted, err := wantedTables(s.Keyspace)
	if err != nil {
		return nil, err
	}
	found, err := readTables(ctx, session, s.Keyspace)
	if err != nil {
		return nil, err
	}
	problems := compareTables(s.Keyspace, wanted, found)
	for _, look := range []func(context.Context, *gocql.Session, string, []schemaTable) ([]Problem, error){checkTombstones, checkReplication} {
		more, err := look(ctx, session, s.Keyspace, wanted)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	if apart, err := disagreement(ctx, session); err != nil {
		return nil, err
	} else if apart != "" {
		problems = append(problems, Problem{s.Keyspace, "the nodes do not agree on the schema: " + apart, "starting the nodes that are down", false})
	}
	return problems, nil
}

// checkTombstones finds tables that forget too soon what was taken back.
func checkTombstones(ctx context.Context, session *gocql.Session, keyspace string, wanted []schemaTable) ([]Problem, error) {
	iter := session.Query("SELECT table_name, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ?", keyspace).
		Consistency(gocql.One).IterContext(ctx)
	kept := map[string]int{}
	var table string
	var seconds int
	for iter.Scan(&table, &seconds) {
		kept[table] = seconds
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("reading the tables of keyspace %s: %w", keyspace, err)
	}
	var problems []Problem
	for _, w := range wanted {
		seconds, ok := kept[w.name]
		if !ok || !w.keeps || seconds >= keptTombstones {
			continue
		}
		where := cqlName(keyspace) + "." + w.name
		problems = append(problems, Problem{
			where, fmt.Sprintf("gc_grace_seconds is %d, below %d: ratings taken back may return when older events are replayed", seconds, keptTombstones),
			fmt.Sprintf("ALTER TABLE %s WITH gc_grace_seconds = %d", where, keptTombstones), false,
		})
	}
	return problems, nil
}

// checkReplication finds a cluster of several nodes that keeps one copy only.
func checkReplication(ctx context.Context, session *gocql.Session, keyspace string, _ []schemaTable) ([]Problem, error) {
	var replication map[string]string
	err := session.Query("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace).
		Consistency(gocql.One).ScanContext(ctx, &replication)
	if err != nil {
		return nil, fmt.Errorf("reading the replication of keyspace %s: %w", keyspace, err)
	}
	copies := 0
	for option, value := range replication {
		var n int
		if _, err := fmt.Sscan(value, &n); err == nil && option != "class" {
			copies += n
		}
	}
	if nodes := len(session.GetHosts()); nodes > 1 && copies == 1 {
		return []Problem{{
			keyspace, fmt.Sprintf("one copy of each row on %d nodes: when a node dies, its rows are away", nodes),
			fmt.Sprintf("ALTER KEYSPACE %s WITH replication = %s, then nodetool repair", cqlName(keyspace), defaultReplication(session)), false,
		}}, nil
	}
	return nil, nil
}
