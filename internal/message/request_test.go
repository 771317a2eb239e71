package message

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRequestsAreRead(t *testing.T) {
	tests := map[string]struct {
		in   string
		want Request
	}{
		"a plain request":         {`{"request_id":"r1","user_id":5,"movie_id":6}`, Request{ID: "r1", User: 5, Movie: 6}},
		"a request that says so":  {`{"kind":"predict","user_id":"5","movie_id":"6"}`, Request{User: 5, Movie: 6}},
		"a numeric id":            {`{"request_id":17,"user_id":5,"movie_id":6}`, Request{ID: "17", User: 5, Movie: 6}},
		"a rating event":          {`{"event_type":"rate","user_id":"5","movie_id":"6","value":"2.5","timestamp":"7"}`, Request{User: 5, Movie: 6, Actual: 2.5, HasActual: true, Time: 7000}},
		"unknown fields":          {`{"user_id":5,"movie_id":6,"trace":{"a":1}}`, Request{User: 5, Movie: 6, Extra: []byte(`,"trace":{"a":1}`)}},
		"fields of the reply":     {`{"user_id":5,"movie_id":6,"prediction":9,"cold":true,"title":"x"}`, Request{User: 5, Movie: 6}},
		"an id and value of null": {`{"request_id":null,"user_id":5,"movie_id":6,"value":null}`, Request{User: 5, Movie: 6}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeRequest("test", MovieLensScale, []byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			gotJSON, _ := json.Marshal(got)
			wantJSON, _ := json.Marshal(test.want)
			if string(gotJSON) != string(wantJSON) {
				t.Errorf("got %s, want %s", gotJSON, wantJSON)
			}
		})
	}
}

func TestWhatIsNoRequestIsRejected(t *testing.T) {
	tests := map[string]struct{ in, reason string }{
		"a tag event":      {`{"event_type":"tag","user_id":1,"movie_id":2,"value":"funny"}`, `field "event_type": "tag" is no request`},
		"an unknown kind":  {`{"kind":"dance","movie_id":2}`, `field "kind": "dance" is unknown; give predict, recommend, similar, explain or audience, or leave it out for predict`},
		"no movie":         {`{"user_id":1}`, `field "movie_id": is missing`},
		"a bad rating":     {`{"user_id":1,"movie_id":2,"value":9}`, "rating 9 is outside"},
		"a bad time":       {`{"user_id":1,"movie_id":2,"timestamp":{}}`, "is not a time"},
		"an id too long":   {`{"request_id":"` + strings.Repeat("x", 257) + `","user_id":1,"movie_id":2}`, "257 bytes are too long"},
		"an id of objects": {`{"request_id":{},"user_id":1,"movie_id":2}`, "is not a string"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeRequest("als_predict", MovieLensScale, []byte(test.in))
			if err == nil || !strings.Contains(err.Error(), test.reason) || !strings.HasPrefix(err.Error(), "als_predict: ") {
				t.Errorf("got %v, want %s", err, test.reason)
			}
		})
	}
}

func TestARequestWithoutIDIsNamedByItsPlace(t *testing.T) {
	origin := Origin{Topic: "requests", Partition: 3, Offset: 12}
	if got := origin.RequestID(); got != "requests-3-12" {
		t.Errorf("got %s", got)
	}
	for p, want := range map[*Prediction]string{
		{Origin: &origin}:                  `{"request_id":"requests-3-12","user_id":0,`,
		{Origin: &origin, RequestID: "r1"}: `{"request_id":"r1","user_id":0,`,
	} {
		if got := string(p.AppendJSON(nil)); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s…", got, want)
		}
	}
}

func TestPredictionsAreWrittenInTheContractsForm(t *testing.T) {
	p := Prediction{
		RequestID: `a"b`, User: 1, Movie: 2, Value: 3.25, ModelVersion: "v1", RequestedAt: 1000, PredictedAt: 2000,
		ColdMovie: true, Actual: 4.5, HasActual: true, Late: true, Extra: []byte(`,"x":1`),
	}
	want := `{"request_id":"a\"b","user_id":1,"movie_id":2,"prediction":3.25,"model_version":"v1","requested_at":"1970-01-01T00:00:01.000Z",` +
		`"predicted_at":"1970-01-01T00:00:02.000Z","cold":["movie"],"actual":4.5,"absolute_error":1.25,"late":true,"x":1}`
	if got := string(p.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p.Role, p.Late = "challenger:x", false
	p.Shadows = []Shadow{{ModelVersion: "v0", Value: 3}, {ModelVersion: "v2", Role: "challenger:y", Value: 4.5, Late: true}}
	want = `{"request_id":"a\"b","user_id":1,"movie_id":2,"prediction":3.25,"model_version":"v1","role":"challenger:x","requested_at":"1970-01-01T00:00:01.000Z",` +
		`"predicted_at":"1970-01-01T00:00:02.000Z","cold":["movie"],"actual":4.5,"absolute_error":1.25,` +
		`"shadows":[{"model_version":"v0","prediction":3},{"model_version":"v2","role":"challenger:y","prediction":4.5,"late":true}],"x":1}`
	buffer := make([]byte, 0, 1024)
	if got := string(p.AppendJSON(buffer)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { p.AppendJSON(buffer) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestARequestCannotSayWhatTheReplyHasToSay(t *testing.T) {
	r, err := DecodeRequest("test", MovieLensScale, []byte(`{"user_id":1,"movie_id":2,"role":"champion","shadows":[{"prediction":5}],"x":1}`))
	if err != nil || string(r.Extra) != `,"x":1` {
		t.Errorf("passes %s through, %v", r.Extra, err)
	}
}

func TestAnnouncementsMustNameRoleVersionAndSequence(t *testing.T) {
	tests := map[string]string{
		`{`:                                 "unexpected end",
		`{"version":"v","sequence":1}`:      `field "role" is missing`,
		`{"role":"champion","sequence":1}`:  `field "version" is missing`,
		`{"role":"champion","version":"v"}`: `field "sequence": 0`,
		`{"role":"challenger:x"}`:           `field "sequence": 0`,
		`{"role":"champion","version":"v","sequence":"1"}`: "cannot unmarshal string",
	}
	for in, reason := range tests {
		if _, err := DecodeAnnouncement("model_load", []byte(in)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want %s", in, err, reason)
		}
	}
	got, err := DecodeAnnouncement("model_load", []byte(`{"role":"champion","version":"v","sequence":2,"extra":[1]}`))
	if err != nil || got.Version != "v" || got.Sequence != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := DecodeAnnouncement("model_load", []byte(`{"role":"challenger:x","version":"","sequence":3}`)); err != nil {
		t.Errorf("a challenger that was withdrawn: %v", err)
	}
}

func BenchmarkRequestToPrediction(b *testing.B) {
	in := []byte(`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1533873124"}`)
	out := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		r, err := DecodeRequest("bench", MovieLensScale, in)
		if err != nil {
			b.Fatal(err)
		}
		p := Prediction{RequestID: "requests-0-1", User: r.User, Movie: r.Movie, Value: 3.5, ModelVersion: "20260101-000000-abcdef", Actual: r.Actual, HasActual: true}
		out = p.AppendJSON(out[:0])
	}
}
