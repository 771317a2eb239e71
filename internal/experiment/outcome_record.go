package experiment

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// DecodeOutcome reads a message of the topics recommendations or events as far as
// Outcomes need it: a list for a user as a Reply, or an event that names a request as
// an Action. Of all else, and of what cannot be read, both are nil.
func DecodeOutcome(data []byte) (*Reply, *Action) {
	if !bytes.Contains(data, []byte(`"request_id"`)) || !gjson.ValidBytes(data) {
		return nil, nil
	}
	if event := gjson.GetBytes(data, "event_type"); event.Exists() {
		return nil, decodeAction(data, event.Str)
	}
	fields := gjson.GetManyBytes(data, "kind", "request_id", "model_version", "role", "user_id", "items")
	if fields[0].Str != "recommend" || fields[1].Str == "" || fields[2].Str == "" || !fields[5].IsArray() {
		return nil, nil
	}
	r := &Reply{
		RequestID: fields[1].Str, Version: fields[2].Str, Role: fields[3].Str,
		User: fields[4].Int(), HasUser: fields[4].Exists(),
	}
	fields[5].ForEach(func(_, item gjson.Result) bool {
		if movie := item.Get("movie_id"); movie.Type == gjson.Number {
			r.Movies = append(r.Movies, movie.Int())
		}
		return true
	})
	return r, nil
}

// decodeAction reads an event; ids may be texts.
func decodeAction(data []byte, kind string) *Action {
	if kind != "view" && kind != "rate" {
		return nil
	}
	fields := gjson.GetManyBytes(data, "request_id", "user_id", "movie_id")
	if fields[0].String() == "" || !fields[1].Exists() || !fields[2].Exists() {
		return nil
	}
	return &Action{RequestID: fields[0].String(), User: fields[1].Int(), Movie: fields[2].Int(), Rated: kind == "rate"}
}
