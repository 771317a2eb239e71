package cassandra

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/recsys-benthos/recsys-benthos/config"
)

// schemaFile, and what stands in it for the keyspace and its replication.
const (
	schemaFile        = "schema.cql"
	schemaKeyspace    = "recsys"
	schemaReplication = "REPLICATION"
)

// keptTombstones is how long tombstones must live at least, in seconds.
const keptTombstones = 30 * 24 * 60 * 60

// schemaTable is a table as schema.cql wants it.
type schemaTable struct {
	name    string
	create  string         // its statement, for the keyspace asked for
	columns []schemaColumn // in the order of the file
	key     []string       // the columns of its primary key
	keeps   bool           // tombstones must live for keptTombstones
}

type schemaColumn struct{ name, cqlType string }

var (
	keyspaceWord    = regexp.MustCompile(`\b` + schemaKeyspace + `\b`)
	replicationWord = regexp.MustCompile(`\b` + schemaReplication + `\b`)
)

// schemaStatements gives the statements of schema.cql for a keyspace.
func schemaStatements(keyspace, replication string) ([]string, error) {
	text, err := config.Files.ReadFile(schemaFile)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", schemaFile, err)
	}
	statements := splitStatements(string(text))
	for i, s := range statements {
		s = keyspaceWord.ReplaceAllLiteralString(s, cqlName(keyspace))
		statements[i] = replicationWord.ReplaceAllLiteralString(s, replication)
	}
	return statements, nil
}

// cqlName quotes a name only where CQL would change it.
func cqlName(name string) string {
	if isIdentifier(name) && strings.ToLower(name) == name && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return quoteName(name)
}

// wantedTables reads schema.cql.
func wantedTables(keyspace string) ([]schemaTable, error) {
	statements, err := schemaStatements(keyspace, "")
	if err != nil {
		return nil, err
	}
	var tables []schemaTable
	for _, s := range statements {
		if table, ok := parseTable(s); ok {
			tables = append(tables, table)
		}
	}
	return tables, nil
}

// parseTable reads a CREATE TABLE statement of the form that schema.cql uses:
// one column or primary key between commas, and options behind the bracket.
func parseTable(statement string) (schemaTable, bool) {
	head, body, ok := strings.Cut(statement, "(")
	if !ok || !strings.HasPrefix(head, "CREATE TABLE") {
		return schemaTable{}, false
	}
	_, name, _ := strings.Cut(head, ".")
	t := schemaTable{name: strings.TrimSpace(name), create: statement, keeps: strings.Contains(body, "gc_grace_seconds")}
	body, _, _ = strings.Cut(body, "\n)")
	columns, key, _ := strings.Cut(body, "PRIMARY KEY (")
	t.key = splitList(strings.TrimRight(strings.TrimSpace(key), ")"))
	for line := range strings.SplitSeq(columns, "\n") {
		name, kind, ok := strings.Cut(strings.Trim(line, " ,"), " ")
		if ok {
			t.columns = append(t.columns, schemaColumn{name, kind})
		}
	}
	return t, true
}

// Problem is something about a cluster that breaks a promise or stops work.
type Problem struct {
	Where string // keyspace, keyspace.table or keyspace.table.column
	What  string // what is wrong: found and wanted
	Mend  string // the statement or command that mends it
	Fatal bool   // nothing can be written before it is mended
}

func (p Problem) String() string { return p.Where + ": " + p.What + "; mend it with: " + p.Mend }

// foundTables is what a keyspace has: the type of each column by table.
type foundTables map[string]map[string]string

func readTables(ctx context.Context, session *gocql.Session, keyspace string) (foundTables, error) {
	iter := session.Query("SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = ?", keyspace).
		Consistency(gocql.One).IterContext(ctx)
	found := foundTables{}
	var table, column, kind string
	for iter.Scan(&table, &column, &kind) {
		if found[table] == nil {
			found[table] = map[string]string{}
		}
		found[table][column] = kind
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("reading the columns of keyspace %s: %w", keyspace, err)
	}
	return found, nil
}

// compareTables finds what a keyspace lacks, or has otherwise.
func compareTables(keyspace string, wanted []schemaTable, found foundTables) []Problem {
	var problems []Problem
	for _, table := range wanted {
		where := cqlName(keyspace) + "." + table.name
		have := found[table.name]
		if have == nil {
			problems = append(problems, Problem{where, "there is no such table", oneLine(table.create), true})
			continue
		}
		for _, column := range table.columns {
			got, ok := have[column.name]
			switch {
			case ok && got == column.cqlType:
			case ok:
				problems = append(problems, Problem{
					where + "." + column.name,
					fmt.Sprintf("its type is %s, not %s", got, column.cqlType),
					fmt.Sprintf("DROP TABLE %s (copy its rows first; Cassandra cannot change a type), then %s", where, oneLine(table.create)), true,
				})
			case isKey(table, column.name):
				problems = append(problems, Problem{
					where + "." + column.name,
					"there is no such column, and it belongs to the primary key",
					fmt.Sprintf("DROP TABLE %s (copy its rows first), then %s", where, oneLine(table.create)), true,
				})
			default:
				problems = append(problems, Problem{
					where + "." + column.name, "there is no such column",
					fmt.Sprintf("ALTER TABLE %s ADD %s %s", where, column.name, column.cqlType), true,
				})
			}
		}
	}
	return problems
}

func isKey(table schemaTable, column string) bool {
	for _, name := range table.key {
		if name == column {
			return true
		}
	}
	return false
}

func oneLine(statement string) string { return strings.Join(strings.Fields(statement), " ") }

// SchemaError says how a keyspace differs from config/schema.cql.
type SchemaError struct{ Problems []Problem }

func (e *SchemaError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return "the tables differ from the schema: " + strings.Join(texts, "; ")
}

// checkSchema returns a *SchemaError if a store cannot work in the keyspace.
func checkSchema(ctx context.Context, session *gocql.Session, keyspace string) error {
	wanted, err := wantedTables(keyspace)
	if err != nil {
		return err
	}
	found, err := readTables(ctx, session, keyspace)
	if err != nil {
		return err
	}
	problems := compareTables(keyspace, wanted, found)
	switch {
	case len(problems) == 0:
		return nil
	case len(problems) == len(wanted) && len(found) == 0:
		return fmt.Errorf("keyspace %s has no tables; create them with `recsys-benthos setup`", keyspace)
	}
	return &SchemaError{problems}
}
