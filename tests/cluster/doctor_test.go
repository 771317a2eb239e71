//go:build cluster

package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// TestDoctorLooksAtRealServers: everything is found to be well, and each fault that is
// planted is named with what mends it.
func TestDoctorLooksAtRealServers(t *testing.T) {
	s := sharedSystem(t, 1)
	admin, err := binary.FreeAddress() // of others on this machine there is nothing to say
	if err != nil {
		t.Fatal(err)
	}
	page, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	doctor := func(t *testing.T, wantCode int, env ...string) gjson.Result {
		t.Helper()
		p := s.launch(t, "doctor", env, "doctor", "--json", "--admin", admin, "--listen", page, "-r", "config/cluster.yaml")
		if code := p.end(t, time.Minute); code != wantCode {
			t.Errorf("it ended with code %d, want %d\n%s", code, wantCode, p.tail())
		}
		return gjson.Parse(p.log.String())
	}
	t.Run("all is well", func(t *testing.T) {
		said := doctor(t, 0)
		if found := said.Get(`findings.#(level!="ok")#`).Array(); len(found) > 0 {
			t.Errorf("found %v", found)
		}
		t.Log(said.Raw)
		for _, part := range []string{"Kafka answers", "Cassandra is ", "Elasticsearch is ", "topics are as the pipelines need them", "Cassandra's keyspace", "Elasticsearch's templates"} {
			if !strings.Contains(said.Raw, part) {
				t.Errorf("nothing says %q", part)
			}
		}
	})
	for _, fault := range []struct {
		name  string
		env   []string
		code  int
		parts []string
	}{
		{"a keyspace that is not there", []string{"CASSANDRA_KEYSPACE=nowhere"}, 3, []string{"nowhere", "recsys-benthos setup"}},
		{"a broker that is away", []string{"KAFKA_BROKERS=127.0.0.1:1"}, 3, []string{"connection refused", "correct KAFKA_BROKERS"}},
		{"other partitions than wanted, a warning", []string{"KAFKA_PARTITIONS=8"}, 0, []string{"topic events", "has 4 partitions, want 8"}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			expectParts(t, doctor(t, fault.code, fault.env...).Raw, fault.parts...)
		})
	}
}
