package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What becomes of a malformed event as a request, beside a dead letter whose
// reason is given.
const (
	answered = "answered" // a valid request all the same
	leftOut  = "left out" // by the input's event_types
)

// malformed is one kind of event that cannot be used: what ingest says of it,
// and what becomes of it as a request.
type malformed struct {
	reason, request string
	lines           []string
}

// broken returns a rating event of user 77 for each of the given texts, which
// replace one field; an empty text leaves the field out.
func broken(kind, field string, texts ...string) []string {
	var lines []string
	for _, text := range texts {
		var fields []string
		for _, f := range [][2]string{{"event_type", strconv.Quote(kind)}, {"user_id", `"77"`}, {"movie_id", `"318"`}, {"value", `"4"`}, {"timestamp", `"1533873124"`}} {
			if f[0] == field {
				f[1] = text
			}
			if f[1] != "" {
				fields = append(fields, strconv.Quote(f[0])+":"+f[1])
			}
		}
		lines = append(lines, "{"+strings.Join(fields, ",")+"}")
	}
	return lines
}

func malformedEvents() []malformed {
	noID := ` is not a whole number in the range of int64`
	return []malformed{
		{"malformed JSON", "malformed JSON", []string{`user 77 liked it`, `{"event_type":"rate","user_id":"77"`, `<event type="rate"/>`, `event_type=rate&user_id=77`, `{'user_id':77}`, `{"user_id":77}{"user_id":78}`}},
		{"malformed JSON", "malformed JSON", []string{"\xef\xbb\xbf" + broken("rate", "", "")[0], `{"user_id":77,}`, "\x00\x01\x02"}},
		{"expected a JSON object, got [", "expected a JSON object, got [", []string{`["rate",77,318]`}},
		{"expected a JSON object, got 42", "expected a JSON object, got 42", []string{`42`}},
		{"expected a JSON object, got null", "expected a JSON object, got null", []string{`null`}},
		{`expected a JSON object, got "rate"`, `expected a JSON object, got "rate"`, []string{`"rate"`}},
		{`field "event_type": is missing`, answered, broken("rate", "event_type", "")},
		{`field "event_type": "dance" is unknown`, leftOut, broken("rate", "event_type", `"dance"`)},
		{`field "event_type": 5 is unknown`, `field "event_type": 5 is no request`, broken("rate", "event_type", `5`)},
		{`field "user_id": is missing`, `field "user_id": is missing`, broken("rate", "user_id", "")},
		{noID, noID, broken("rate", "user_id", `"abc"`, `1.5`, `""`, `9223372036854775808`)},
		{`field "user_id": -1 is negative`, `field "user_id": -1 is negative`, broken("rate", "user_id", `-1`, `"-1"`)},
		{`is not an id`, `is not an id`, broken("rate", "user_id", `null`, `{"id":77}`, `true`)},
		{`field "movie_id": is missing`, `field "movie_id": is missing`, broken("rate", "movie_id", "")},
		{`field "movie_id": "Pulp Fiction"` + noID, `field "movie_id": "Pulp Fiction"`, broken("rate", "movie_id", `"Pulp Fiction"`)},
		{`field "movie_id": [318] is not an id`, `field "movie_id": [318] is not an id`, broken("rate", "movie_id", `[318]`)},
		{`field "value": is missing`, answered, broken("rate", "value", "")},
		{`is not a finite number`, `is not a finite number`, broken("rate", "value", `"great"`, `"NaN"`, `"1e999"`)},
		{`is outside 0.5 to 5`, `is outside 0.5 to 5`, broken("rate", "value", `"0"`, `5.5`, `-3`)},
		{`is not a multiple of 0.5`, `is not a multiple of 0.5`, broken("rate", "value", `3.7`, `"4.25"`)},
		{`field "value": null is not a number`, answered, broken("rate", "value", `null`)},
		{`field "timestamp": is missing`, answered, broken("rate", "timestamp", "")},
		{`is not a time since 1970`, `is not a time since 1970`, broken("rate", "timestamp", `"yesterday"`, `-5`, `false`)},
		{`lies in the future`, answered, broken("rate", "timestamp", `"2999-01-01T00:00:00Z"`)},
		{`field "value": is empty`, leftOut, broken("tag", "value", `""`)},
		{`1001 bytes are too long`, leftOut, broken("tag", "value", strconv.Quote(strings.Repeat("x", 1001)))},
		{`field "value": {} is not a string`, leftOut, broken("tag", "value", `{}`)},
		{`field "movie_id": is missing`, leftOut, broken("unrate", "movie_id", "")},
		{`field "event_id": [] is not a string`, answered, []string{`{"event_id":[],` + broken("rate", "", "")[0][1:]}},
		{`field "timestamp": is missing`, leftOut, []string{`{"event_type":"forget_user","user_id":77}`}},
	}
}

const goodEvents = 200

// play writes the malformed events with good ones between them to a file, has
// simulate play it, and returns the malformed ones by their lines and by the ids
// of the requests made of them.
func (m *machine) play(kinds []malformed, oversize string) (byLine, byRequest map[string]malformed) {
	m.Helper()
	byLine, byRequest = map[string]malformed{}, map[string]malformed{}
	var lines []string
	for _, kind := range kinds {
		for _, line := range kind.lines {
			byLine[line] = kind
			lines = append(lines, line)
		}
	}
	lines = append(lines, oversize)
	var played []string
	for n := range goodEvents {
		played = append(played, event(1000+n, 318, "3.5"))
		if n%3 == 1 && len(lines) > 0 {
			played, lines = append(played, lines[0]), lines[1:]
		}
	}
	if len(lines) > 0 {
		m.Fatalf("%d malformed events found no place between the good ones", len(lines))
	}
	for position, line := range played {
		if kind, ok := byLine[line]; ok {
			byRequest["movielens-"+strconv.Itoa(position)] = kind
		}
	}
	path := filepath.Join(m.state, "events.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(played, "\n")+"\n"), 0o644); err != nil {
		m.Fatal(err)
	}
	m.environment["RECSYS_DATA"] = path
	m.environment["RECSYS_DATA_FORMAT"] = "events"
	return byLine, byRequest
}

// TestEveryMalformedEventBecomesADeadLetterAndNoGoodOneIsLost: ingest rejects
// each malformed event once. simulate sends all lines to requests too, where
// what is no request either is rejected by predict.
func TestEveryMalformedEventBecomesADeadLetterAndNoGoodOneIsLost(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	kinds := malformedEvents()
	oversize := fmt.Sprintf(`{"event_type":"rate","user_id":"77","movie_id":"318","value":"4","timestamp":"1","note":%q}`, strings.Repeat("x", 2<<20))
	byLine, byRequest := m.play(kinds, oversize)
	if len(byLine) < 50 || len(kinds) < 20 {
		t.Fatalf("%d malformed events of %d kinds are fewer than 50 of 20", len(byLine), len(kinds))
	}
	asRequests, replies := 0, goodEvents
	for _, kind := range byLine {
		switch kind.request {
		case answered:
			replies++
		case leftOut:
		default:
			asRequests++
		}
	}
	all := m.start("simulate", "ingest", "predict")
	m.until("the good ratings", func() bool { return m.count("ratings.db", "ratings") == goodEvents })
	m.until("the replies", func() bool { return len(m.predictions()) == replies })
	letters := m.awaitRecords("dead_letters", len(byLine)+asRequests+2)
	all.stop()

	got := map[string]int{}
	for _, letter := range letters {
		topic := headers(letter)["topic"]
		got[topic]++
		if topic == "" {
			m.checkOversize(letter, oversize)
		} else {
			m.checkDeadLetter(letter, byLine, byRequest)
		}
	}
	if got["events"] != len(byLine) || got["requests"] != asRequests || got[""] != 2 {
		t.Errorf("dead letters by topic: %v, want %d of events, %d of requests, 2 of what is too large", got, len(byLine), asRequests)
	}
	for _, r := range m.records("events") {
		if user := gjson.GetBytes(r.Value, "user_id"); gjson.ValidBytes(r.Value) && user.Type == gjson.String && user.Str != string(r.Key) {
			t.Errorf("key %q of event %.200s", r.Key, r.Value)
		}
	}
	for user := range int64(goodEvents) {
		if r, ok := m.stored()[[2]int64{1000 + user, 318}]; !ok || r.Value != 3.5 {
			t.Fatalf("user %d has %+v in the store", 1000+user, r)
		}
	}
}

// checkDeadLetter compares a dead letter with the record it came from, and its
// reason with the kind of malformation.
func (m *machine) checkDeadLetter(letter *kgo.Record, byLine, byRequest map[string]malformed) {
	m.Helper()
	h := headers(letter)
	origin := m.recordAt(h["topic"], h["partition"], h["offset"])
	if string(letter.Value) != string(origin.Value) || string(letter.Key) != string(origin.Key) {
		m.Errorf("dead letter %s with key %q came from %s with key %q", letter.Value, letter.Key, origin.Value, origin.Key)
	}
	if h["time"] != origin.Timestamp.UTC().Format("2006-01-02T15:04:05.999999999Z07:00") {
		m.Errorf("dead letter of %s has the time %s", origin.Timestamp, h["time"])
	}
	kind, ok := byLine[string(letter.Value)]
	component, reason := "rating_event", kind.reason
	if h["topic"] == "requests" {
		if !ok { // a JSON object, to which simulate has added the request's id
			kind, ok = byRequest[gjson.GetBytes(letter.Value, "request_id").Str]
		}
		component, reason = "als_predict", kind.request
	}
	if !ok || h["component"] != component || !strings.Contains(h["error"], reason) {
		m.Errorf("%.200s: %s says %q, want %s to say %q", letter.Value, h["component"], h["error"], component, reason)
	}
}

func (m *machine) recordAt(topic, partition, offset string) *kgo.Record {
	m.Helper()
	for _, r := range m.records(topic) {
		if strconv.Itoa(int(r.Partition)) == partition && strconv.FormatInt(r.Offset, 10) == offset {
			return r
		}
	}
	m.Fatalf("topic %s has no partition %s offset %s", topic, partition, offset)
	return nil
}

// checkOversize: what is larger than Kafka takes is cut, and what it was can be
// verified.
func (m *machine) checkOversize(letter *kgo.Record, whole string) {
	m.Helper()
	h, sum := headers(letter), sha256.Sum256([]byte(whole))
	if h["component"] != "kafka_franz" || h["truncated"] != "true" || !strings.Contains(h["error"], "is over the limit of") {
		m.Errorf("an oversize event's headers are %v", h)
	}
	// As a request it has a request_id more.
	if size := strconv.Itoa(len(whole)); h["original_size"] == size && h["original_sha256"] != hex.EncodeToString(sum[:]) {
		m.Errorf("an oversize event of %s bytes has sha256 %s", size, h["original_sha256"])
	}
}
