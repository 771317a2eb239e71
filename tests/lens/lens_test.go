package lens

import (
	"encoding/json"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/config"
)

func file(t *testing.T, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(config.Files, name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheDashboardFitsTheIndexAndItself(t *testing.T) {
	objects, err := parseExport(file(t, "kibana/recsys-benthos.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := Check(objects, file(t, "elasticsearch/predictions-template.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	kinds := map[string]int{}
	for _, o := range objects {
		kinds[o.Type]++
	}
	if kinds["index-pattern"] != 1 || kinds["dashboard"] != 1 || kinds["search"] != 1 || kinds["lens"] < 7 {
		t.Errorf("the file has %v", kinds)
	}
}

// TestTheCheckFindsWhatIsWrong breaks the file as an edit might.
func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	text := string(file(t, "kibana/recsys-benthos.ndjson"))
	for name, c := range map[string]struct{ old, new, want string }{
		"a data view of another id":    {`{"id":"recsys-benthos-predictions","type"`, `{"id":"other","type"`, "refers to index-pattern recsys-benthos-predictions, which is not in the file"},
		"a field that is not mapped":   {`"sourceField":"model_version"`, `"sourceField":"version"`, "uses the field version, which the index template has not"},
		"terms of a text":              {`"sourceField":"title.keyword"`, `"sourceField":"title"`, "does terms with the field title, which is of type text"},
		"the mean of a keyword":        {`"sourceField":"prediction"`, `"sourceField":"genres"`, "does average with the field genres, which is of type keyword"},
		"time that is no date":         {`"timeFieldName":"predicted_at"`, `"timeFieldName":"prediction"`, "does date_histogram with the field prediction"},
		"an unknown field in a filter": {"actual: * and not", "rating: * and not", "uses the field rating"},
		"a version of Kibana 9":        {`"typeMigrationVersion":"8.9.0"`, `"typeMigrationVersion":"10.2.0"`, "Kibana refuses what is newer"},
		"no version":                   {`"coreMigrationVersion":"8.8.0"`, `"coreMigrationVersion":""`, "Kibana refuses what is newer"},
		"panels over one another":      {`\"y\":15}`, `\"y\":14}`, "are over one another"},
		"a panel that is too wide":     {`\"w\":24,`, `\"w\":25,`, "the place of panel"},
		"two panels of one title":      {`"title":"Genres"`, `"title":"Model versions"`, `has the title "Model versions" of`},
		"a drawn column that is gone":  {`"valueAccessor":"mean"`, `"valueAccessor":"average"`, "draws the column average, which it has not"},
		"a panel without reference":    {`\"panelRefName\":\"panel_recsys-benthos-genres\"`, `\"panelRefName\":\"panel_x\"`, "refers to nothing"},
		"a search without data view":   {`\"indexRefName\":\"kibana`, `\"indexRefName\":\"x`, "has no data view"},
		"KQL that is not translated":   {"actual: * and not late: true", "actual: * or late: true", "is not of the part of KQL"},
		"an unknown operation":         {`"operationType":"average"`, `"operationType":"percentile"`, `operation "percentile" is not one`},
		"an order by what is gone":     {`"columnId":"predictions","type":"column"`, `"columnId":"count","type":"column"`, "which is no column"},
		"an index of another name":     {`"title":"predictions-*"`, `"title":"prediction-*"`, "the index template of [predictions-*]"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.ReplaceAll(text, c.old, c.new)
			if broken == text {
				t.Fatalf("the file has no %s", c.old)
			}
			objects, err := parseExport([]byte(broken))
			if err != nil {
				t.Fatal(err)
			}
			problems, err := Check(objects, file(t, "elasticsearch/predictions-template.json"))
			if err != nil || !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("got %q, %v; want %q", problems, err, c.want)
			}
		})
	}
	if _, err := parseExport([]byte(strings.Replace(text, `"exportedCount":1`, `"exportedCount":2`, 1))); err == nil {
		t.Error("a file that was cut is read")
	}
}

// TestRowsAreComputedFromAnAnswer: two versions, of which the second has no ratings.
func TestRowsAreComputedFromAnAnswer(t *testing.T) {
	var p Panel
	err := json.Unmarshal([]byte(`{"ID": "p", "Order": ["v", "n", "rated", "mae", "rmse"], "Columns": {
		"v": {"operationType": "terms", "isBucketed": true, "sourceField": "model_version", "params": {"size": 3, "orderDirection": "desc", "orderBy": {"type": "column", "columnId": "n"}}},
		"n": {"operationType": "count", "sourceField": "___records___"},
		"rated": {"operationType": "count", "sourceField": "___records___", "filter": {"language": "kuery", "query": "actual: *"}},
		"mae": {"operationType": "average", "sourceField": "e"},
		"x": {"operationType": "math", "references": ["mae", "n"], "params": {"tinymathAst": {"name": "add", "args": ["mae", {"name": "sqrt", "args": [{"name": "multiply", "args": ["n", 4]}]}]}}},
		"f": {"operationType": "formula", "references": ["x"]}}}`), &p)
	if err != nil {
		t.Fatal(err)
	}
	request, err := p.Request(map[string]any{"match_all": map[string]any{}}, "1s")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(request["aggs"])
	want := `{"v":{"aggs":{"mae":{"avg":{"field":"e"}},"rated":{"filter":{"bool":{"filter":[{"exists":{"field":"actual"}}],"must_not":[]}}}},` +
		`"terms":{"field":"model_version","order":{"_count":"desc"},"shard_size":20000,"size":3}}}`
	if err != nil || string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	rows, err := p.Rows(gjson.Parse(`{"aggregations": {"v": {"buckets": [
		{"key": "v1", "doc_count": 9, "mae": {"value": 0.5}, "rated": {"doc_count": 4}},
		{"key": "v2", "doc_count": 4, "mae": {"value": null}, "rated": {"doc_count": 0}}]}}}`))
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	if v := rows[0].Values; rows[0].Keys[0] != "v1" || v["n"] != 9 || v["rated"] != 4 || v["mae"] != 0.5 || v["f"] != 6.5 {
		t.Errorf("got %v", rows[0])
	}
	if v := rows[1].Values; v["n"] != 4 || v["rated"] != 0 || !math.IsNaN(v["mae"]) || !math.IsNaN(v["f"]) {
		t.Errorf("got %v", rows[1])
	}
}
