package clients

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// wrongValues are of all types, and out of all bounds.
var wrongValues = []any{
	nil, true, -1, 1.5, 1e300, json.Number("9223372036854775808"), json.Number("1e999"), "", "x", "-1", "+5", "1.5", " 1", "99999999999999999999", "\x00",
	[]any{},
	[]any{[]any{}},
	object{},
	object{"a": object{}},
	strings.Repeat("9", 2000),
}

// spoil changes one thing of a request, and tells what is wrong with it now. What
// still fits the document is valid.
func (a *asker) spoil(t *rapid.T, q *query) (what string, valid bool) {
	ways := []func() (string, bool){func() (string, bool) {
		q.params.Set(rapid.SampledFrom([]string{"limit", "N", "unknown", "n ", "日本"}).Draw(t, "parameter"), "1")
		return "an unknown parameter", a.local(q.op)
	}}
	if q.op.statuses["401"] {
		ways = append(ways, func() (string, bool) {
			q.header["X-API-Key"] = rapid.SampledFrom([]string{"", "x", adminKey + "x", strings.Repeat("k", 5000)}).Draw(t, "key")
			return "no key that is known", a.local(q.op)
		})
	}
	for _, p := range q.op.params {
		if p.in == "path" && p.schema["type"] == "integer" {
			ways = append(ways, func() (string, bool) {
				q.path[p.name] = rapid.SampledFrom([]string{
					"x", "-1", "+1", "1.0", "1e3", " 1", "0x1", "9223372036854775808", "１", "\x00", "1/2", "..", strings.Repeat("1", 3000),
				}).Draw(t, "id")
				return "no id in the path", false
			})
		}
		if p.in == "query" && p.schema["type"] == "integer" {
			ways = append(ways, func() (string, bool) {
				q.params.Set(p.name, rapid.SampledFrom([]string{"x", "-1", "1.5", "4294967296000", "1e2", " 1", "", "０", strings.Repeat("1", 1000)}).Draw(t, "value"))
				return "a value of " + p.name + " that is out of bounds", false
			}, func() (string, bool) {
				q.params[p.name] = []string{"2000", "2000"}
				return "a parameter twice", false
			})
		}
	}
	if q.op.body != nil {
		ways = append(ways, a.spoilBody(t, q), a.spoilBody(t, q), func() (string, bool) { return a.breakBody(t, q) })
	}
	return rapid.SampledFrom(ways).Draw(t, "way")()
}

// local reports whether the server answers by itself, whatever it is given.
func (a *asker) local(op *operation) bool { return !op.statuses["400"] }

// breakBody makes the body something that is no JSON of ours.
func (a *asker) breakBody(t *rapid.T, q *query) (what string, valid bool) {
	switch rapid.IntRange(0, 7).Draw(t, "breach") {
	case 0:
		q.body = q.body[:len(q.body)-1]
		return "half of a body", false
	case 1:
		q.body = append(slices.Clone(q.body), []byte(" {}")...)
		return "a body and more", false
	case 2:
		q.body = bytes.Repeat([]byte{'['}, rapid.SampledFrom([]int{1, 200, 100_000}).Draw(t, "depth"))
		return "a body that nests deep", false
	case 3:
		q.body = bytes.Repeat([]byte{' '}, 20<<20)
		return "a body that is too large", false
	case 4:
		q.body = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes")
		return "a body of any bytes", a.allows(q)
	case 5:
		q.header["Content-Encoding"] = rapid.SampledFrom([]string{"gzip", "br", "x"}).Draw(t, "encoding")
		return "a compressed body", false
	case 6:
		q.header["Content-Type"] = rapid.SampledFrom([]string{"text/plain", "application/xml", "multipart/form-data", "/;"}).Draw(t, "type")
		return "another content type, which is not looked at: curl -d has that of a form", true
	}
	q.body = nil
	return "no body", q.op.path == "/api/models/rollback"
}

// allows reports whether the body fits the document.
func (a *asker) allows(q *query) bool { return fits(q.op.bodySchema, q.body) == nil }

// spoilBody changes one value of the body, adds one or leaves one out.
func (a *asker) spoilBody(t *rapid.T, q *query) func() (what string, valid bool) {
	return func() (string, bool) {
		var changed any
		decoder := json.NewDecoder(bytes.NewReader(q.body))
		decoder.UseNumber()
		if err := decoder.Decode(&changed); err != nil {
			t.Fatal(err)
		}
		q.value = change(t, changed)
		q.write()
		return "a body that does not fit its schema", a.allows(q)
	}
}

// change returns the value with one change somewhere in it.
func change(t *rapid.T, value any) any {
	switch value := value.(type) {
	case object:
		names := slices.Sorted(maps.Keys(value))
		switch kind := rapid.IntRange(0, 3).Draw(t, "change"); {
		case kind == 0 || len(names) == 0:
			value[rapid.SampledFrom([]string{"unknown", "", "users", "liked", "user", "日本"}).Draw(t, "field")] = rapid.SampledFrom(wrongValues).Draw(t, "value")
			return value
		case kind == 1:
			delete(value, rapid.SampledFrom(names).Draw(t, "field"))
			return value
		case kind == 2:
			name := rapid.SampledFrom(names).Draw(t, "field")
			value[name] = change(t, value[name])
			return value
		}
	case []any:
		if len(value) > 0 && rapid.Bool().Draw(t, "inside") {
			i := rapid.IntRange(0, len(value)-1).Draw(t, "element")
			value[i] = change(t, value[i])
			return value
		}
	}
	return rapid.SampledFrom(wrongValues).Draw(t, "value")
}
