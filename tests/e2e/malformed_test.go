package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// malformed is one kind of event that cannot be used: two of them, and what the
// dead letter must say.
type malformed struct {
	kind, reason string
	lines        [2]string
}

// rate is an event with one field replaced; an empty replacement leaves it out.
func rate(user int, field, value string) string {
	fields := []string{"event_type", "user_id", "movie_id", "value", "timestamp"}
	values := map[string]string{
		"event_type": `"rate"`, "user_id": fmt.Sprint(user), "movie_id": `"318"`, "value": `"4.5"`, "timestamp": `"1533873124"`,
	}
	if _, known := values[field]; !known {
		fields = append(fields, field)
	}
	values[field] = value
	var pairs []string
	for _, name := range fields {
		if values[name] != "" {
			pairs = append(pairs, fmt.Sprintf("%q:%s", name, values[name]))
		}
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func tag(user int, value string) string {
	return strings.Replace(rate(user, "value", value), `"rate"`, `"tag"`, 1)
}

const unusable = 9000 // users from here on occur in malformed events only

func malformedEvents() []malformed {
	field := func(kind, reason, name, one, two string) malformed {
		return malformed{kind, reason, [2]string{rate(unusable, name, one), rate(unusable+1, name, two)}}
	}
	missing := func(kind, name string) malformed {
		one := rate(unusable, name, "")
		return malformed{kind, fmt.Sprintf("field %q: is missing", name), [2]string{one, "{\"page\":7," + one[1:]}}
	}
	return []malformed{
		{"no JSON", "malformed JSON", [2]string{"{rate 318}", "user 514 liked it"}},
		{"cut off", "malformed JSON", [2]string{rate(unusable, "", "")[:40], rate(unusable+2, "", "")[:70]}},
		{"an array", "expected a JSON object", [2]string{"[" + rate(unusable, "", "") + "]", "[]"}},
		{"a single value", "expected a JSON object", [2]string{`"rate"`, "514"}},
		{"null", "expected a JSON object", [2]string{"null", "true"}},
		field("an unknown type", `field "event_type"`, "event_type", `"purchase"`, `"RATE"`),
		field("a type of the wrong type", `field "event_type"`, "event_type", "1", "null"),
		missing("no type", "event_type"),
		missing("no user", "user_id"),
		missing("no movie", "movie_id"),
		field("a user that is no number", `field "user_id"`, "user_id", `"alice"`, `""`),
		field("a movie that is no number", `field "movie_id"`, "movie_id", `"tt0111161"`, `"318a"`),
		field("a negative id", "is negative", "user_id", "-1", `"-514"`),
		field("half an id", `field "movie_id"`, "movie_id", "318.5", `"1e3"`),
		field("an id that is too large", "int64", "movie_id", "9223372036854775808", `"99999999999999999999"`),
		field("an id of the wrong type", `field "user_id"`, "user_id", "null", `{"id":514}`),
		missing("no rating", "value"),
		field("a rating that is no number", `field "value"`, "value", `"good"`, `"NaN"`),
		field("a rating off the scale", "is outside 0.5 to 5", "value", `"0"`, "5.5"),
		field("a rating between the steps", "is not a multiple of 0.5", "value", `"3.7"`, "4.25"),
		missing("no time", "timestamp"),
		field("a time that cannot be read", `field "timestamp"`, "timestamp", `"yesterday"`, "-5"),
		field("a time in the future", "lies in the future", "timestamp", `"2099-01-01T00:00:00Z"`, "4102444800"),
		{"no tag", `field "value"`, [2]string{tag(unusable, `""`), tag(unusable+1, `"`+strings.Repeat("long", 300)+`"`)}},
		field("too large", "is over the limit of 1048576 bytes", "comment", `"`+strings.Repeat("x", 2<<20)+`"`, `"`+strings.Repeat("y", 3<<20)+`"`),
	}
}

func TestMalformedEventsBecomeDeadLettersAndTheGoodOnesBetweenThemArrive(t *testing.T) {
	besideOthers(t)
	data := smallData(t, recsystest.DataDir(t), 40)
	kinds := malformedEvents()
	var lines, good []string
	for i, kind := range kinds {
		for j, line := range kind.lines {
			ok := rate(1+2*i+j, "movie_id", fmt.Sprint(1+i))
			lines, good = append(lines, line, ok), append(good, ok)
		}
	}
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSeparate(t, "RECSYS_DATA="+file, "RECSYS_DATA_FORMAT=events", "RECSYS_MOVIES="+data, "RECSYS_RATE=0")
	runBinary(t, "", "train", "--ratings", data, "--registry", "file://"+filepath.Join(s.state, "registry"))
	s.startStreams()
	k := connect(t, s.broker)
	const tooLarge = 2
	eventually(t, time.Minute, s.streams, func() error {
		if n, err := k.end("events"); err != nil || n != int64(len(lines)-tooLarge) {
			return fmt.Errorf("%d of %d events are published (%v)", n, len(lines)-tooLarge, err)
		}
		for _, group := range [][2]string{{"ingest", "events"}, {"predict", "requests"}, {"index", "predictions"}} {
			if err := k.noLag(group[0], group[1]); err != nil {
				return err
			}
		}
		return nil
	})
	checkGoodEvents(t, s, good)
	checkDeadLetters(t, k, kinds)
}

// checkGoodEvents demands that each good event is stored and was predicted.
func checkGoodEvents(t *testing.T, s *separate, good []string) {
	t.Helper()
	stored := openDatabase(t, s.state, "ratings.db")
	if n := count(stored, "SELECT count(*) FROM ratings"); n != int64(len(good)) {
		t.Errorf("%d ratings are stored instead of %d", n, len(good))
	}
	if n := count(stored, fmt.Sprintf("SELECT count(*) FROM ratings WHERE user_id >= %d", unusable)); n != 0 {
		t.Errorf("%d malformed events are stored", n)
	}
	index := openDatabase(t, s.state, "predictions.db")
	if n := count(index, fmt.Sprintf("SELECT count(*) FROM predictions WHERE user_id < %d AND actual = 4.5", unusable)); n != int64(len(good)) {
		t.Errorf("%d predictions for good events are in the index instead of %d", n, len(good))
	}
}

// checkDeadLetters demands that each malformed event lies in dead_letters, as it
// was, with the right reason and where it came from.
func checkDeadLetters(t *testing.T, k *kafka, kinds []malformed) {
	t.Helper()
	type place struct{ topic, partition, offset string }
	source := map[place][]byte{}
	for _, topic := range []string{"events", "requests"} {
		for _, r := range k.records(t, topic) {
			source[place{topic, fmt.Sprint(r.Partition), fmt.Sprint(r.Offset)}] = r.Value
		}
	}
	seen := map[string]string{} // original, or its checksum → reason
	letters := k.records(t, "dead_letters")
	for _, letter := range letters {
		h := headers(letter)
		if h["truncated"] == "true" {
			if strings.Contains(h["error"], `topic "events"`) { // as a request it has a request_id more
				seen[h["original_sha256"]] = h["error"]
			}
			if len(letter.Value) > 1<<20 || h["topic"] != "" || h["error"] == "" {
				t.Errorf("dead letter of %d bytes with the headers %v", len(letter.Value), h)
			}
			continue
		}
		if string(source[place{h["topic"], h["partition"], h["offset"]}]) != string(letter.Value) {
			t.Errorf("dead letter %.100q does not hold what lies at its origin: %v", letter.Value, h)
		}
		if _, err := time.Parse(time.RFC3339, h["time"]); err != nil || h["error"] == "" {
			t.Errorf("dead letter %.100q lacks its time or reason: %v", letter.Value, h)
		}
		if h["topic"] == "events" {
			if h["component"] != "rating_event" {
				t.Errorf("dead letter %.100q names component %q", letter.Value, h["component"])
			}
			seen[string(letter.Value)] = h["error"]
		}
	}
	t.Logf("%d dead letters of %d distinct events in %d kinds", len(letters), len(seen), len(kinds))
	for _, kind := range kinds {
		for _, line := range kind.lines {
			reason, ok := seen[line]
			if !ok {
				sum := sha256.Sum256([]byte(line))
				reason, ok = seen[hex.EncodeToString(sum[:])]
			}
			if !ok || !strings.Contains(reason, kind.reason) {
				t.Errorf("%s: %.100q: dead letter %t, reason %q instead of %q", kind.kind, line, ok, reason, kind.reason)
			}
		}
	}
	if len(seen) != 2*len(kinds) {
		t.Errorf("%d distinct events in dead_letters instead of %d", len(seen), 2*len(kinds))
	}
}

func headers(r *kgo.Record) map[string]string {
	found := map[string]string{}
	for _, h := range r.Headers {
		found[h.Key] = string(h.Value)
	}
	return found
}

func TestTheMalformedEventsAreFiftyDifferentOnes(t *testing.T) {
	var all []string
	for _, kind := range malformedEvents() {
		all = append(all, kind.lines[:]...)
	}
	slices.Sort(all)
	if distinct := len(slices.Compact(all)); distinct != 50 {
		t.Errorf("%d malformed events are different ones", distinct)
	}
}
