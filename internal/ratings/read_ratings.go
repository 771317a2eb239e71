package ratings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// scanBatch is how many ratings ScanRatings gives at once.
const scanBatch = 4096

// ReadRatings reads all ratings of a MovieLens data set, in the order of the
// file. path is a file (ratings.csv with or without header, ratings.dat,
// u.data, or any file of their shape; plain, .gz or in a .zip), or a folder or
// .zip that holds one; content decides more than the name. The file's Unix
// seconds become Rating.Time in milliseconds; without a column of timestamps it
// is 0. Any finite value is read: the scale is not this reader's matter.
//
// Errors are a *FileError that says which line is wrong and what would mend it,
// wrap ErrNoFile if a folder or archive holds no ratings, or are those of the
// file system.
func ReadRatings(path string) ([]Rating, error) {
	var batches [][]Rating // copied once more at the end, instead of as they grow
	err := ScanRatings(path, func(batch []Rating) error {
		batches = append(batches, slices.Clone(batch))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(batches...), nil
}

// ScanRatings is ReadRatings for files too large to hold: it calls fn with one
// batch after another, and stops at fn's first error, which it returns. fn must
// not keep the slice.
func ScanRatings(path string, fn func([]Rating) error) error {
	t, err := openTable(path, ratingsKind)
	if err != nil {
		return err
	}
	batch := make([]Rating, 0, scanBatch)
	err = t.eachLine(func(line int, raw []byte) error {
		rating, err := t.layout.parseRating(raw)
		if err != nil {
			return inFile(t.name, line, err)
		}
		if batch = append(batch, rating); len(batch) == scanBatch {
			err = fn(batch)
			batch = batch[:0]
		}
		return err
	})
	if err == nil && len(batch) > 0 {
		err = fn(batch)
	}
	return errors.Join(err, t.close())
}

// eachLine calls fn for every line but the header and empty ones, without its
// line end.
func (t *table) eachLine(fn func(line int, raw []byte) error) error {
	for line := 1; ; line++ {
		raw, err := t.reader.ReadSlice('\n')
		if err != nil && err != io.EOF {
			return inFile(t.name, line, readError(err))
		}
		last := err == io.EOF
		raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
		if len(raw) > 0 && !(line == 1 && t.layout.header) {
			if err := fn(line, raw); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// parseRating parses one line. Fields are found without copying any.
func (l *layout) parseRating(raw []byte) (r Rating, err error) {
	for at, rest, more := 0, raw, true; more && at < l.fields; at++ {
		var part []byte
		if len(l.separator) == 1 {
			if end := bytes.IndexByte(rest, l.separator[0]); end >= 0 {
				part, rest = rest[:end], rest[end+1:]
			} else {
				part, more = rest, false
			}
		} else {
			part, rest, more = bytes.Cut(rest, []byte(l.separator))
		}
		switch at {
		case l.columns[0]:
			r.User, err = parseField(part, userField.name, parseID)
		case l.columns[1]:
			r.Movie, err = parseField(part, movieField.name, parseID)
		case l.columns[2]:
			r.Value, err = parseField(part, "rating", parseValue)
		case l.columns[3]:
			r.Time, err = parseField(part, timeField.name, parseTime)
		}
		if err != nil {
			return r, err
		}
		if !more && at+1 < l.fields {
			return r, fmt.Errorf("%d of %d fields: is the file cut short?", at+1, l.fields)
		}
	}
	return r, nil
}

// parseField says in its error which field it was; a field may be quoted.
func parseField[T any](raw []byte, name string, parse func([]byte) (T, error)) (T, error) {
	value, err := parse(raw)
	if err == nil {
		return value, nil
	}
	if plain := bytes.Trim(raw, "\" "); len(plain) < len(raw) {
		if value, again := parse(plain); again == nil {
			return value, nil
		}
	}
	if len(raw) > 40 {
		raw = raw[:40]
	}
	return value, fmt.Errorf("%s %q %w", name, raw, err)
}

var (
	errNotWhole  = errors.New("is not a whole number")
	errTooBig    = errors.New("does not fit into 64 bits")
	errNotFinite = errors.New("is not a finite number")
	errNotTime   = errors.New("is not a time in Unix seconds")
	errNotSecs   = errors.New("is no time in Unix seconds: is it in milliseconds?")
)

// parseID parses a decimal int64.
func parseID(raw []byte) (int64, error) {
	if len(raw) == 0 || len(raw) > 18 || raw[0] == '-' || raw[0] == '+' {
		id, err := strconv.ParseInt(string(raw), 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return 0, errTooBig
		} else if err != nil {
			return 0, errNotWhole
		}
		return id, nil
	}
	id := int64(0)
	for _, digit := range raw {
		if digit < '0' || digit > '9' {
			return 0, errNotWhole
		}
		id = id*10 + int64(digit-'0')
	}
	return id, nil
}

// parseValue parses a rating; "4", "4.0" and the like need no general parser.
func parseValue(raw []byte) (float32, error) {
	if len(raw) == 3 && raw[1] == '.' && isDigit(raw[0]) && (raw[2] == '0' || raw[2] == '5') {
		return float32(raw[0]-'0') + float32(raw[2]-'0')/10, nil
	}
	if len(raw) == 1 && isDigit(raw[0]) {
		return float32(raw[0] - '0'), nil
	}
	value, err := strconv.ParseFloat(string(raw), 32)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, errNotFinite
	}
	return float32(value), nil
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// maxSeconds is the end of the year 9999, the last that RFC 3339 can write.
const maxSeconds = 253402300799

// parseTime parses Unix seconds, whole or not, into milliseconds.
func parseTime(raw []byte) (int64, error) {
	seconds, err := parseID(raw)
	if err != nil {
		fraction, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.IsNaN(fraction) {
			return 0, errNotTime
		}
		if math.Abs(fraction) > maxSeconds {
			return 0, errNotSecs
		}
		return int64(math.Round(fraction * 1000)), nil
	}
	if seconds > maxSeconds || seconds < -maxSeconds {
		return 0, errNotSecs
	}
	return seconds * 1000, nil
}
