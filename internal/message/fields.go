package message

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// fieldError says which field is wrong, what stands there, and what would do.
type fieldError struct{ field, problem string }

func (e *fieldError) Error() string { return fmt.Sprintf("field %q: %s", e.field, e.problem) }

func fieldErrorf(field, format string, args ...any) error {
	return &fieldError{field, fmt.Sprintf(format, args...)}
}

// excerpt shortens what a message says so that it can be quoted in an error.
func excerpt(raw string) string {
	const longest = 60
	if len(raw) <= longest {
		return raw
	}
	return strings.ToValidUTF8(raw[:longest], "") + "…"
}

// maxDepth bounds the nesting of JSON: reading it is recursive, and a stack that
// overflows cannot be recovered from.
const maxDepth = 1000

// tooDeep reports whether data may nest deeper than maxDepth. Brackets in
// strings count too; no honest message has a thousand more open than closed.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= maxDepth {
		return false
	}
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth > maxDepth {
			return true
		}
	}
	return false
}

// jsonValue is a JSON value as it was written: gjson's, without what nobody asks
// for here, which is half of it.
type jsonValue struct {
	Type gjson.Type
	Raw  string // empty if there is none
	Str  string // of a string
}

func (v *jsonValue) Exists() bool { return v.Raw != "" }

// forEachField calls fn for every field of the JSON object in data, in order.
// It fails on anything but one well-formed object.
func forEachField(data []byte, fn func(key string, value jsonValue) error) error {
	if len(data) == 0 {
		return fmt.Errorf("empty message; expected a JSON object")
	}
	if tooDeep(data) {
		return fmt.Errorf("JSON nested deeper than %d levels: %s", maxDepth, excerpt(string(data[:min(len(data), 100)])))
	}
	if !gjson.ValidBytes(data) {
		return fmt.Errorf("malformed JSON: %s", excerpt(string(data)))
	}
	object := gjson.ParseBytes(data)
	if !object.IsObject() {
		return fmt.Errorf("expected a JSON object, got %s", excerpt(object.Raw))
	}
	var err error
	object.ForEach(func(key, value gjson.Result) bool {
		err = fn(key.Str, jsonValue{value.Type, value.Raw, value.Str})
		return err == nil
	})
	return err
}

// parseID reads an id: a JSON number or a decimal string, a whole number from 0
// to 2^63-1.
func parseID(field string, value jsonValue) (int64, error) {
	text := value.Raw
	switch value.Type {
	case gjson.Number:
	case gjson.String:
		text = value.Str
	default:
		return 0, fieldErrorf(field, `%s is not an id; give a whole number such as 514 or "514"`, excerpt(value.Raw))
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] == '+' {
		return 0, fieldErrorf(field, `%s is not a whole number in the range of int64; give an id such as 514 or "514"`, excerpt(value.Raw))
	}
	if id < 0 {
		return 0, fieldErrorf(field, "%d is negative; ids start at 0", id)
	}
	return id, nil
}

// parseNumber reads a finite JSON number, or a string that holds one.
func parseNumber(field string, value jsonValue) (float64, error) {
	text := value.Raw
	switch value.Type {
	case gjson.Number:
	case gjson.String:
		text = value.Str
	default:
		return 0, fieldErrorf(field, "%s is not a number", excerpt(value.Raw))
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, fieldErrorf(field, "%s is not a finite number", excerpt(value.Raw))
	}
	return number, nil
}

// millisecondsFrom is the number from which an epoch is read as milliseconds:
// as seconds it would be the year 5138.
const millisecondsFrom = 100_000_000_000

// parseTime reads a point in time and returns Unix milliseconds.
func parseTime(field string, value jsonValue) (int64, error) {
	text := value.Raw
	switch value.Type {
	case gjson.Number:
	case gjson.String:
		text = strings.TrimSpace(value.Str)
	default:
		text = ""
	}
	if milliseconds, ok := parseDateTime(text); ok {
		return milliseconds, nil
	}
	if epoch, err := strconv.ParseInt(text, 10, 64); err == nil && epoch >= 0 {
		if epoch < millisecondsFrom {
			epoch *= 1000
		}
		return epoch, nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateTime} {
		if t, err := time.Parse(layout, text); err == nil && t.UnixMilli() >= 0 {
			return t.UnixMilli(), nil
		}
	}
	return 0, fieldErrorf(field, `%s is not a time since 1970; give RFC 3339 ("2026-01-02T15:04:05Z"), "2026-01-02 15:04:05" in UTC, or Unix seconds or milliseconds`, excerpt(value.Raw))
}

// parseDateTime is the fast way to read "2006-01-02 15:04:05" and
// "2006-01-02T15:04:05Z"; false says nothing about any other form.
func parseDateTime(s string) (int64, bool) {
	switch {
	case len(s) == len(time.DateTime) && s[10] == ' ':
	case len(s) == len(time.DateTime)+1 && s[10] == 'T' && s[19] == 'Z':
	default:
		return 0, false
	}
	if s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year, ok1 := parseDigits(s[:4])
	month, ok2 := parseDigits(s[5:7])
	day, ok3 := parseDigits(s[8:10])
	hour, ok4 := parseDigits(s[11:13])
	minute, ok5 := parseDigits(s[14:16])
	second, ok6 := parseDigits(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || year < 1970 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	// A day that the month does not have would count on into the next one.
	if _, m, d := t.Date(); int(m) != month || d != day {
		return 0, false
	}
	return t.UnixMilli(), true
}

func parseDigits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// parseText reads a JSON string of at most limit bytes; a number is taken as
// its digits, since the original system's producers send either.
func parseText(field string, value jsonValue, limit int) (string, error) {
	text := value.Str
	switch value.Type {
	case gjson.String:
	case gjson.Number:
		text = value.Raw
	default:
		return "", fieldErrorf(field, "%s is not a string", excerpt(value.Raw))
	}
	if len(text) > limit {
		return "", fieldErrorf(field, "%d bytes are too long; at most %d", len(text), limit)
	}
	return text, nil
}
