package message

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What is read is written as what is read again, however odd the bytes were.

func FuzzDecodeEvent(f *testing.F) {
	for _, seed := range []string{
		`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1533873124","x":[{}]}`,
		`{"event_type":"tag","user_id":1,"movie_id":2,"value":"\ud800","timestamp":1}`,
		`{"event_type":"view","user_id":1,"movie_id":2,"timestamp":"2020-01-02 15:04:05","event_id":"a"}`,
		`{"event_type":"item","movie_id":2,"title":"x","genres":["a|b"],"hidden":true,"labels":{"a":[1]},"timestamp":"2020-01-02T15:04:05Z"}`,
		`{"event_type":"user","user_id":2,"labels":["x"],"comment":"é","timestamp":1533873124000}`,
		`{"event_type":"forget_user","user_id":"2","timestamp":1.5e9}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		event, err := rules().DecodeEvent("fuzz", in)
		if err != nil {
			rejected(t, err)
			return
		}
		out := event.AppendJSON(nil)
		if !json.Valid(out) {
			t.Fatalf("from %q came %q", in, out)
		}
		again, err := rules().DecodeEvent("fuzz", out)
		if err != nil {
			t.Fatalf("from %q came %q, which is refused: %v", in, out, err)
		}
		if text := again.AppendJSON(nil); string(text) != string(out) || again.ID != event.ID {
			t.Errorf("from %q came %q, and from that %q", in, out, text)
		}
	})
}

// rejected demands that an error is a Rejection, which makes a dead letter with
// its reason and no retry.
func rejected(t *testing.T, err error) {
	t.Helper()
	if rejection, ok := err.(*Rejection); !ok || rejection.Reason == "" { //nolint:errorlint // itself, not what it wraps
		t.Fatalf("%T %v is no rejection with a reason", err, err)
	}
}

// FuzzDecodeRequest compares the decoder with its slow half.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		`{"request_id":"r1","user_id":514,"movie_id":318}`,
		`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1533873124","x":[{}]}`,
		`{"kind":"recommend","user_id":5,"n":3}`,
		`{"kind":"\u0070redict","user_id":5,"movie_id":3,"value":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := DecodeRequest("fuzz", Scale{}, in)
		var other OtherKind
		if kind, ok := err.(OtherKind); ok { //nolint:errorlint // itself
			other = kind
		} else if err != nil {
			rejected(t, err)
		}
		var fields requestFields
		if slow := fields.read(in); slow != nil {
			if err == nil || other != "" {
				t.Fatalf("%q: %+v, %v; slowly: %v", in, got, err, slow)
			}
			return
		}
		want, slow := fields.request(Scale{})
		if (slow == nil) != (err == nil) || slow == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; slowly %+v, %v", in, got, err, want, slow)
		}
		if err == nil && (got.User < 0 || got.Movie < 0 || got.HasActual && (got.Actual < .5 || got.Actual > 5)) {
			t.Errorf("%q: %+v", in, got)
		}
	})
}

func FuzzRecommendRequest(f *testing.F) {
	f.Add([]byte(`{"kind":"recommend","user_id":5,"n":3,"filters":{"genres":["Drama"],"year_from":1990},"liked":[1],"diversity":0.5}`))
	f.Add([]byte(`{"kind":"similar","movie_id":"5","of":"users","offset":3,"rotate":true,"x":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeRecommendRequest("test", data)
		if err != nil {
			rejected(t, err)
			return
		}
		if r.N < 1 || r.N > MaxItems || r.Offset < 0 || r.Offset > MaxOffset || KindOf(data) != r.Kind ||
			len(r.Exclude) > MaxIDs || len(r.Candidates) > MaxIDs || len(r.Liked) > MaxIDs || len(r.Users) > MaxUsers {
			t.Errorf("%s: %+v", data, r)
		}
	})
}

func FuzzDecodeAnnouncement(f *testing.F) {
	f.Add([]byte(`{"role":"champion","version":"20260102-150405-9f86d0","uri":"file:///r","sha256":"9f","sequence":1,"promoted_at":"2026-01-02T15:04:05Z","metrics":{"rmse":0.8}}`))
	f.Add([]byte(`{"role":"challenger:a","version":"","sequence":2,"share":0.5,"verdict":{"outcome":"better","tests":[{}]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := DecodeAnnouncement("fuzz", in)
		if err != nil {
			rejected(t, err)
			return
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", in, err)
		}
		again, err := DecodeAnnouncement("fuzz", out)
		if err != nil {
			t.Fatalf("from %q came %q, which is refused: %v", in, out, err)
		}
		if text, err := json.Marshal(again); err != nil || string(text) != string(out) {
			t.Errorf("from %q came %q, and from that %q, %v", in, out, text, err)
		}
	})
}

func FuzzDecodeUserFactors(f *testing.F) {
	f.Add([]byte(`{"user_id":514,"topic":"events","partition":2,"offset":1234,"history":[[318,4.5,1533873124000]],"unrated":[[10,1533873000000]],"erased_until":1500000000000,"cut":0,"model_version":"v","bias":0.21,"factors":[0.1,-2e-3]}`))
	f.Add([]byte(`{"user_id":0,"history":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		u, err := DecodeUserFactors("fuzz", in)
		if err != nil {
			rejected(t, err)
			return
		}
		out := u.AppendJSON(nil)
		again, err := DecodeUserFactors("fuzz", out)
		if err != nil {
			t.Fatalf("from %q came %q, which is refused: %v", in, out, err)
		}
		if text := again.AppendJSON(nil); string(text) != string(out) {
			t.Errorf("from %q came %q, and from that %q", in, out, text)
		}
	})
}
