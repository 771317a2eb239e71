package elasticsearch

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestLintNamesTheField(t *testing.T) {
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	for _, test := range []struct{ name, fields, want string }{
		{"no id", "index: a", "give every document an id"},
		{"two ids", "index: a, id: '${! @id }', id_field: id", "exclude each other"},
		{"two logins", "index: a, id_field: id, api_key: x, basic_auth: {enabled: true, username: u, password: p}", "api_key and basic_auth exclude each other"},
		{"unknown field", "index: a, id_field: id, max_retries: 3", "max_retries"},
		{"no index", "id_field: id", "index"},
		{"negative retries", "index: a, id_field: id, retry_on_conflict: -1", "retry_on_conflict"},
		{"right", "index: a, id_field: id", ""},
		{"a deletion without a query", "index: a, action: delete_by_query", "give delete_by_query a query"},
		{"a query without a deletion", "index: a, id_field: id, query: root.a = 1", "field query is for action delete_by_query"},
		{"a deletion with an id", "index: a, id_field: id, action: delete_by_query, query: root.a = 1", "takes its documents from query"},
		{"a query that is no mapping", "index: a, action: delete_by_query, query: 'root = ('", "expected"},
		{"a right deletion", "index: 'a-*,b', action: delete_by_query, query: root.a = 1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			lints, err := linter.LintYAML([]byte("output: {elasticsearch_v8: {urls: ['http://localhost:9200'], " + test.fields + "}}"))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, l := range lints {
				lines = append(lines, l.Error())
			}
			if got := strings.Join(lines, "\n"); !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("lint says %q, want %q", got, test.want)
			}
		})
	}
}

func TestWrongFieldsAreNamed(t *testing.T) {
	const urls = "urls: ['http://localhost:9200']\n"
	for _, test := range []struct{ yaml, want string }{
		{"urls: []\nindex: a\nid_field: id", "name at least one node"},
		{"urls: ['localhost:9200']\nindex: a\nid_field: id", "is not the URL of a node"},
		{urls + "index: Predictions\nid_field: id", "capital letters"},
		{urls + "index: _a\nid_field: id", "begins with '_'"},
		{urls + "index: 'a b'\nid_field: id", "the character ' '"},
		{urls + "index: a\nid: same", "the same for all messages"},
		{urls + "index: a\nid_field: id\naction: put", `"put" is not one of`},
		{urls + "index: a\naction: delete_by_query", "query and action delete_by_query need each other"},
		{urls + "index: a\nid_field: id\nquery: root.a = 1", "query and action delete_by_query need each other"},
		{urls + "index: a\nid_field: id\naction: delete_by_query\nquery: root.a = 1", "takes its documents from query"},
		{urls + "index: a\ndate_field: at\naction: delete_by_query\nquery: root.a = 1", "takes its documents from query"},
		{urls + "index: '${! @i }'\naction: delete_by_query\nquery: root.a = 1", "takes no interpolation"},
		{urls + "index: 'a,'\naction: delete_by_query\nquery: root.a = 1", "is not the name of an index"},
		{urls + "index: 'a-*/_close?x'\naction: delete_by_query\nquery: root.a = 1", "the character '/'"},
		{urls + "index: a\nid_field: id\nmax_bulk_bytes: much", "max_bulk_bytes"},
		{urls + "index: a\nid_field: id\ncertificate_fingerprint: abc", "64 digits"},
		{urls + "index: a\nid_field: id\ntimeout: 1ms", "less than 1s"},
		{urls + "index: a\nid_field: id\nbasic_auth: {enabled: true, username: u}", "needs username and password"},
		{urls + "index: a\nid_field: id\nbackoff: {initial_interval: 1m}", "must be positive"},
		{urls + "index: a\nid_field: id\nmax_in_flight: 0", "max_in_flight"},
	} {
		conf, err := outputSpec().ParseYAML(test.yaml, nil)
		if err == nil {
			_, err = parseOutput(conf)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\ngives %v, want %q", test.yaml, err, test.want)
		}
	}
}

func TestALabelledOutputGivesItsSettings(t *testing.T) {
	builder := service.NewResourceBuilder()
	if err := builder.AddOutputYAML(`
label: prediction_index
elasticsearch_v8:
  urls: ["http://es-1:9200,http://es-2:9200/path/"]
  index: predictions
  date_field: requested_at
  id_field: request_id
`); err != nil {
		t.Fatal(err)
	}
	res, stop, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	defer func() { _ = stop(ctx) }()
	// Resources are built when they are first used.
	if err := res.AccessOutput(ctx, "prediction_index", func(*service.ResourceOutput) {}); err != nil {
		t.Fatal(err)
	}
	value, _ := res.GetGeneric(SettingsKey{Label: "prediction_index"})
	s, ok := value.(Settings)
	if !ok || s.Index != "predictions" || !s.Daily || len(s.URLs) != 2 || s.URLs[1].String() != "http://es-2:9200/path" {
		t.Errorf("settings are %+v (%t)", s, ok)
	}
}

// TestSetupWithLifecycleManagement: the distribution of the other tests has none.
func TestSetupWithLifecycleManagement(t *testing.T) {
	var mu sync.Mutex
	stored := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		data, _ := io.ReadAll(r.Body)
		policy := strings.HasPrefix(r.URL.Path, "/_ilm/policy/predictions")
		switch {
		case r.Method == http.MethodPut:
			stored[r.URL.Path] = string(data)
			reply(w, 200, `{"acknowledged":true}`)
		case stored[r.URL.Path] == "":
			reply(w, 404, `{"error":{"type":"resource_not_found_exception","reason":"not found"},"status":404}`)
		case policy: // the server adds what is left out
			text := strings.Replace(stored[r.URL.Path], `"delete": {}`, `"delete": {"delete_searchable_snapshot": true}`, 1)
			reply(w, 200, `{"predictions":{"version":1,`+strings.TrimPrefix(strings.TrimSpace(text), "{")+`}`)
		default:
			reply(w, 200, `{"index_templates":[{"name":"predictions","index_template":`+stored[r.URL.Path]+`}]}`)
		}
	}))
	defer s.Close()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{URLs: []*url.URL{u}, Timeout: time.Second, Index: "predictions", Daily: true}
	for _, step := range []struct {
		dryRun bool
		want   Action
	}{{true, Created}, {false, Created}, {false, Kept}} {
		changes, err := Setup(within(t, 5*time.Second), settings, SetupOptions{DryRun: step.dryRun})
		if err != nil || len(changes) != 3 || changes[0].Action != step.want || changes[1].Action != step.want || changes[2].Action != step.want {
			t.Errorf("%+v: %v, %v", step, changes, err)
		}
	}
	if !strings.Contains(stored["/_index_template/predictions"], `"index.lifecycle.name":"predictions"`) {
		t.Errorf("the template is %s", stored["/_index_template/predictions"])
	}
}
