//go:build cluster

package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAWrongPasswordIsToldAndNoPasswordIs: each server in turn is given a wrong one, by
// each command that logs in and by a pipeline that logs all it can. One line says whose
// login is wrong; neither that password nor the right ones of the others are in any.
func TestAWrongPasswordIsToldAndNoPasswordIs(t *testing.T) {
	const wrong, ofCassandra = "s3cret-and-wrong", "s3cret-of-cassandra" // the administrator's is "cassandra", which much is named
	s := sharedSystem(t, 1)
	s.cql(t, "CREATE ROLE IF NOT EXISTS secretive WITH PASSWORD = '"+ofCassandra+"' AND LOGIN = true AND SUPERUSER = true")
	for _, server := range []struct{ name, variable, pipeline, says, mend string }{
		{"Kafka", "KAFKA_PASSWORD", "ingest", "wrong user name or password", "KAFKA_BROKERS"},
		{"Cassandra", "CASSANDRA_PASSWORD", "ingest", "wrong password", "CASSANDRA_ADDRESSES"},
		{"Elasticsearch", "ELASTICSEARCH_PASSWORD", "index", "refuses the user name, password or API key", "ELASTICSEARCH_URLS"},
	} {
		env := []string{"LOG_LEVEL=TRACE", "CASSANDRA_USER=secretive", "CASSANDRA_PASSWORD=" + ofCassandra, server.variable + "=" + wrong}
		tellsNone := func(t *testing.T, p *process) {
			t.Helper()
			for _, secret := range []string{wrong, ofCassandra, s.kafka.Password, s.elasticsearch.Password} {
				for _, line := range p.lines(secret) {
					t.Errorf("%s tells the password %s: %s", p.name, secret, line)
				}
			}
		}
		command := func(code int, parts []string, args ...string) {
			t.Run(strings.Join(args[:min(2, len(args))], " ")+", "+server.name, func(t *testing.T) {
				t.Parallel()
				p := s.launch(t, args[0], env, args...)
				if got := p.end(t, 2*time.Minute); got != code {
					t.Errorf("it ended with code %d, want %d\n%s", got, code, p.tail())
				}
				if len(p.lines(parts...)) != 1 {
					t.Errorf("no single line says %q\n%s", parts, p.tail())
				}
				tellsNone(t, p)
			})
		}
		command(1, []string{"setting up " + server.name, server.says}, "setup")
		command(1, []string{server.says}, "setup", "--check")
		command(3, []string{server.says, "correct " + server.mend}, "doctor", "--json", "-r", "config/cluster.yaml")
		t.Run(server.pipeline+".yaml, "+server.name, func(t *testing.T) {
			t.Parallel()
			p := s.pipelines(t, []string{server.pipeline}, env...)
			eventually(t, 2*time.Minute, func() error { // the question has Benthos open the output, which nothing was written to yet
				response, err := http.Get("http://" + p.admin + "/ready")
				if err != nil {
					return err
				}
				if len(p.lines(server.says)) == 0 {
					err = fmt.Errorf("%s does not say %q\n%s", p.name, server.says, p.tail())
				}
				return errors.Join(err, response.Body.Close())
			})
			p.Kill()
			tellsNone(t, p)
		})
	}
}
