package message

import (
	"strings"

	"github.com/tidwall/gjson"
)

// flatObject is the fast way through what nearly all messages are: one JSON
// object of numbers, strings without escapes, true, false and null:
//
//	object := readFlat(text)
//	for object.next() {
//		… object.key, object.value
//	}
//	if !object.complete { … }
//
// If it is not complete, the text is something else, valid or not, and the slow
// way has to say what. Nothing is allocated: fields are parts of the text.
type flatObject struct {
	scanner
	key      string
	value    jsonValue
	complete bool // the whole text was read
}

func readFlat(text string) flatObject { return flatObject{scanner: scanner{text: text}} }

// next reads the next field.
func (o *flatObject) next() bool {
	o.space()
	if o.value.Raw == "" { // the first one: no value is empty
		if !o.skip('{') {
			return false
		}
	} else if !o.skip(',') {
		if o.skip('}') {
			o.space()
			o.complete = o.at == len(o.text)
		}
		return false
	}
	o.space()
	key, ok := o.quoted()
	if !ok {
		return false
	}
	o.key = key[1 : len(key)-1]
	o.space()
	if !o.skip(':') {
		return false
	}
	o.space()
	o.value = jsonValue{}
	return o.readValue(&o.value)
}

// scanner goes through JSON from at on.
type scanner struct {
	text string
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) skip(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// quoted returns a string with its quotes, if it has no escapes.
func (s *scanner) quoted() (string, bool) {
	start := s.at
	if !s.skip('"') {
		return "", false
	}
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start:s.at], true
		case c < ' ' || c == '\\':
			return "", false
		}
	}
	return "", false
}

func (s *scanner) readValue(v *jsonValue) bool {
	if s.at == len(s.text) {
		return false
	}
	start := s.at
	switch c := s.text[s.at]; {
	case c == '"':
		raw, ok := s.quoted()
		if ok {
			v.Type, v.Raw, v.Str = gjson.String, raw, raw[1:len(raw)-1]
		}
		return ok
	case c == '-' || c >= '0' && c <= '9':
		if !s.number() {
			return false
		}
		v.Type, v.Raw = gjson.Number, s.text[start:s.at]
		return true
	case c == 't':
		return s.literal(v, gjson.True, "true")
	case c == 'f':
		return s.literal(v, gjson.False, "false")
	case c == 'n':
		return s.literal(v, gjson.Null, "null")
	default:
		return false
	}
}

func (s *scanner) literal(v *jsonValue, kind gjson.Type, word string) bool {
	if !strings.HasPrefix(s.text[s.at:], word) {
		return false
	}
	v.Type, v.Raw = kind, s.text[s.at:s.at+len(word)]
	s.at += len(word)
	return true
}

// number goes past a number without exponent.
func (s *scanner) number() bool {
	s.skip('-')
	first := s.at
	if s.digits() == 0 || s.text[first] == '0' && s.at > first+1 {
		return false
	}
	if s.skip('.') && s.digits() == 0 {
		return false
	}
	return s.at == len(s.text) || s.text[s.at] != 'e' && s.text[s.at] != 'E'
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}
