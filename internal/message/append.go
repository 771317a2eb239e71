package message

import (
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// appendTime appends Unix milliseconds as a JSON string in RFC 3339, UTC.
func appendTime(dst []byte, milliseconds int64) []byte {
	dst = append(dst, '"')
	dst = time.UnixMilli(milliseconds).UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

func formatTime(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format(timeLayout)
}

// appendRawField appends `,"key":value` with the value as it was written.
func appendRawField(dst []byte, key string, value gjson.Result) []byte {
	dst = append(dst, ',')
	dst = AppendString(dst, key)
	dst = append(dst, ':')
	return append(dst, value.Raw...)
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
