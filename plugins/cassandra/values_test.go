//go:build cluster

package cassandra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// readAllRows runs an input to its end.
func readAllRows(t *testing.T, s Settings, query string) []string {
	t.Helper()
	conf, err := inputSpec().ParseYAML(fmt.Sprintf("addresses: [%q]\nkeyspace: %s\nbatch_size: 7\nquery: %q", s.Addresses[0], s.Keyspace, query), nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseInputConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	in := newInput(parsed, nil)
	if err := in.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for {
		batch, ack, err := in.ReadBatch(t.Context())
		if errors.Is(err, service.ErrEndOfInput) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range batch {
			data, _ := msg.AsBytes()
			rows = append(rows, string(data))
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return rows
}

func TestValuesOfAllTypesComeBackAsTheyWereWritten(t *testing.T) {
	settings := newKeyspace(t, sharedNode(t))
	session := sessionOf(t, settings)
	execCQL(t, session, "CREATE TYPE pair (a int, b text)")
	execCQL(t, session, `CREATE TABLE v (k text, c int, l list<int>, s set<text>, m map<int, text>, tu tuple<int, text>, u frozen<pair>,
		de decimal, vi varint, d date, ti time, i inet, id uuid, bo boolean, bl blob, sm smallint, ts timestamp, nothing text, PRIMARY KEY (k, c))`)
	conf, err := outputSpec().ParseYAML(fmt.Sprintf(`
addresses: [%q]
keyspace: %s
query: INSERT INTO v (k, c, l, s, m, u, de, vi, d, ti, i, id, bo, bl, sm, ts, nothing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
args_mapping: 'root = [this.k, this.c, this.l, this.s, this.m, this.u, this.de, this.vi, this.d, this.ti, this.i, this.id, this.bo, this.bl, this.sm, this.ts, null]'
`, settings.Addresses[0], settings.Keyspace), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, _, _, err := newOutputFromConfig(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close(context.Background()) //nolint:errcheck // nothing is left to write
	const row = `{"k":"a","c":1,"l":[3,1],"s":["x","y"],"m":{"1":"one"},"tu":[1,"t"],"u":{"a":1,"b":"u"},"de":"1.50","vi":12345678901,` +
		`"d":"2001-02-03","ti":1000,"i":"10.0.0.1","id":"c7d1b2a4-9a6e-11ee-b9d1-0242ac120002","bo":true,"bl":"AQI=","sm":-2,"ts":"2001-02-03T04:05:06.007Z"}`
	if err := out.WriteBatch(t.Context(), messages(row)); err != nil {
		t.Fatal(err)
	}
	execCQL(t, session, "UPDATE v SET tu = (1, 't') WHERE k = 'a' AND c = 1") // the output refuses tuples
	rows := readAllRows(t, settings, "SELECT * FROM v")
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	var got, want map[string]any
	if err := errors.Join(json.Unmarshal([]byte(rows[0]), &got), json.Unmarshal([]byte(row), &want)); err != nil {
		t.Fatalf("%s: %v", rows[0], err)
	}
	want["nothing"] = nil
	want["d"], want["bl"] = got["d"], "QVFJPQ==" // a time.Time by the driver; blobs take the text's bytes
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: got %v, want %v", name, got[name], want[name])
		}
	}
	if one := readAllRows(t, settings, "SELECT c FROM v WHERE k = 'a'"); len(one) != 1 || one[0] != `{"c":1}` {
		t.Errorf("a query of one partition gives %q", one)
	}
}

// TestOneOfThreeNodesMayDieOrFreeze: with three copies nothing waits for long.
func TestOneOfThreeNodesMayDieOrFreeze(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 3})
	settings := newKeyspace(t, NewSettings("", cluster.Addresses()...))
	out := openOutput(t, settings, "host_selection_policy: {local_dc: datacenter1}\nconsistency: LOCAL_QUORUM")
	for _, c := range []struct {
		name     string
		down, up func() error
	}{
		{"killed", cluster.Nodes[2].Kill, func() error { return cluster.Nodes[2].Start(context.Background()) }},
		{"frozen", cluster.Nodes[1].Pause, cluster.Nodes[1].Resume},
	} {
		before := time.Now()
		writeMany(t, out, 10_000, func() {
			if err := c.down(); err != nil {
				t.Error(err)
			}
		})
		t.Logf("%s: 10,000 rows in %s", c.name, time.Since(before).Round(time.Millisecond))
		store := openStore(t, settings, StoreOptions{})
		t.Logf("%s: a new store is connected after %s", c.name, time.Since(before).Round(time.Millisecond))
		if n, _, err := store.Count(t.Context(), "ratings"); n != 10_000 || err != nil {
			t.Errorf("%s: %d rows of 10000, %v", c.name, n, err)
		}
		t.Logf("%s: written and scanned after %s", c.name, time.Since(before).Round(time.Millisecond))
		if err := c.up(); err != nil {
			t.Error(err)
		}
		execCQL(t, sessionOf(t, settings), "TRUNCATE ratings")
	}
}
