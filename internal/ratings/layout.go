package ratings

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const utf8BOM = "\xef\xbb\xbf"

// layout says how a file is written, and which field is which.
type layout struct {
	separator string // "\t", "::", "|" or ","
	header    bool
	bom       bool
	columns   []int // of each of the kind's fields; -1 if the file has none
	fields    int   // how many a line needs at least
}

// field is one that files of a kind have.
type field struct {
	name     string   // as MovieLens writes it
	aliases  []string // as others do; lower case
	optional bool
}

var (
	userField  = field{name: "userId", aliases: []string{"userid", "user_id", "user", "uid"}}
	movieField = field{name: "movieId", aliases: []string{"movieid", "movie_id", "movie", "itemid", "item_id", "item"}}
	timeField  = field{name: "timestamp", aliases: []string{"timestamp", "time", "ts"}, optional: true}
)

// fieldsOf returns the fields of a kind, in the order of a file without header.
func fieldsOf(k kind) []field {
	return [...][]field{
		{userField, movieField, {name: "rating", aliases: []string{"rating", "value", "stars"}}, timeField},
		{userField, movieField, {name: "tag", aliases: []string{"tag"}}, timeField},
		{movieField, {name: "title", aliases: []string{"title", "name"}}, {name: "genres", aliases: []string{"genres", "genre"}}},
		{movieField, {name: "imdbId", aliases: []string{"imdbid", "imdb_id"}}, {name: "tmdbId", aliases: []string{"tmdbid", "tmdb_id"}}},
	}[k]
}

func expected(k kind) string {
	var names []string
	for _, f := range fieldsOf(k) {
		names = append(names, f.name)
	}
	return strings.Join(names, ",")
}

// detect finds the layout of a file of the wanted kind from its beginning.
func detect(sample []byte, want kind, strict bool) (layout, error) {
	l := layout{bom: bytes.HasPrefix(sample, []byte(utf8BOM))}
	sample = bytes.TrimPrefix(sample, []byte(utf8BOM))
	first, _, _ := bytes.Cut(sample, []byte("\n"))
	first = bytes.TrimSuffix(first, []byte("\r"))
	switch {
	case len(bytes.TrimSpace(sample)) == 0:
		return l, errors.New("is empty")
	case bytes.IndexByte(first, 0) >= 0:
		return l, &FileError{Line: 1, Err: errors.New("is not text in UTF-8 or Latin-1")}
	}
	if l.separator = separatorOf(first); l.separator == "" {
		return l, &FileError{Line: 1, Err: fmt.Errorf("fields are not separated by comma, tab, :: or |; expected %s", expected(want))}
	}
	names := strings.Split(string(first), l.separator)
	_, err := parseID([]byte(strings.TrimSpace(unquoted(names[0]))))
	l.header = err != nil
	if l.header {
		err = l.byName(names, want)
	} else {
		err = l.byPlace(len(names), want)
	}
	if err != nil {
		return l, &FileError{Line: 1, Err: err}
	}
	if strict && !l.header && !looksLike(sample, l, want) {
		return l, fmt.Errorf("does not look like %s", want)
	}
	return l, nil
}

// separatorOf returns what follows the first field, an id or a column's name.
func separatorOf(line []byte) string {
	rest := bytes.TrimLeft(line, "\"0123456789-_ abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	for _, separator := range []string{"::", "\t", "|", ","} {
		if bytes.HasPrefix(rest, []byte(separator)) {
			return separator
		}
	}
	return ""
}

// byName finds the columns from a header, in any order, among any others.
func (l *layout) byName(names []string, want kind) error {
	for _, f := range fieldsOf(want) {
		column := -1
		for at, name := range names {
			name = strings.ToLower(strings.TrimSpace(unquoted(name)))
			for _, alias := range f.aliases {
				if name == alias && column < 0 {
					column = at
				}
			}
		}
		if column < 0 && !f.optional {
			return fmt.Errorf("no column %q; expected %s", f.name, expected(want))
		}
		l.columns = append(l.columns, column)
		l.fields = max(l.fields, column+1)
	}
	return nil
}

// byPlace takes the columns in their usual order.
func (l *layout) byPlace(count int, want kind) error {
	fields := fieldsOf(want)
	if l.separator == "|" { // u.item: id, title, two dates, URL, then a flag for each genre
		if want != moviesKind {
			return fmt.Errorf("fields are separated by |, which no file of %s has; expected %s", want, expected(want))
		}
		l.columns, l.fields = []int{0, 1, 5}, 6
		if least := 5 + len(genreFlags); count != least {
			return fmt.Errorf("%d of %d fields; expected u.item's: id, title, two dates, URL and %d genre flags",
				count, least, len(genreFlags))
		}
	} else {
		for at, f := range fields {
			if at >= count && f.optional {
				l.columns = append(l.columns, -1)
				continue
			}
			l.columns = append(l.columns, at)
			l.fields = at + 1
		}
	}
	if count < l.fields {
		return fmt.Errorf("%d of %d fields; expected %s", count, l.fields, expected(want))
	}
	return nil
}

// looksLike tells kinds of similar shape apart in files without header, by
// their first lines.
func looksLike(sample []byte, l layout, want kind) bool {
	var lines, secondNumeric, thirdNumeric, lastNumeric, least int
	for line := range bytes.Lines(sample) {
		if lines == 20 || lines > 0 && !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		fields := bytes.Split(bytes.TrimRight(line, "\r\n"), []byte(l.separator))
		if _, err := parseID(fields[0]); err != nil || len(fields) < l.fields {
			return false
		}
		if least == 0 || len(fields) < least {
			least = len(fields)
		}
		lines++
		secondNumeric += oneIf(isNumber(fields[1]))
		thirdNumeric += oneIf(isNumber(fields[2]))
		lastNumeric += oneIf(isNumber(fields[len(fields)-1]))
	}
	switch want {
	case ratingsKind:
		return least == 4 && secondNumeric == lines && thirdNumeric == lines
	case tagsKind:
		return least >= 4 && secondNumeric == lines && thirdNumeric < lines && lastNumeric == lines
	case moviesKind:
		return l.separator == "|" || least >= 3 && secondNumeric < lines && lastNumeric == 0
	}
	return least == 3 && secondNumeric == lines && thirdNumeric > 0
}

func isNumber(raw []byte) bool {
	_, err := parseValue(raw)
	return err == nil
}

func oneIf(condition bool) int {
	if condition {
		return 1
	}
	return 0
}

func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return s
}

// text decodes UTF-8, and what is not valid as that as Latin-1, the encoding of
// ML-100K and ML-1M.
func text(raw string) string {
	if utf8.ValidString(raw) {
		return raw
	}
	runes := make([]rune, len(raw))
	for k := range len(raw) {
		runes[k] = rune(raw[k])
	}
	return string(runes)
}
