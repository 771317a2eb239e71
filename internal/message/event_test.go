package message

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func rules() EventRules {
	return EventRules{Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }, MaxFuture: time.Minute}
}

func TestEventsOfEveryFormAreReadAndNormalised(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"the original system's strings": {
			`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1533873124"}`,
			`"event_type":"rate","user_id":514,"movie_id":318,"value":4.5,"timestamp":"2018-08-10T03:52:04.000Z"}`,
		},
		"numbers and milliseconds": {
			`{"event_type":"rate","user_id":514,"movie_id":318,"value":4.5,"timestamp":1533873124000}`,
			`"event_type":"rate","user_id":514,"movie_id":318,"value":4.5,"timestamp":"2018-08-10T03:52:04.000Z"}`,
		},
		"a date without zone is UTC": {
			`{"event_type":"rate","user_id":1,"movie_id":2,"value":1,"timestamp":"2018-08-10 03:52:04"}`,
			`"event_type":"rate","user_id":1,"movie_id":2,"value":1,"timestamp":"2018-08-10T03:52:04.000Z"}`,
		},
		"a zone is turned into UTC": {
			`{"event_type":"rate","user_id":1,"movie_id":2,"value":1,"timestamp":"2018-08-10T05:52:04+02:00"}`,
			`"event_type":"rate","user_id":1,"movie_id":2,"value":1,"timestamp":"2018-08-10T03:52:04.000Z"}`,
		},
		"unknown fields pass through as they are": {
			`{"a":{"b": [1, 2.50]},"event_type":"unrate","user_id":1,"movie_id":2,"timestamp":1,"z":"é\n"}`,
			`"event_type":"unrate","user_id":1,"movie_id":2,"timestamp":"1970-01-01T00:00:01.000Z","a":{"b": [1, 2.50]},"z":"é\n"}`,
		},
		"a tag with quotes and markup": {
			`{"event_type":"tag","user_id":1,"movie_id":2,"value":"<b>\"so\" \u0007good</b>","timestamp":1}`,
			`"event_type":"tag","user_id":1,"movie_id":2,"value":"<b>\"so\" \u0007good</b>","timestamp":"1970-01-01T00:00:01.000Z"}`,
		},
		"a user who wants to be forgotten names no movie": {
			`{"event_type":"forget_user","user_id":1,"timestamp":1}`,
			`"event_type":"forget_user","user_id":1,"timestamp":"1970-01-01T00:00:01.000Z"}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			event, err := rules().DecodeEvent("test", []byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			out := event.AppendJSON(nil)
			if !json.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
			if _, rest, _ := strings.Cut(string(out), `,`); rest != test.want {
				t.Errorf("got  %s\nwant %s", rest, test.want)
			}
			again, err := rules().DecodeEvent("test", out)
			if err != nil || string(again.AppendJSON(nil)) != string(out) {
				t.Errorf("normalising twice is not the same as once: %v\n%s", err, again.AppendJSON(nil))
			}
		})
	}
}

func TestWhatCannotBeUsedIsRejectedWithItsReason(t *testing.T) {
	tests := map[string]struct{ in, reason string }{
		"nothing at all":           {``, "empty message"},
		"no JSON":                  {`hello`, "malformed JSON: hello"},
		"cut JSON":                 {`{"event_type":"rate","user_id":1`, "malformed JSON"},
		"JSON nested too deep":     {`{"x":` + strings.Repeat("[", 1_000_000), "JSON nested deeper than 1000 levels"},
		"an array":                 {`[1]`, "expected a JSON object, got [1]"},
		"null":                     {`null`, "expected a JSON object"},
		"no type":                  {`{"user_id":1}`, `field "event_type": is missing`},
		"an unknown type":          {`{"event_type":"buy"}`, `field "event_type": "buy" is unknown; give rate`},
		"no user":                  {`{"event_type":"rate","movie_id":1,"value":1,"timestamp":1}`, `field "user_id": is missing`},
		"a user that is no number": {`{"event_type":"rate","user_id":"abc"}`, `field "user_id": "abc" is not a whole number`},
		"a user with a fraction":   {`{"event_type":"rate","user_id":1.5}`, `field "user_id": 1.5 is not a whole number`},
		"a user over int64":        {`{"event_type":"rate","user_id":9223372036854775808}`, "not a whole number in the range of int64"},
		"a negative user":          {`{"event_type":"rate","user_id":-1}`, `field "user_id": -1 is negative`},
		"a user that is null":      {`{"event_type":"rate","user_id":null}`, `field "user_id": null is not an id`},
		"a movie that is a list":   {`{"event_type":"rate","user_id":1,"movie_id":[2]}`, `field "movie_id": [2] is not an id`},
		"no rating":                {`{"event_type":"rate","user_id":1,"movie_id":2,"timestamp":1}`, `field "value": is missing`},
		"a rating in words":        {`{"event_type":"rate","user_id":1,"movie_id":2,"value":"good","timestamp":1}`, `field "value": "good" is not a finite number`},
		"a rating that is NaN":     {`{"event_type":"rate","user_id":1,"movie_id":2,"value":"NaN","timestamp":1}`, `"NaN" is not a finite number`},
		"a rating too high":        {`{"event_type":"rate","user_id":1,"movie_id":2,"value":5.5,"timestamp":1}`, "rating 5.5 is outside 0.5 to 5"},
		"a rating between steps":   {`{"event_type":"rate","user_id":1,"movie_id":2,"value":"3.7","timestamp":1}`, "rating 3.7 is not a multiple of 0.5"},
		"no time":                  {`{"event_type":"rate","user_id":1,"movie_id":2,"value":3}`, `field "timestamp": is missing`},
		"an unreadable time":       {`{"event_type":"rate","user_id":1,"movie_id":2,"value":3,"timestamp":"soon"}`, `"soon" is not a time since 1970`},
		"a time before 1970":       {`{"event_type":"rate","user_id":1,"movie_id":2,"value":3,"timestamp":-5}`, `-5 is not a time since 1970`},
		"a time in the future":     {`{"event_type":"rate","user_id":1,"movie_id":2,"value":3,"timestamp":"2026-01-02T03:06:05Z"}`, "lies in the future; it is 2026-01-02T03:04:05.000Z now"},
		"an empty tag":             {`{"event_type":"tag","user_id":1,"movie_id":2,"value":"","timestamp":1}`, `field "value": is empty`},
		"a tag too long":           {`{"event_type":"tag","user_id":1,"movie_id":2,"value":"` + strings.Repeat("x", 1001) + `","timestamp":1}`, "1001 bytes are too long"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := rules().DecodeEvent("rating_event", []byte(test.in))
			var rejection *Rejection
			if !errors.As(err, &rejection) || rejection.Component != "rating_event" {
				t.Fatalf("got %v, want a rejection by rating_event", err)
			}
			if !strings.Contains(rejection.Reason, test.reason) {
				t.Errorf("got  %s\nwant %s", rejection.Reason, test.reason)
			}
		})
	}
}

func TestRatingsOffTheScaleMayPassWithAWarning(t *testing.T) {
	r := rules()
	r.KeepInvalidRatings = true
	event, err := r.DecodeEvent("test", []byte(`{"event_type":"rate","user_id":1,"movie_id":2,"value":7,"timestamp":1}`))
	if err != nil || event.Value != 7 || event.Warning != "rating 7 is outside 0.5 to 5" {
		t.Errorf("got %+v, %v", event, err)
	}
}

func TestTheDerivedEventIDDependsOnEveryField(t *testing.T) {
	base := `{"event_type":"rate","user_id":1,"movie_id":2,"value":3,"timestamp":4}`
	id := func(in string) string {
		event, err := rules().DecodeEvent("test", []byte(in))
		if err != nil {
			t.Fatal(err)
		}
		return event.ID
	}
	if id(base) != id(`{"timestamp":"4","value":"3.0","movie_id":"2","user_id":"1","event_type":"rate"}`) {
		t.Error("the same event in another form has another id")
	}
	seen := map[string]string{id(base): base}
	for _, change := range [][2]string{{`"user_id":1`, `"user_id":9`}, {`"movie_id":2`, `"movie_id":9`}, {`"value":3`, `"value":4`}, {`"timestamp":4`, `"timestamp":5`}} {
		other := strings.Replace(base, change[0], change[1], 1)
		if same, ok := seen[id(other)]; ok {
			t.Errorf("%s and %s have the same id", other, same)
		}
		seen[id(other)] = other
	}
}
