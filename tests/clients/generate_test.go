package clients

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// The user and movie of the estimate that must not change; no request is about them.
const (
	reservedUser  = 2
	reservedMovie = 318
)

// query is one that was drawn, as what is to be sent.
type query struct {
	op     *operation
	path   map[string]string
	params url.Values
	body   []byte // nil for none
	value  any    // what the body says
	header map[string]string
}

var (
	knownIDs = rapid.SampledFrom([]int64{0, 1, 3, 99, 7, 42, 900001, 1, 3, 296, 356, 593, 2571, 1<<63 - 1})
	anyID    = rapid.OneOf(knownIDs, rapid.Int64Range(0, 1<<63-1)).Filter(func(id int64) bool { return id != reservedUser && id != reservedMovie })
	genre    = rapid.SampledFrom([]string{"Comedy", "Drama", "War", "Film-Noir", "Ünïcode", "a b/c", "%2F", "\"quoted\"", "?x=1&y", "..", "日本"})
	// versions are those of the fixtures, and what is none.
	versions = rapid.SampledFrom([]string{"fixture-1", "fixture-2", "champion", "fixture-1", "challenger:new", "fixture-9", "fixture-damaged"})
	roles    = rapid.SampledFrom([]string{"challenger:new", "challenger:other", "champion"})
)

// special draws what a schema alone cannot say well: names that exist.
func special(t *rapid.T, name string, schema object) (value any, ok bool) {
	if schema["enum"] != nil {
		return nil, false
	}
	switch name {
	case "category", "not_category":
		return genre.Draw(t, name), true
	case "version", "a", "b", "expected":
		return versions.Draw(t, name), true
	case "role":
		return roles.Draw(t, name), true
	case "Timestamp", "added_at":
		return moment(t), true
	}
	return nil, false
}

func moment(t *rapid.T) string {
	return time.Unix(rapid.Int64Range(800_000_000, 1_700_000_000).Draw(t, "time"), 0).UTC().Format(time.RFC3339)
}

// draw returns a value that fits a schema; name is that of the field or parameter.
func (d *document) draw(t *rapid.T, name string, schema object) any {
	schema = d.resolve(schema)
	if value, ok := special(t, name, schema); ok {
		return value
	}
	if values := list(schema["enum"]); values != nil {
		return rapid.SampledFrom(values).Draw(t, name)
	}
	switch schema["type"] {
	case "object":
		return d.drawObject(t, schema)
	case "array":
		n := rapid.IntRange(int(whole(schema, "minItems", 0)), int(min(whole(schema, "maxItems", 4), 4))).Draw(t, "elements of "+name)
		all := make([]any, n)
		for i := range all {
			all[i] = d.draw(t, name, schema["items"].(object))
		}
		return all
	case "integer":
		least, most := whole(schema, "minimum", 0), whole(schema, "maximum", 1_500_000_000)
		if most == 1<<63-1 {
			return anyID.Draw(t, name)
		}
		return rapid.Int64Range(least, most).Draw(t, name)
	case "number":
		if schema["multipleOf"] != nil { // stars
			return float64(rapid.IntRange(1, 10).Draw(t, name)) / 2
		}
		return rapid.Float64Range(0, 1).Draw(t, name)
	case "string":
		return drawText(t, name, schema)
	case "boolean":
		return rapid.Bool().Draw(t, name)
	case "null":
		return nil
	}
	if choices := list(schema["anyOf"]); choices != nil {
		return d.draw(t, name, rapid.SampledFrom(choices).Draw(t, "choice of "+name).(object))
	}
	return rapid.SampledFrom([]any{nil, 4, 4.5, "text", true, []any{"a"}, object{"a": 1}}).Draw(t, name)
}

func (d *document) drawObject(t *rapid.T, schema object) object {
	properties, _ := schema["properties"].(object)
	needed := list(schema["required"])
	if choices := list(schema["anyOf"]); choices != nil { // one of the ids
		needed = append(slices.Clone(needed), list(rapid.SampledFrom(choices).Draw(t, "id").(object)["required"])...)
	}
	all := object{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value := properties[name].(object)
		if slices.Contains(needed, any(name)) {
			if all[name] = d.draw(t, name, value); all[name] == nil {
				all[name] = anyID.Draw(t, name)
			}
		} else if rapid.IntRange(0, 2).Draw(t, "with "+name) == 0 {
			all[name] = d.draw(t, name, value)
		}
	}
	return all
}

func drawText(t *rapid.T, name string, schema object) string {
	if schema["format"] == "date-time" {
		return moment(t)
	}
	switch pattern, _ := schema["pattern"].(string); {
	case strings.HasPrefix(pattern, "^[0-9]{1,19}"):
		return strconv.FormatInt(anyID.Draw(t, name), 10)
	case strings.Contains(pattern, `\S`):
		return genre.Draw(t, name)
	case pattern != "":
		return rapid.StringMatching(pattern).Draw(t, name)
	}
	least := int(whole(schema, "minLength", 0))
	return rapid.StringN(least, max(least, 8), -1).Draw(t, name)
}

// drawQuery returns a request of an operation that the document allows.
func (d *document) drawQuery(t *rapid.T, op *operation) *query {
	q := &query{op: op, path: map[string]string{}, params: url.Values{}, header: map[string]string{}}
	for _, p := range op.params {
		if !p.needed && rapid.IntRange(0, 2).Draw(t, "with "+p.name) > 0 {
			continue
		}
		value := d.draw(t, p.name, p.schema)
		if p.in == "path" {
			q.path[p.name] = text(value)
			continue
		}
		if many, ok := value.([]any); ok {
			for _, one := range many {
				q.params.Add(p.name, text(one))
			}
			continue
		}
		q.params.Set(p.name, text(value))
	}
	if op.body != nil {
		q.value = d.draw(t, "body", op.body)
	}
	q.obey()
	if op.body != nil {
		q.write()
	}
	return q
}

func (q *query) write() {
	body, err := json.Marshal(q.value)
	if err != nil {
		panic(err) // what was drawn is JSON
	}
	q.body = body
}

func text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case int64:
		return strconv.FormatInt(value, 10)
	case nil:
		return ""
	}
	written, _ := json.Marshal(value)
	return string(written)
}

// obey has the request follow the rules between fields, which schemas do not say:
// no range of years is upside down, what rotates has no offset, and a body's id is the path's.
func (q *query) obey() {
	if from, to := q.params.Get("year_from"), q.params.Get("year_to"); to != "" && from > to {
		q.params.Set("year_from", to)
	}
	if q.params.Get("rotate") == "true" {
		q.params.Del("offset")
	}
	for _, one := range append(list(q.value), q.value) {
		fields, ok := one.(object)
		if !ok {
			continue
		}
		if filters, ok := fields["filters"].(object); ok && filters["year_to"] != nil {
			delete(filters, "year_from")
		}
		if fields["rotate"] == true {
			delete(fields, "offset")
		}
		if q.op.method == "PATCH" {
			delete(fields, "ItemId")
			delete(fields, "movie_id")
			delete(fields, "UserId")
		}
		if fields["ItemId"] != nil && strings.Contains(q.op.path, "/item") {
			delete(fields, "movie_id")
		}
		if role, _ := fields["role"].(string); strings.HasPrefix(role, "challenger:") {
			delete(fields, "force") // there is no gate for challengers
		} else {
			delete(fields, "share")
		}
	}
	if q.op.path == "/api/session/recommend" { // one that is liked must be there
		if fields, ok := q.value.(object); ok {
			delete(fields, "Value")
		} else if all := list(q.value); len(all) > 0 {
			delete(all[0].(object), "Value")
		}
	}
}
