package terminal

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

// finding is one line of doctor --json.
type finding struct{ Area, Level, What, Mend string }

// examined is what doctor --json says.
type examined struct {
	Problems, Warnings int
	Findings           []finding
	code               int
}

// examine runs doctor with ports that are free, unless args say otherwise.
func examine(t *testing.T, variables []string, args ...string) (e examined) {
	t.Helper()
	got := run(t, append(variables, "RECSYS_ADMIN="+freeAddress(t), "RECSYS_LISTEN="+freeAddress(t)), append([]string{"doctor", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil {
		t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
	}
	e.code = got.code
	if want := 3 * min(e.Problems, 1); got.code != want {
		t.Errorf("it ended with %d and %d problems", got.code, e.Problems)
	}
	return e
}

// finds expects a finding that says all of what, and a mending that says all of mend.
func (e examined) finds(t *testing.T, area, level string, what, mend []string) {
	t.Helper()
	if !slices.ContainsFunc(e.Findings, func(f finding) bool {
		return f.Area == area && f.Level == level && says(f.What, what) && says(f.Mend, mend)
	}) {
		t.Errorf("no %s of %s says %q and mends it by %q: %+v", level, area, what, mend, e.Findings)
	}
	for _, f := range e.Findings {
		if (f.Level == "ok") != (f.Mend == "") {
			t.Errorf("%+v: what is not ok, and only that, has a mending", f)
		}
	}
}

func says(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestDoctorFindsNothingWrongWithWhatRuns(t *testing.T) {
	f := prepared(t)
	state, did := played(t, f)
	address := freeAddress(t)
	serveBroker(t, state, address)
	variables := []string{"KAFKA_BROKERS=" + address, "RECSYS_MOVIES=" + f.data}
	e := examine(t, variables, "--state", state)
	if e.Problems+e.Warnings != 0 {
		t.Errorf("%+v", e.Findings)
	}
	e.finds(t, "connection", "ok", []string{"Kafka answers at " + address}, nil)
	e.finds(t, "topics", "ok", []string{"9 topics"}, nil)
	e.finds(t, "versions", "ok", []string{"Kafka"}, nil)
	e.finds(t, "schema", "ok", []string{"ratings.db has", "ratings"}, nil)
	e.finds(t, "clock", "ok", []string{"newest record in Kafka"}, nil)
	e.finds(t, "disk", "ok", []string{"are free in " + state}, nil)
	e.finds(t, "model", "ok", []string{did.ModelVersion, "checksum"}, nil)
	e.finds(t, "model", "ok", []string{"movies of the champion are in " + f.data}, nil)
	e.finds(t, "ports", "ok", []string{"is free for the live page"}, nil)

	t.Run("a topic is missing", func(t *testing.T) {
		client, err := kgo.NewClient(kgo.SeedBrokers(address))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := kadm.NewClient(client).DeleteTopic(t.Context(), "recommendations"); err != nil {
			t.Fatal(err)
		}
		e := examine(t, variables, "--state", state)
		e.finds(t, "topics", "problem", []string{"topic recommendations", "no such topic"}, []string{"start recsys-benthos up"})
	})
	t.Run("a clock is ahead", func(t *testing.T) {
		client, err := kgo.NewClient(kgo.SeedBrokers(address))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ahead := &kgo.Record{Topic: "dead_letters", Value: []byte("{}"), Timestamp: time.Now().Add(time.Hour)}
		if err := client.ProduceSync(t.Context(), ahead).FirstErr(); err != nil {
			t.Fatal(err)
		}
		e := examine(t, variables, "--state", state)
		e.finds(t, "clock", "problem", []string{"newest record in Kafka is", "ahead of this machine's clock"}, []string{"NTP"})
	})
	t.Run("the database is no database", func(t *testing.T) {
		broken := t.TempDir()
		if err := os.WriteFile(filepath.Join(broken, "ratings.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		examine(t, variables, "--state", broken).finds(t, "schema", "problem", []string{"ratings.db cannot be read"}, []string{"move the file away"})
	})
}

func TestDoctorIsBriefWhereNothingRuns(t *testing.T) {
	address := freeAddress(t)
	got := run(t, []string{"KAFKA_BROKERS=" + address}, "doctor", "--admin", freeAddress(t), "--listen", freeAddress(t))
	if got.code != 0 || got.stderr != "" || strings.Count(got.stdout, "mend it:") != 2 {
		t.Errorf("it ended with %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	expect(t, got.stdout, "nothing is running: no Kafka broker answers at "+address, "recsys-benthos up", "no version is champion yet", "0 problems and 2 warnings")
}

func TestDoctorFindsADamagedModel(t *testing.T) {
	f := prepared(t)
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(strings.TrimPrefix(f.registry, "file://"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "models", champion(t, f), "model.safetensors")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	e := examine(t, []string{"RECSYS_REGISTRY=file://" + folder})
	e.finds(t, "model", "problem", []string{"cannot be loaded", "sha256"}, []string{"models rollback", "models verify"})
}

func TestDoctorSaysHowOldAndHowKnownTheChampionIs(t *testing.T) {
	f := prepared(t)
	other := filepath.Join(t.TempDir(), "movies.csv")
	if err := os.WriteFile(other, []byte("movieId,title,genres\n1,One (1990),Drama\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := examine(t, []string{"RECSYS_REGISTRY=" + f.registry, "RECSYS_MOVIES=" + other}, "--model-age", "1ns")
	e.finds(t, "model", "warning", []string{"the champion " + champion(t, f) + " is from"}, []string{"recsys-benthos train"})
	e.finds(t, "model", "warning", []string{"44 of the champion's 45 movies"}, []string{"RECSYS_MOVIES"})
}

func TestDoctorFindsMistakesInTheConfiguration(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../../config/embedded.yaml")
	must(err)
	for name, c := range map[string]struct {
		from, to, area string
		what, mend     []string
	}{
		"a misspelled field":      {"seed_brokers:", "sedd_brokers:", "config", []string{"line 6", "sedd_brokers"}, []string{"recsys-benthos lint -r"}},
		"a variable that is none": {"${KAFKA_BROKERS:127.0.0.1:9092}", "${KAFKA_BROKERZ}", "config", []string{"KAFKA_BROKERZ"}, []string{"${NAME:default}"}},
		"no YAML":                 {"cache_resources:", "cache_resources: [", "profile", []string{"reading the profile"}, []string{"-r"}},
	} {
		t.Run(name, func(t *testing.T) {
			profile := filepath.Join(t.TempDir(), "profile.yaml")
			must(os.WriteFile(profile, []byte(strings.Replace(string(text), c.from, c.to, 1)), 0o600))
			examine(t, nil, "-r", profile).finds(t, c.area, "problem", c.what, c.mend)
		})
	}
	e := examine(t, []string{"KAFKA_BROKER=here:9092"})
	e.finds(t, "variables", "warning", []string{"KAFKA_BROKER is set, and nothing reads it"}, []string{"set KAFKA_BROKERS"})
	examine(t, nil, "-r", "missing.yaml").finds(t, "profile", "problem", []string{"missing.yaml"}, []string{"recsys-benthos init"})
}

func TestDoctorFindsServersThatAreAway(t *testing.T) {
	kafka, cassandra, elasticsearch := freeAddress(t), freeAddress(t), freeAddress(t)
	e := examine(t, []string{"KAFKA_BROKERS=" + kafka, "CASSANDRA_ADDRESSES=" + cassandra, "ELASTICSEARCH_URLS=http://" + elasticsearch}, "-r", "config/cluster.yaml")
	e.finds(t, "connection", "problem", []string{"Kafka", kafka}, []string{"start the brokers", "KAFKA_BROKERS"})
	e.finds(t, "connection", "problem", []string{"Cassandra", cassandra}, []string{"CASSANDRA_ADDRESSES"})
	e.finds(t, "connection", "problem", []string{"Elasticsearch", elasticsearch}, []string{"ELASTICSEARCH_URLS"})
	if e.Problems != 3 {
		t.Errorf("%d problems, each server is one: %+v", e.Problems, e.Findings)
	}
}

func TestDoctorFindsAClockOfElasticsearchThatIsBehind(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
		fmt.Fprint(w, `{"nodes":{"a":{"version":"7.17.0"}}}`)
	}))
	defer server.Close()
	e := examine(t, []string{"KAFKA_BROKERS=" + freeAddress(t), "CASSANDRA_ADDRESSES=" + freeAddress(t), "ELASTICSEARCH_URLS=" + server.URL}, "-r", "config/cluster.yaml")
	e.finds(t, "connection", "ok", []string{"Elasticsearch answers at " + server.URL}, nil)
	e.finds(t, "versions", "warning", []string{"Elasticsearch 7.17.0 is older"}, []string{"Elasticsearch 8 or newer"})
	e.finds(t, "clock", "problem", []string{"Elasticsearch's clock is", "behind this machine's clock"}, []string{"NTP"})
}

func TestDoctorFindsAFolderThatCannotBeWritten(t *testing.T) {
	const readOnly = "/sys/kernel" // nobody may write there, root included
	if _, err := os.Stat(readOnly); err != nil {
		t.Skipf("SKIPPED: there is no folder here that nobody may write: %v", err)
	}
	e := examine(t, nil, "--state", readOnly)
	e.finds(t, "disk", "problem", []string{readOnly + " cannot be written"}, []string{"right to write", "--state"})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	examine(t, nil, "--state", file).finds(t, "disk", "problem", []string{file}, []string{"--state"})
}

func TestDoctorFindsAPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 no page here\r\n")
			c.Close()
		}
	}()
	e := examine(t, nil, "--listen", l.Addr().String())
	e.finds(t, "ports", "problem", []string{l.Addr().String() + " is taken, and not by the live page"}, []string{"ss -ltnp", "RECSYS_LISTEN"})
}
