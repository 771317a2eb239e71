package message

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

type flatField struct {
	key   string
	value jsonValue
}

func slowFields(data string) ([]flatField, error) {
	var fields []flatField
	err := forEachField([]byte(data), func(key string, value jsonValue) error {
		fields = append(fields, flatField{key, value})
		return nil
	})
	return fields, err
}

// agree fails if the fast way reads data, and not as the slow way does.
func agree(t *testing.T, data string) bool {
	t.Helper()
	var got []flatField
	object := readFlat(data)
	for object.next() {
		got = append(got, flatField{object.key, object.value})
	}
	if !object.complete {
		return false
	}
	want, err := slowFields(data)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q: fast %+v, slow %+v, %v", data, got, want, err)
	}
	return true
}

func TestTheFastWayReadsWhatIsUsual(t *testing.T) {
	for _, data := range []string{
		`{"event_type":"rate","user_id":"514","movie_id":"2571","value":"4.5","timestamp":"2020-01-02 15:04:05"}`,
		`{"request_id":"r1","user_id":514,"movie_id":318}`,
		" {\t\"a\" : -0.5 ,\r\n\"b\":null, \"c\":true,\"d\":false,\"a\":0,\"é\":\"\u00fc\" } \n",
	} {
		if !agree(t, data) {
			t.Errorf("%s: the fast way gives up", data)
		}
	}
}

func TestTheFastWayGivesUpOnTheRest(t *testing.T) {
	for _, data := range []string{
		``, `{`, `{}`, `[]`, `1`, `{"a":1}x`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e5}`, `{"a":+1}`, `{"a":"\n"}`, "{\"a\":\"\n\"}",
		`{"a":tru}`, `{"a":nul}`, `{"a":{}}`, `{"a":[1]}`, `{"a" 1}`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":"x`, `{a:1}`, `{"a":`,
	} {
		if agree(t, data) {
			t.Errorf("%s: the fast way reads it", data)
		}
	}
}

func FuzzTheFastWayAgreesWithTheSlowOne(f *testing.F) {
	f.Add(`{"event_type":"rate","user_id":"514","value":4.5,"x":null,"y":true}`)
	f.Add(`{"a":-0.25,"b":"\\"}`)
	f.Fuzz(func(t *testing.T, data string) { agree(t, data) })
}

func TestTimesAreReadAndWrittenAsThePackageTimeDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		ms := random.Int64N(300_000_000_000_000) - 1_000_000_000_000
		at := time.UnixMilli(ms).UTC()
		if got, want := string(appendTime(nil, ms)), `"`+at.Format(timeLayout)+`"`; got != want {
			t.Fatalf("wrote %s, want %s", got, want)
		}
		for _, layout := range []string{time.DateTime, time.RFC3339} {
			text := []byte(at.Format(layout))
			if random.IntN(2) == 0 && len(text) > 5 { // perhaps no time any more
				text[random.IntN(len(text))] = "0123459-:T Z"[random.IntN(12)]
			}
			want, err := time.Parse(layout, string(text))
			if got, ok := parseDateTime(string(text)); ok && (err != nil || got != want.UnixMilli()) {
				t.Fatalf("%s: read %d, want %v, %v", text, got, want, err)
			}
		}
	}
}
