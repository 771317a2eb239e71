package cassandra

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func TestSettingsThatCanNeverWorkAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"no addresses":          {"addresses: []", "names no node"},
		"an empty address":      {`addresses: ["a,"]`, "names no node"},
		"a keyspace of no name": {"addresses: [a]\nkeyspace: a-b", "no name of a keyspace"},
		"no keyspace":           {"addresses: [a]\nkeyspace: ''", "give the keyspace"},
		"a rack without centre": {"addresses: [a]\nhost_selection_policy: {local_rack: r1}", "needs local_dc"},
		"a login without role":  {"addresses: [a]\npassword_authenticator: {enabled: true}", "give the role"},
		"an unknown level":      {"addresses: [a]\nconsistency: MOST", "MOST"},
		"no time":               {"addresses: [a]\ntimeout: 0s", "must be positive"},
		"back-off upside down":  {"addresses: [a]\nbackoff: {initial_interval: 9s}", "not above the second"},
		"no connections":        {"addresses: [a]\nconnections_per_host: 0", "at least 1"},
		"no writes":             {"addresses: [a]\nmax_in_flight: 0", "max_in_flight is 0"},
		"negative retries":      {"addresses: [a]\nmax_retries: -1", "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseSettings(c.yaml)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAddressesMayBeOneListInOneVariable(t *testing.T) {
	s, _, err := ParseSettings(`addresses: ["a:1, b", c]`)
	if err != nil || fmt.Sprint(s.Addresses) != "[a:1 b c]" || s.Keyspace != "recsys" || s.Consistency != gocql.Quorum {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestDefaultsOfFieldsAndOfNewSettingsAgree(t *testing.T) {
	s, _, err := ParseSettings("addresses: [a]")
	if want := NewSettings("recsys", "a"); err != nil || fmt.Sprintf("%+v", s) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v, %v", s, want, err)
	}
	_, o, err := ParseSettings("addresses: [a]")
	if want := (StoreOptions{}).withDefaults(); err != nil || o != want {
		t.Errorf("got %+v, want %+v, %v", o, want, err)
	}
}

func TestQueriesThatCanNeverRunAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spec       *service.ConfigSpec
		yaml, want string
	}{
		"an empty query":         {outputSpec(), "query: ''", "field query: it is empty"},
		"two statements":         {outputSpec(), "query: 'DELETE FROM t WHERE a = ?; DELETE FROM t WHERE a = ?'", "2 statements"},
		"a timestamp twice":      {outputSpec(), "query: INSERT INTO t (a) VALUES (?) USING TIMESTAMP ?\nusing_timestamp: root = 1", "already"},
		"a conditional":          {outputSpec(), "query: INSERT INTO t (a) VALUES (?) IF NOT EXISTS\nusing_timestamp: root = 1", "conditional"},
		"a batch with timestamp": {outputSpec(), "query: BEGIN BATCH APPLY BATCH\nusing_timestamp: root = 1", "only INSERT, UPDATE and DELETE"},
		"an input that writes":   {inputSpec(), "query: DELETE FROM t WHERE a = 1", "no SELECT"},
	} {
		t.Run(name, func(t *testing.T) {
			conf, err := c.spec.ParseYAML("addresses: [a]\n"+c.yaml, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseOutputConfig(conf)
			if strings.Contains(name, "input") {
				_, err = parseInputConfig(conf)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestUsingTimestampGoesWhereCQLWantsIt(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO t (a, b) VALUES (?, ?)":               "2 INSERT INTO t (a, b) VALUES (?, ?) USING TIMESTAMP ?",
		"insert into t (a) values (?) using ttl ?":         "2 insert into t (a) values (?) using ttl ? AND TIMESTAMP ?",
		"UPDATE t SET a = ? WHERE b = ?":                   "0 UPDATE t USING TIMESTAMP ? SET a = ? WHERE b = ?",
		"UPDATE t USING TTL ? SET a = ? WHERE b = ?":       "1 UPDATE t USING TTL ? AND TIMESTAMP ? SET a = ? WHERE b = ?",
		"DELETE a FROM t WHERE b = ?":                      "0 DELETE a FROM t USING TIMESTAMP ? WHERE b = ?",
		"DELETE FROM t WHERE b = 'x?' AND c = ? -- why?":   "0 DELETE FROM t USING TIMESTAMP ? WHERE b = 'x?' AND c = ? -- why?",
		`INSERT INTO t ("a?", timestamp) VALUES (:x, '?')`: `1 INSERT INTO t ("a?", timestamp) VALUES (:x, '?') USING TIMESTAMP ?`,
		"UPDATE t SET timestamp = ?":                       "0 UPDATE t USING TIMESTAMP ? SET timestamp = ?",
	} {
		got, at, err := withTimestamp(query)
		if text := fmt.Sprint(at, " ", got); err != nil || text != want {
			t.Errorf("%s: %s, %v, want %s", query, text, err, want)
		}
	}
}

func TestOnlyWholeTablesAreCutIntoRanges(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT * FROM t":                          true,
		`select a, "from" from ks.t -- all`:        true,
		"SELECT token(a), ttl(b) FROM ks.t":        true,
		"SELECT count(*) FROM t":                   false,
		"SELECT a FROM t WHERE a = 1":              false,
		"SELECT a FROM t LIMIT 5":                  false,
		"SELECT DISTINCT a FROM t":                 false,
		"SELECT JSON * FROM t":                     false,
		"SELECT a FROM t ALLOW FILTERING":          false,
		"SELECT a, max(b) FROM t GROUP BY a":       false,
		"SELECT a FROM t PER PARTITION LIMIT 1":    false,
		"SELECT a /* FROM x */ FROM t /* WHERE */": true,
	} {
		if got := tableScan(query); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got := rangeStatement("SELECT * FROM t", []string{"a", "B"}); got != `SELECT * FROM t WHERE token("a", "B") > ? AND token("a", "B") <= ?` {
		t.Error(got)
	}
}

func TestRangesCoverAllTokensOnce(t *testing.T) {
	for name, ring := range map[string][]ringToken{
		"no ring":       nil,
		"one node":      {{0, "a"}},
		"three nodes":   {{math.MinInt64, "a"}, {3074457345618258602, "c"}, {-3074457345618258603, "b"}},
		"at the end":    {{math.MaxInt64, "a"}, {5, "b"}},
		"close by":      {{5, "a"}, {6, "b"}, {7, "a"}},
		"equal tokens ": {{5, "a"}, {5, "b"}},
	} {
		for _, splits := range []int{1, 2, 16, 1000} {
			from := int64(math.MinInt64)
			ranges := splitRing(ring, splits)
			for _, r := range ranges {
				if r.from != from || r.to <= r.from {
					t.Fatalf("%s, %d splits: %+v after %d", name, splits, r, from)
				}
				from = r.to
			}
			if from != math.MaxInt64 || len(ranges) < splits {
				t.Errorf("%s, %d splits: %d ranges, the last ends at %d", name, splits, len(ranges), from)
			}
		}
	}
}

func TestWhatMayPassIsToldFromWhatNeverWill(t *testing.T) {
	for _, c := range []struct {
		code int
		text string
		want bool
	}{
		{gocql.ErrCodeUnavailable, "", true},
		{gocql.ErrCodeOverloaded, "", true},
		{gocql.ErrCodeBootstrapping, "", true},
		{gocql.ErrCodeWriteTimeout, "", true},
		{gocql.ErrCodeWriteFailure, "", true},
		{gocql.ErrCodeReadTimeout, "", true},
		{gocql.ErrCodeReadFailure, "", true},
		{gocql.ErrCodeServer, "java.lang.RuntimeException", true},
		{gocql.ErrCodeServer, "Rejected an oversized mutation (17/16)", false},
		{gocql.ErrCodeInvalid, "unconfigured table ratings", true},
		{gocql.ErrCodeInvalid, "Keyspace 'x' does not exist", true},
		{gocql.ErrCodeInvalid, "Key may not be empty", false},
		{gocql.ErrCodeInvalid, "Undefined column name colour", false},
		{gocql.ErrCodeSyntax, "", false},
		{gocql.ErrCodeUnauthorized, "", false},
	} {
		if got := isPassingCode(c.code, c.text); got != c.want {
			t.Errorf("%#x %q: %v", c.code, c.text, got)
		}
	}
	for _, err := range []error{
		gocql.ErrNoConnections, gocql.ErrTimeoutNoResponse, gocql.ErrConnectionClosed, gocql.ErrNoStreams, gocql.ErrSessionClosed,
		io.EOF, fmt.Errorf("x: %w", gocql.ErrNoConnections),
	} {
		if !isPassing(err) {
			t.Errorf("%v does not pass", err)
		}
	}
	_, marshal := gocql.Marshal(native(gocql.TypeFloat), "x")
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, errClosed, marshal, errCellSize, errors.New("gocql: expected 19 values send got 18")} {
		if isPassing(err) {
			t.Errorf("%v passes", err)
		}
	}
}

func column(name string, kind gocql.Type) gocql.ColumnInfo {
	return gocql.ColumnInfo{Name: name, TypeInfo: native(kind)}
}

func layout(chains []chain) string {
	var all []string
	for _, c := range chains {
		var batches []string
		for _, batch := range c {
			var rows []string
			for _, row := range batch {
				rows = append(rows, fmt.Sprint(row.message))
			}
			batches = append(batches, strings.Join(rows, ","))
		}
		all = append(all, strings.Join(batches, " then "))
	}
	return strings.Join(all, " | ")
}

func TestRowsOfOnePartitionAreWrittenTogether(t *testing.T) {
	columns := []gocql.ColumnInfo{column("user", gocql.TypeBigInt), column("movie", gocql.TypeBigInt)}
	rows := func(p *plan, pairs ...[2]int64) []encodedRow {
		var all []encodedRow
		for i, pair := range pairs {
			row, err := p.encode(i, []any{pair[0], pair[1]})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, row)
		}
		return all
	}
	pairs := [][2]int64{{1, 1}, {2, 1}, {1, 2}, {1, 1}, {1, 3}}
	for name, c := range map[string]struct {
		plan  plan
		timed bool
		want  string
	}{
		"with a time":            {plan{columns, []int{0}, []int{0, 1}, false}, true, "0,2,3,4 | 1"},
		"a key comes again":      {plan{columns, []int{0}, []int{0, 1}, false}, false, "0,2 then 3,4 | 1"},
		"the key is not known":   {plan{columns, []int{0}, nil, false}, false, "0 then 2 then 3 then 4 | 1"},
		"no partition is known":  {plan{columns, nil, nil, false}, true, "0 | 1 | 2 | 3 | 4"},
		"rows that go alone":     {plan{columns, []int{0}, []int{0, 1}, true}, false, "0 then 2 then 3 then 4 | 1"},
		"a composite partition ": {plan{columns, []int{0, 1}, []int{0, 1}, false}, true, "0,3 | 1 | 2 | 4"},
	} {
		if got := layout(c.plan.group(rows(&c.plan, pairs...), c.timed)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	p := plan{columns, []int{0}, []int{0, 1}, false}
	many := make([][2]int64, 2*groupRows+1)
	for i := range many {
		many[i] = [2]int64{1, int64(i)}
	}
	if got := p.group(rows(&p, many...), true); len(got) != 3 {
		t.Errorf("%d groups of %d rows", len(got), len(many))
	}
	if got := p.group(rows(&p, many...), false); len(got) != 1 || len(got[0]) != 3 {
		t.Errorf("%d chains of %d rows", len(got), len(many))
	}
}

func TestChangesAreGroupedByUser(t *testing.T) {
	changes := ratings.Changes{
		Ratings:   []ratings.Rating{{User: 1, Movie: 2, Value: 3.5, Time: -4}, {User: 2, Movie: 2, Value: 3, Time: 4}, {User: 1, Movie: 3, Value: 3, Time: 4}},
		Unrated:   []ratings.Unrated{{User: 2, Movie: 9, Time: 7}},
		Forgotten: []ratings.Forgotten{{User: 1, Time: 5}},
		Tags:      []ratings.Tag{{User: 3, Movie: 1, Tag: "é", Time: 1}},
		Views:     []ratings.View{{User: 3, Movie: 1, Time: 1}},
	}
	groups, err := groupChanges(changes)
	if err != nil || len(groups) != 3 || len(groups[0]) != 7 || len(groups[1]) != 2 || len(groups[2]) != 2 {
		t.Fatalf("%d groups, %v", len(groups), err)
	}
	cells := func(entry gocql.BatchEntry) (values []int64) {
		for _, arg := range entry.Args {
			data, _ := arg.(*rawCell).MarshalCQL(nil)
			if len(data) == 8 {
				values = append(values, int64(binary.BigEndian.Uint64(data)))
			}
		}
		return values
	}
	if got := cells(groups[0][0]); !slices.Equal(got, []int64{1, 2, -4, -4000}) {
		t.Errorf("rating: %v", got)
	}
	if got := cells(groups[1][1]); groups[1][1].Stmt != deleteRating || !slices.Equal(got, []int64{7000, 2, 9}) {
		t.Errorf("unrate: %v", got)
	}
	if _, err := groupChanges(ratings.Changes{Views: []ratings.View{{User: 1, Time: math.MaxInt64}}}); err == nil || !strings.Contains(err.Error(), "beyond") {
		t.Errorf("a time without end: %v", err)
	}
}

func TestValuesFitTheirColumns(t *testing.T) {
	at := time.UnixMilli(964982703000).UTC()
	for _, c := range []struct {
		kind  gocql.Type
		value any
		want  any // nil: refused
	}{
		{gocql.TypeBigInt, "514", int64(514)},
		{gocql.TypeBigInt, 514.0, int64(514)},
		{gocql.TypeBigInt, 5.5, nil},
		{gocql.TypeBigInt, "x", nil},
		{gocql.TypeInt, int64(1) << 40, nil},
		{gocql.TypeFloat, "2.5", float32(2.5)},
		{gocql.TypeFloat, 2.5, float32(2.5)},
		{gocql.TypeFloat, 1e300, nil},
		{gocql.TypeDouble, int64(2), 2.0},
		{gocql.TypeTimestamp, int64(964982703), at},
		{gocql.TypeTimestamp, "964982703", at},
		{gocql.TypeTimestamp, "2000-07-30T18:45:03Z", at},
		{gocql.TypeVarchar, int64(7), "7"},
		{gocql.TypeBoolean, true, true},
		{gocql.TypeUUID, "c7d1b2a4-9a6e-11ee-b9d1-0242ac120002", gocql.UUID{0xc7, 0xd1, 0xb2, 0xa4, 0x9a, 0x6e, 0x11, 0xee, 0xb9, 0xd1, 2, 0x42, 0xac, 0x12, 0, 2}},
	} {
		info := native(c.kind)
		got, err := encodeValue(info, c.value)
		if c.want == nil {
			if err == nil {
				t.Errorf("%v %v: % x", c.kind, c.value, got)
			}
			continue
		}
		want, wantErr := gocql.Marshal(info, c.want)
		if err != nil || wantErr != nil || string(got) != string(want) {
			t.Errorf("%v %v: % x, %v, want % x, %v", c.kind, c.value, got, err, want, wantErr)
		}
	}
	if got, err := encodeValue(native(gocql.TypeInt), nil); got != nil || err != nil {
		t.Errorf("null: %v, %v", got, err)
	}
}

func TestAnEventTimeIsMicroseconds(t *testing.T) {
	for _, c := range []struct {
		value any
		want  int64
	}{
		{int64(5), 5},
		{5.0, 5},
		{"5", 5},
		{"1970-01-01T00:00:01Z", 1_000_000},
		{time.UnixMilli(2), 2000},
	} {
		if got, err := writeTime(c.value); got != c.want || err != nil {
			t.Errorf("%v: %d, %v", c.value, got, err)
		}
	}
	for _, value := range []any{nil, "soon", 1.5} {
		if got, err := writeTime(value); err == nil {
			t.Errorf("%v: %d", value, got)
		}
	}
}

func TestTheSchemaIsReadAndCompared(t *testing.T) {
	wanted, err := wantedTables("Mine")
	if err != nil || len(wanted) != 10 {
		t.Fatalf("%d tables, %v", len(wanted), err)
	}
	found := foundTables{}
	for _, table := range wanted {
		found[table.name] = map[string]string{}
		for _, c := range table.columns {
			found[table.name][c.name] = c.cqlType
		}
	}
	if problems := compareTables("Mine", wanted, found); len(problems) != 0 {
		t.Errorf("it differs from itself: %v", problems)
	}
	for _, table := range wanted {
		if got := missingColumns("Mine", table, found[table.name]); got != nil {
			t.Errorf("to be added: %q", got)
		}
	}
	older := map[string]string{"movie_id": "bigint", "title": "text", "genres": "set<text>"}
	at := slices.IndexFunc(wanted, func(s schemaTable) bool { return s.name == "movies" })
	if got := missingColumns("Mine", wanted[at], older); !slices.Equal(got, []string{`ALTER TABLE "Mine".movies ADD item text`}) {
		t.Errorf("setup of an older keyspace does %q", got)
	}
	found["ratings"]["rating"] = "double"
	delete(found["links"], "tmdb_id")
	delete(found["tags"], "tag")
	delete(found, "movies")
	var texts []string
	for _, p := range compareTables("Mine", wanted, found) {
		texts = append(texts, p.String())
	}
	all := strings.Join(texts, "\n")
	for _, part := range []string{
		`"Mine".ratings.rating: its type is double, not float`,
		`"Mine".links.tmdb_id: there is no such column; mend it with: ALTER TABLE "Mine".links ADD tmdb_id bigint`,
		`"Mine".tags.tag: there is no such column, and it belongs to the primary key`,
		`"Mine".movies: there is no such table; mend it with: CREATE TABLE IF NOT EXISTS "Mine".movies ( movie_id bigint, title text, genres set<text>,`,
	} {
		if !strings.Contains(all, part) {
			t.Errorf("%s\nlacks %s", all, part)
		}
	}
	statements, err := schemaStatements("k", "{'class': 'SimpleStrategy', 'replication_factor': 1}")
	if err != nil || len(statements) != 11 ||
		statements[0] != "CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = true" {
		t.Errorf("%d statements, %v: %s", len(statements), err, statements[0])
	}
}

func TestRowsAreJSONAndNullStaysNull(t *testing.T) {
	for _, c := range []struct {
		kind  gocql.Type
		value any
		want  string
	}{
		{gocql.TypeBigInt, int64(1) << 60, "1152921504606846976"},
		{gocql.TypeFloat, float32(0.1), "0.1"},
		{gocql.TypeDouble, math.Inf(1), `"+Inf"`},
		{gocql.TypeTimestamp, time.UnixMilli(964982703500), `"2000-07-30T18:45:03.5Z"`},
		{gocql.TypeVarchar, "a\"é", `"a\"é"`},
		{gocql.TypeBoolean, true, "true"},
		{gocql.TypeSmallInt, int16(-3), "-3"},
		{gocql.TypeBlob, []byte{1, 2}, `"AQI="`},
	} {
		info := native(c.kind)
		data, err := gocql.Marshal(info, c.value)
		var cell jsonCell
		if err == nil {
			err = cell.UnmarshalCQL(info, data)
		}
		if err != nil || string(cell.text) != c.want {
			t.Errorf("%v: %s, %v, want %s", c.kind, cell.text, err, c.want)
		}
		if err := cell.UnmarshalCQL(info, nil); err != nil || string(cell.text) != "null" {
			t.Errorf("%v: null is %s, %v", c.kind, cell.text, err)
		}
	}
}

func native(kind gocql.Type) gocql.TypeInfo { return gocql.NewNativeType(4, kind, "") }

// TestTheTimeOfWritingMayBeText: it was read as JSON, as which it has several values.
func TestTheTimeOfWritingMayBeText(t *testing.T) {
	want := time.Date(2026, 1, 2, 15, 4, 5, 678_000_000, time.UTC).UnixMicro()
	for _, mapping := range []string{"root = this.at", "root = this.at.ts_parse(\"2006-01-02T15:04:05Z07:00\")", "root = this.micros", "root = this.micros.string()"} {
		conf, err := outputSpec().ParseYAML("addresses: [a]\nquery: INSERT INTO t (a) VALUES (?)\nusing_timestamp: '"+mapping+"'\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseOutputConfig(conf)
		if err != nil {
			t.Fatal(err)
		}
		batch := service.MessageBatch{service.NewMessage(fmt.Appendf(nil, `{"at":"2026-01-02T15:04:05.678Z","micros":%d}`, want))}
		o := &output{config: c}
		values, err := o.withTime(executor(batch, c.eventTime), 0, []any{"a"})
		if err != nil || len(values) != 2 || values[1] != want {
			t.Errorf("%s: %v, %v", mapping, values, err)
		}
	}
}
