package message

import (
	"time"
	"unicode/utf8"
)

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// appendTime appends Unix milliseconds as a JSON string in RFC 3339, UTC: in
// timeLayout, which time.AppendFormat would read anew each time.
func appendTime(dst []byte, milliseconds int64) []byte {
	dst = append(dst, '"')
	t := time.UnixMilli(milliseconds).UTC()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return append(t.AppendFormat(dst, timeLayout), '"')
	}
	hour, minute, second := t.Clock()
	ms := int(milliseconds % 1000)
	if ms < 0 {
		ms += 1000
	}
	return append(dst,
		digit(year/1000), digit(year/100), digit(year/10), digit(year), '-', digit(int(month)/10), digit(int(month)), '-', digit(day/10), digit(day),
		'T', digit(hour/10), digit(hour), ':', digit(minute/10), digit(minute), ':', digit(second/10), digit(second),
		'.', digit(ms/100), digit(ms/10), digit(ms), 'Z', '"')
}

// digit is the last decimal digit of n.
func digit(n int) byte { return '0' + byte(n%10) }

func formatTime(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format(timeLayout)
}

// appendRawField appends `,"key":value` with the value as it was written.
func appendRawField(dst []byte, key, value string) []byte {
	dst = append(dst, ',')
	dst = AppendString(dst, key)
	dst = append(dst, ':')
	return append(dst, value...)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
