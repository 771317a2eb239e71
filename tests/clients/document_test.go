package clients

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

type object = map[string]any

// operation is one of the OpenAPI document.
type operation struct {
	name         string // GET /api/…
	method, path string
	params       []parameter
	body         object // the schema; nil for none
	bodySchema   *jsonschema.Schema
	replySchema  *jsonschema.Schema // nil for a page
	statuses     map[string]bool    // that are documented
}

type parameter struct {
	name, in string
	needed   bool
	schema   object
}

// document is the OpenAPI document of the server that runs.
type document struct {
	root       object
	operations []*operation
	problem    *jsonschema.Schema
}

func readDocument(t *testing.T, base string) *document {
	t.Helper()
	response, err := http.Get(base + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	const name = "file:///openapi.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(name, parsed); err != nil {
		t.Fatal(err)
	}
	compile := func(parts ...string) *jsonschema.Schema {
		t.Helper()
		escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
		where := name + "#"
		for _, part := range parts {
			where += "/" + escape.Replace(part)
		}
		schema, err := compiler.Compile(where)
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	d := &document{root: parsed.(object), problem: compile("components", "schemas", "Problem")}
	for path, methods := range d.root["paths"].(object) {
		for method, described := range methods.(object) {
			o := described.(object)
			op := &operation{name: strings.ToUpper(method) + " " + path, method: strings.ToUpper(method), path: path, statuses: map[string]bool{}}
			for status := range o["responses"].(object) {
				op.statuses[status] = true
			}
			for _, p := range list(o["parameters"]) {
				p := p.(object)
				op.params = append(op.params, parameter{p["name"].(string), p["in"].(string), p["required"].(bool), p["schema"].(object)})
			}
			if body, ok := o["requestBody"].(object); ok {
				op.body = body["content"].(object)["application/json"].(object)["schema"].(object)
				op.bodySchema = compile("paths", path, method, "requestBody", "content", "application/json", "schema")
			}
			if _, isJSON := o["responses"].(object)["200"].(object)["content"].(object)["application/json"]; isJSON {
				op.replySchema = compile("paths", path, method, "responses", "200", "content", "application/json", "schema")
			}
			d.operations = append(d.operations, op)
		}
	}
	return d
}

func list(value any) []any {
	all, _ := value.([]any)
	return all
}

// resolve follows a reference.
func (d *document) resolve(schema object) object {
	for {
		where, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		at := any(d.root)
		for part := range strings.SplitSeq(strings.TrimPrefix(where, "#/"), "/") {
			at = at.(object)[part]
		}
		schema = at.(object)
	}
}

// whole is a bound of a schema as an integer.
func whole(schema object, name string, otherwise int64) int64 {
	if number, ok := schema[name].(json.Number); ok {
		if value, err := number.Int64(); err == nil {
			return value
		}
	}
	return otherwise
}
