package secrets

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/tests/binary"
	"github.com/recsys-benthos/recsys-benthos/tests/serving"
)

// A variable whose name ends so holds a secret.
var secretName = regexp.MustCompile(`(?:^|[^…A-Za-z0-9_])([A-Z][A-Z0-9_]*_(?:PASSWORD|KEY|SECRET|TOKEN))\b`)

func TestEverySecretOfTheConfigurationIsListed(t *testing.T) {
	var files []string
	for _, pattern := range []string{"config/*.yaml", "pipelines/*.yaml", "compose.yaml", "cmd/recsys-benthos/commands/*.go"} {
		found, err := filepath.Glob(filepath.Join(serving.Root(), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range secretName.FindAllStringSubmatch(string(text), -1) {
			name := match[1]
			found[name] = true
			if !slices.Contains(variables, name) {
				t.Errorf("%s has %s, which is not among the variables of tests/secrets", file, name)
			}
		}
	}
	for _, name := range variables {
		if !found[name] {
			t.Errorf("nothing reads %s any more", name)
		}
	}
}

// TestNoSecretIsServedOrKept by a process that works, on one machine, with all that it
// logs: the admin server, the interface and the page, metrics, topics, stores and the
// registry.
func TestNoSecretIsServedOrKept(t *testing.T) {
	secrets := newValues(variables...)
	admin, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	env := append(secrets.settings(t), "LOG_LEVEL=TRACE", "RECSYS_ADMIN="+admin, "RECSYS_RETRAIN=1000000")
	s, err := serving.Start(serving.Config{
		Program: program, Env: env,
		Pipelines: []string{"dashboard", "predict", "recommend", "ingest", "index", "models", "probation"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	key := func(name string) map[string]string { return map[string]string{"X-API-Key": secrets[name]} }
	wrong := secrets["RECSYS_API_READ_KEY"] + "x"
	for _, r := range []struct {
		method, path, body string
		header             map[string]string
		want               int
	}{
		{"GET", "/api/recommend/1?n=3", "", key("RECSYS_API_READ_KEY"), 200},
		{"GET", "/api/recommend/1?n=3", "", map[string]string{"Authorization": "Bearer " + wrong}, 401},
		{"POST", "/api/feedback", `[{"event_type":"rate","user_id":1,"movie_id":1,"value":4}]`, key("RECSYS_API_WRITE_KEY"), 0},
		{"POST", "/api/feedback", `[{"event_type":"rate","user_id":1,"movie_id":"` + wrong[:1] + `"}]`, key("RECSYS_API_READ_KEY"), 403},
		{"GET", "/api/models", "", key("RECSYS_API_ADMIN_KEY"), 0},
		{"GET", "/", "", nil, 200},
		{"GET", "/app.js", "", nil, 0},
		{"GET", "/live/snapshot", "", nil, 0},
		{"GET", "/api/docs", "", nil, 0},
		{"GET", "/api/openapi.json", "", nil, 0},
		{"GET", "/no/such/page", "", nil, 0},
	} {
		status, text := ask(t, r.method, s.Base+r.path, r.body, r.header)
		if r.want != 0 && status != r.want {
			t.Errorf("%s %s answers %d, want %d: %s", r.method, r.path, status, r.want, text)
		}
		secrets.absent(t, r.method+" "+r.path, text)
	}
	searchAdmin(t, secrets, admin)
	if n := secrets.absentIn(t, s.State); n < 3 {
		t.Errorf("only %d files in the state folder", n)
	}
	if text := s.Output.String(); !strings.Contains(text, "level=debug") && !strings.Contains(text, "level=trace") {
		t.Errorf("the log is not at its most talkative:\n%s", s.Output.Tail())
	}
	secrets.absent(t, "the log", s.Output.String())
}

// searchAdmin reads all that the admin server says it serves, and each stream.
func searchAdmin(t *testing.T, secrets values, admin string) {
	t.Helper()
	header := map[string]string{"Authorization": basicAuth("admin", secrets["RECSYS_ADMIN_PASSWORD"])}
	get := func(path string, into any) {
		status, text := ask(t, http.MethodGet, "http://"+admin+path, "", header)
		secrets.absent(t, "admin "+path, text)
		if into == nil {
			return
		}
		if err := json.Unmarshal([]byte(text), into); err != nil || status != http.StatusOK {
			t.Fatalf("%s answers %d, %v: %s", path, status, err, text)
		}
	}
	endpoints, streams := map[string]string{}, map[string]any{}
	get("/endpoints", &endpoints)
	get("/streams", &streams)
	if len(endpoints) < 5 || len(streams) < 8 {
		t.Errorf("%d endpoints, %d streams", len(endpoints), len(streams))
	}
	for path := range endpoints {
		if !strings.Contains(path, "{") {
			get(path, nil)
		}
	}
	for id := range streams {
		get("/streams/"+id, nil)
		get("/streams/"+id+"/stats", nil)
	}
}

func basicAuth(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// TestNoSecretIsInWhatCommandsSay: help, and servers that are not there, with passwords
// in variables, in files, and where nobody should put them, in addresses.
func TestNoSecretIsInWhatCommandsSay(t *testing.T) {
	secrets := newValues(variables...)
	secrets["in the URL of Elasticsearch"], secrets["in the URL of Kibana"] = newValues("x")["x"], newValues("x")["x"]
	secrets["in the URL of the registry"] = newValues("x")["x"]
	delete(secrets, "ELASTICSEARCH_API_KEY") // excludes the password
	delete(secrets, "KIBANA_API_KEY")
	admin, err := binary.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	closed := "127.0.0.1:1"
	env := append(secrets.settings(t),
		"LOG_LEVEL=TRACE", "RECSYS_ADMIN="+admin, "RECSYS_STATE="+t.TempDir(),
		"KAFKA_BROKERS="+closed, "KAFKA_SASL=SCRAM-SHA-512", "KAFKA_USER=someone",
		"CASSANDRA_ADDRESSES="+closed, "CASSANDRA_AUTH=true", "CASSANDRA_USER=someone",
		"ELASTICSEARCH_URLS=http://someone:"+secrets["in the URL of Elasticsearch"]+"@"+closed, "ELASTICSEARCH_AUTH=true", "ELASTICSEARCH_USER=someone",
		"KIBANA_URL=http://someone:"+secrets["in the URL of Kibana"]+"@"+closed, "KIBANA_USER=someone")
	service := []string{"-o", "config/service.yaml", "-r", "config/cluster.yaml"}
	for _, c := range [][]string{
		{"setup", "--timeout", "1s"},
		{"setup", "--check", "--timeout", "1s"},
		{"doctor", "-r", "config/cluster.yaml", "--timeout", "1s", "--json"},
		{"health", "--check", "--timeout", "1s"},
		{"watch", "--profile", "config/cluster.yaml", "--once"},
		{"load", "--data", recsystest.DataDir(t)},
		{"lint", "-r", "config/cluster.yaml", "./pipelines/..."},
		append(append([]string{"streams"}, service...), "pipelines/ingest.yaml", "pipelines/index.yaml", "pipelines/forget.yaml"),
		append(append([]string{"streams"}, service...), "pipelines/predict.yaml", "pipelines/models.yaml"),
	} {
		said, _ := run(t, 6*time.Second, env, c...)
		if said == "" && c[0] != "lint" {
			t.Errorf("%q says nothing", c)
		}
		secrets.absent(t, fmt.Sprintf("%q", c), said)
	}
	bad := secrets["in the URL of the registry"]
	for _, registry := range []string{"s3://someone:" + bad + "@bucket/folder", "gs://someone:" + bad + "@bucket", "file://someone:" + bad + "@host/folder", "s3://bucket/folder?secret=" + bad, "s3://bucket/folder?region=r&endpoint=http://someone:" + bad + "@host", "http://someone:" + bad + "@host:x/%zz"} {
		said, code := run(t, patience, append(env, "RECSYS_REGISTRY="+registry), "models", "list")
		if code == 0 || said == "" {
			t.Errorf("%s is taken", registry)
		}
		secrets.absent(t, "models list", said)
	}
}

// TestNoSecretIsInTheHelp of any command.
func TestNoSecretIsInTheHelp(t *testing.T) {
	secrets := newValues(variables...)
	env := secrets.settings(t)
	said, _ := run(t, patience, env, "--help")
	secrets.absent(t, "--help", said)
	commands := regexp.MustCompile(`(?m)^ +([a-z-]+)(?:, [a-z]+)*  +\S`).FindAllStringSubmatch(said, -1)
	if len(commands) < 20 {
		t.Fatalf("%d commands are found in\n%s", len(commands), said)
	}
	for _, c := range commands {
		said, _ := run(t, patience, env, c[1], "--help")
		secrets.absent(t, c[1]+" --help", said)
		if c[1] == "setup" && !strings.Contains(said, "--kibana-password") {
			t.Errorf("setup --help says\n%s", said)
		}
	}
}

// TestAPasswordWithQuotes is not told when it makes the configuration unreadable, as a quote
// does that is given by a variable. From a file it is no trouble.
func TestAPasswordWithQuotes(t *testing.T) {
	secrets := values{"KAFKA_PASSWORD": `s3cret-of-"mine" \ with: {all}`, "part": "s3cret-of-"}
	said, _ := run(t, patience, []string{"KAFKA_PASSWORD=" + secrets["KAFKA_PASSWORD"]}, "lint", "config/cluster.yaml")
	if !strings.Contains(said, "yaml") {
		t.Errorf("lint says: %s", said)
	}
	secrets.absent(t, "lint", said)
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(secrets["KAFKA_PASSWORD"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := run(t, patience, []string{"KAFKA_PASSWORD_FILE=" + path}, "lint", "config/cluster.yaml"); code != 0 {
		t.Errorf("from a file: %s", said)
	}
}

// TestAFileThatIsNamedMustBeThere: no command goes on without.
func TestAFileThatIsNamedMustBeThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, name := range variables {
		said, code := run(t, patience, []string{name + "_FILE=" + missing}, "lint", "config/cluster.yaml")
		if code == 0 || !strings.Contains(said, name+"_FILE") || !strings.Contains(said, missing) {
			t.Errorf("%s: code %d, %s", name, code, said)
		}
	}
	pipeline := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(pipeline, []byte("input: {generate: {count: 1, interval: '', mapping: 'root = \"${OF_ANOTHER:default}\"'}}\noutput: {stdout: {}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"lint", pipeline}, {"run", pipeline}, {"streams", pipeline}} {
		said, code := run(t, patience, []string{"OF_ANOTHER_FILE=" + missing}, args...)
		if code == 0 || !strings.Contains(said, "OF_ANOTHER_FILE") || !strings.Contains(said, missing) {
			t.Errorf("%q of a variable of the user's: code %d, %s", args[:1], code, said)
		}
	}
}
