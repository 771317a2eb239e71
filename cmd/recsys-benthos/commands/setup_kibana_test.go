package commands

import (
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/recsys-benthos/recsys-benthos/config"
	"github.com/recsys-benthos/recsys-benthos/internal/kibana"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
)

// empty is a Kibana without objects that takes imports from who has the given
// Authorization.
type empty struct {
	authorization string
	imported      atomic.Int64
}

func (k *empty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != k.authorization {
		http.Error(w, `{"statusCode":401,"error":"Unauthorized","message":"no"}`, http.StatusUnauthorized)
		return
	}
	var answer any
	if strings.HasSuffix(r.URL.Path, "/_import") {
		if _, _, err := r.FormFile("file"); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		k.imported.Add(1)
		answer = map[string]any{"success": true, "successCount": 1}
	} else {
		var asked []map[string]any
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, o := range asked {
			o["error"] = map[string]any{"statusCode": 404}
		}
		answer = map[string]any{"saved_objects": asked}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// withFlags calls use as the command setup would, with these arguments.
func withFlags(t *testing.T, es *elasticsearch.Settings, use func(servers) error, args ...string) error {
	t.Helper()
	app := &cli.App{Commands: []*cli.Command{{
		Name: "setup", Flags: kibanaFlags(),
		Action: func(c *cli.Context) error {
			d, err := kibanaDashboards(c, es)
			if err != nil {
				return err
			}
			return use(servers{elasticsearch: es, kibana: d})
		},
	}}}
	return app.Run(append([]string{"recsys-benthos", "setup"}, args...))
}

func TestSetupImportsTheDashboardIntoKibana(t *testing.T) {
	k := &empty{authorization: "Basic dTpw"} // u:p
	secure := httptest.NewTLSServer(k)
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(config.Files, kibanaObjects)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kibana.Objects(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"with the user of Elasticsearch": {"--kibana-url", secure.URL, "--kibana-ca-file", ca},
		"with its own user":              {"--kibana-url", secure.URL, "--kibana-ca-file", ca, "--kibana-user", "u", "--kibana-password", "p"},
	} {
		t.Run(name, func(t *testing.T) {
			es := &elasticsearch.Settings{Username: "u", Password: "p"}
			if len(args) > 4 {
				es = &elasticsearch.Settings{APIKey: "of Elasticsearch"}
			}
			before := k.imported.Load()
			var told []string
			err := withFlags(t, es, func(s servers) error {
				tell := func(line string) { told = append(told, line) }
				if err := s.setUpKibana(t.Context(), true, tell); err != nil || k.imported.Load() != before {
					t.Errorf("a dry run: %v, %d imports", err, k.imported.Load()-before)
				}
				told = nil
				return s.setUpKibana(t.Context(), false, tell)
			}, args...)
			if err != nil || k.imported.Load() != before+1 {
				t.Fatalf("%v, %d imports", err, k.imported.Load()-before)
			}
			if len(told) != len(objects) || told[len(told)-1] != `Kibana dashboard "Movie recommender": created` {
				t.Errorf("it says %q", told)
			}
			err = withFlags(t, es, func(s servers) error {
				s.elasticsearch = nil
				problems := s.check(t.Context(), time.Minute, time.Minute, 0)
				if len(problems) != len(objects) || !strings.Contains(problems[0].String(), "Kibana: index-pattern \"predictions-*\": it is missing\n    mend it with: recsys-benthos setup") {
					t.Errorf("the check says %v", problems)
				}
				return nil
			}, args...)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSetupWithoutKibanaChangesNothing(t *testing.T) {
	err := withFlags(t, &elasticsearch.Settings{}, func(s servers) error {
		if s.kibana != nil {
			t.Error("there is a Kibana that nobody named")
		}
		return s.setUpKibana(t.Context(), false, func(line string) { t.Errorf("it says %q", line) })
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSetupRefusesWrongSettingsOfKibana(t *testing.T) {
	for want, args := range map[string][]string{
		"is not the URL of a node":         {"--kibana-url", "kibana:5601"},
		"name one":                         {"--kibana-url", "http://a:5601,http://b:5601"},
		"basic_auth needs":                 {"--kibana-url", "http://a:5601", "--kibana-user", "u"},
		"exclude each other":               {"--kibana-url", "http://a:5601", "--kibana-user", "u", "--kibana-password", "p", "--kibana-api-key", "k"},
		"is not a SHA-256 in hexadecimal":  {"--kibana-url", "https://a:5601", "--kibana-fingerprint", "12"},
		"the connection to Kibana (KIBANA": {"--kibana-url", "ftp://a"},
	} {
		err := withFlags(t, nil, func(servers) error { return nil }, args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}

func TestInitWritesTheDashboards(t *testing.T) {
	folder := t.TempDir()
	if _, err := writeConfiguration(folder, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{kibanaObjects, "grafana/recsys-benthos.json"} {
		want, err := fs.ReadFile(config.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, "config", filepath.FromSlash(name))); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, or other content", name, err)
		}
	}
}
