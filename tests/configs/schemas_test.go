package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// schemas are those of config/schemas by their names.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	paths, err := filepath.Glob("config/schemas/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("there are no schemas", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	all := map[string]*jsonschema.Schema{}
	for _, path := range paths {
		schema, err := compiler.Compile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = schema
	}
	return all
}

// refusal is what a schema says against a text, nil if it takes it.
func refusal(schema *jsonschema.Schema, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// TestWhatThePipelinesReadAndWriteFitsTheSchemas, of every topic.
func TestWhatThePipelinesReadAndWriteFitsTheSchemas(t *testing.T) {
	t.Parallel()
	known := schemas(t)
	m := newMachine(t)
	m.environment["RECSYS_HISTORY"] = "0.5"
	all := m.start("simulate", "ingest", "fold_in", "predict", "recommend", "train")
	m.produce("requests",
		`{"kind":"recommend","user_id":1,"n":2,"reasons":true,"trace":"t"}`, `{"kind":"recommend","liked":["318",7777],"filters":{"genres":["Drama"]}}`,
		`{"kind":"recommend","user_id":99,"rotate":true}`, `{"kind":"recommend","users":[1,99]}`, `{"kind":"similar","movie_id":318}`, `{"kind":"similar","of":"users","user_id":1}`,
		`{"kind":"explain","user_id":1,"movie_id":318}`, `{"kind":"audience","movie_id":318}`, `{"user_id":1,"movie_id":7777,"x":[1]}`, `{"user_id":1}`)
	m.produce("train", `{"trigger":"kafka"}`)
	m.produce("events",
		`{"event_type":"item","movie_id":7777,"title":"Heat (1995)","genres":["Crime"],"labels":{"x":1},"timestamp":1533873124}`,
		`{"event_type":"user","user_id":99,"comment":"moved","timestamp":1533873124}`)
	m.awaitRecords("recommendations", 8)
	m.awaitRecords("predictions", 7)
	m.awaitRecords("dead_letters", 1)
	m.awaitRecords("models", 1)
	m.awaitRecords("user_factors", 1)
	all.stop()
	for topic, name := range map[string]string{
		"events": "event", "requests": "request", "predictions": "prediction", "recommendations": "recommendation", "models": "announcement", "train": "train", "user_factors": "user_factors",
	} {
		for _, r := range m.records(topic) {
			if string(r.Value) == `{"user_id":1}` { // the bad one
				continue
			}
			if err := refusal(known[name], string(r.Value)); err != nil {
				t.Errorf("topic %s: %s: %v", topic, r.Value, err)
			}
		}
	}
	for _, r := range m.records("dead_letters") {
		text, err := json.Marshal(headers(r))
		if err != nil {
			t.Fatal(err)
		}
		if err := refusal(known["dead_letter_headers"], string(text)); err != nil {
			t.Errorf("headers %s: %v", text, err)
		}
	}
}

// fill sets every field that a struct has, so that a new one cannot be forgotten.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // JSON of others
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("challenger:x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	default:
		v.SetInt(1)
	}
}

// undeclared are the fields of a value that a schema does not name.
func undeclared(schema map[string]any, root map[string]any, value any, path string) (found []string) {
	if pointer, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(pointer, "#/$defs/")].(map[string]any)
	}
	switch value := value.(type) {
	case map[string]any:
		properties := map[string]any{}
		for _, part := range append([]any{schema}, parts(schema)...) {
			if own, ok := part.(map[string]any)["properties"].(map[string]any); ok {
				maps.Copy(properties, own)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			next, declared := properties[key].(map[string]any)
			if !declared {
				found = append(found, path+key)
				continue
			}
			found = append(found, undeclared(next, root, value[key], path+key+".")...)
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok && len(value) > 0 {
			found = undeclared(items, root, value[0], path+"0.")
		}
	}
	return found
}

// parts are what a schema says of some values only: of one form, or of one kind.
func parts(schema map[string]any) []any {
	all, _ := schema["anyOf"].([]any)
	conditions, _ := schema["allOf"].([]any)
	for _, condition := range conditions {
		if then, ok := condition.(map[string]any)["then"].(map[string]any); ok {
			all = append(slices.Clip(all), then)
		}
	}
	return all
}

// TestEveryFieldThatIsWrittenIsInTheSchema: of the types that are written, with all
// their fields.
func TestEveryFieldThatIsWrittenIsInTheSchema(t *testing.T) {
	known := schemas(t)
	const movie = `"title":"Heat (1995)","genres":["Crime"],"year":1995`
	var prediction message.Prediction
	fill(reflect.ValueOf(&prediction).Elem())
	prediction.Extra = []byte(`,"title":"Heat (1995)","genres":["Crime"]`)
	var lists []string
	for _, kind := range []string{message.KindRecommend, message.KindSimilar, message.KindExplain, message.KindAudience} {
		var r message.Recommendation
		fill(reflect.ValueOf(&r).Elem())
		r.Kind, r.Head, r.Basis, r.MovieFields = kind, "preference", "user", []byte(movie)
		r.Items[0].IsUser, r.Items[0].Fields, r.Items[0].Reason.Fields = false, []byte(movie), []byte(movie)
		if kind == message.KindAudience {
			r.Items[0] = message.RecommendedItem{ID: 1, IsUser: true, Score: 1, Prediction: 4, HasPrediction: true}
		}
		lists = append(lists, string(r.AppendJSON(nil)))
	}
	var announcement message.Announcement
	fill(reflect.ValueOf(&announcement).Elem())
	announcement.SHA256 = strings.Repeat("0a", 32)
	announcement.Verdict.Outcome, announcement.Verdict.Rule = message.OutcomePromoted, message.RuleSame
	announcement.Verdict.Tests[0].Head, announcement.Verdict.Tests[0].Decision = "rating", "better"
	announced, err := json.Marshal(announcement)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, kind := range []message.EventType{message.Rate, message.TagMovie, message.ViewMovie, message.Unrate, message.ForgetUser} {
		e := message.Event{ID: "e", Type: kind, User: 1, Movie: 2, Value: 4.5, Tag: "dark", Time: 1}
		events = append(events, string(e.AppendJSON(nil)))
	}
	var item ratings.Item
	fill(reflect.ValueOf(&item).Elem())
	item.Labels = `["x"]`
	var profile ratings.Profile
	fill(reflect.ValueOf(&profile).Elem())
	profile.Labels = `["x"]`
	for _, e := range []message.Event{{ID: "e", Type: message.SetItem, Movie: 2, Item: &item, Time: 1}, {ID: "e", Type: message.SetUser, User: 1, Profile: &profile, Time: 1}} {
		events = append(events, string(e.AppendJSON(nil)))
	}
	var factors message.UserFactors
	fill(reflect.ValueOf(&factors).Elem())
	for name, texts := range map[string][]string{
		"user_factors": {string(factors.AppendJSON(nil))},
		"prediction":   {string(prediction.AppendJSON(nil))}, "recommendation": lists, "announcement": {string(announced)}, "event": events,
		"train": {`{"trigger":"skill","version":"v1","skill":0.1,"reference":0.2}`, `{"trigger":"http","force":true}`},
	} {
		data, err := os.ReadFile("config/schemas/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var raw map[string]any
		if err := json.Unmarshal(data, &raw); err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			var value any
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if found := undeclared(raw, raw, value, ""); len(found) > 0 {
				t.Errorf("%s: %v are not in the schema", name, found)
			}
			if err := refusal(known[name], text); err != nil {
				t.Errorf("%s: %s: %v", name, text, err)
			}
		}
	}
}

// TestSchemasAndDecodersRefuseTheSame messages, and take the same.
func TestSchemasAndDecodersRefuseTheSame(t *testing.T) {
	known := schemas(t)
	rules := message.EventRules{Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	decoders := map[string]func(text string) error{
		"event": func(text string) error { _, err := rules.DecodeEvent("test", []byte(text)); return err },
		"request": func(text string) error {
			if kind := message.KindOf([]byte(text)); kind != "" && kind != "predict" {
				_, err := message.DecodeRecommendRequest("test", []byte(text))
				return err
			}
			_, err := message.DecodeRequest("test", message.MovieLensScale, []byte(text))
			return err
		},
		"user_factors": func(text string) error { _, err := message.DecodeUserFactors("test", []byte(text)); return err },
		"announcement": func(text string) error { _, err := message.DecodeAnnouncement("test", []byte(text)); return err },
	}
	cases := 0
	for name, decode := range decoders {
		for _, right := range []bool{true, false} {
			for _, text := range messagesOf[name][right] {
				cases++
				bySchema, byDecoder := refusal(known[name], text), decode(text)
				if (bySchema == nil) != right || (byDecoder == nil) != right {
					t.Errorf("%s, right %v: %s\nschema: %v\ndecoder: %v", name, right, text, bySchema, byDecoder)
				}
			}
		}
	}
	t.Logf("%d messages", cases)
}

// TestInitWritesTheSchemas, which the binary carries.
func TestInitWritesTheSchemas(t *testing.T) {
	folder := t.TempDir()
	if out, code := command(t, nil, "init", folder); code != 0 {
		t.Fatal(out)
	}
	for name := range schemas(t) {
		want, err := os.ReadFile(fmt.Sprintf("config/schemas/%s.json", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, "config", "schemas", name+".json")); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
