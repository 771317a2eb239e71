package cassandra

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var identifier = regexp.MustCompile(`^[a-zA-Z0-9_]{1,48}$`)

func isIdentifier(name string) bool { return identifier.MatchString(name) }

// quoteName makes any text a name in CQL, as it is written.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func splitList(list string) []string {
	parts := strings.Split(list, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// token is a piece of CQL: a word, a quoted name or text, or one sign.
type token struct {
	text       string // as written
	start, end int    // in bytes
}

func (t token) is(word string) bool { return strings.EqualFold(t.text, word) }

// tokenize splits CQL into tokens; comments and white space are left out.
func tokenize(cql string) []token {
	var tokens []token
	for i := 0; i < len(cql); {
		end := i + 1
		switch c := cql[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case strings.HasPrefix(cql[i:], "--"), strings.HasPrefix(cql[i:], "//"):
			i += lineLength(cql[i:])
			continue
		case strings.HasPrefix(cql[i:], "/*"):
			i += commentLength(cql[i:])
			continue
		case c == '\'' || c == '"':
			end = i + quotedLength(cql[i:], c)
		case isWord(c):
			for end < len(cql) && isWord(cql[end]) {
				end++
			}
		}
		tokens = append(tokens, token{cql[i:end], i, end})
		i = end
	}
	return tokens
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n + 1
	}
	return len(s)
}

func commentLength(s string) int {
	if n := strings.Index(s, "*/"); n >= 0 {
		return n + 2
	}
	return len(s)
}

// quotedLength is that of a quoted piece at the start of s, in which a doubled
// quote is one quote.
func quotedLength(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

// splitStatements gives the statements of a file, without comments before them
// and without their semicolons.
func splitStatements(cql string) []string {
	var statements []string
	start, end := -1, 0
	for _, t := range tokenize(cql) {
		if t.text != ";" {
			if start < 0 {
				start = t.start
			}
			end = t.end
			continue
		}
		if start >= 0 {
			statements = append(statements, cql[start:end])
		}
		start = -1
	}
	if start >= 0 {
		statements = append(statements, cql[start:end])
	}
	return statements
}

// oneStatement gives a query without a semicolon at its end, and an error if
// there are several.
func oneStatement(query string) (string, error) {
	statements := splitStatements(query)
	switch len(statements) {
	case 0:
		return "", errors.New("it is empty")
	case 1:
		return statements[0], nil
	}
	return "", fmt.Errorf("it holds %d statements; give one", len(statements))
}

// withTimestamp adds USING TIMESTAMP ? to a statement that writes, and gives
// the position of its argument among all.
func withTimestamp(statement string) (string, int, error) {
	tokens := tokenize(statement)
	if len(tokens) == 0 {
		return "", 0, errors.New("it is empty")
	}
	before := len(tokens) // the token that the clause goes before
	using := -1
	for i, t := range tokens {
		switch {
		case t.is("USING"):
			using = i
		case t.is("TIMESTAMP") && using >= 0 && i < before && (i == using+1 || tokens[i-1].is("AND")):
			return "", 0, errors.New("it has USING TIMESTAMP already")
		case t.is("IF"):
			return "", 0, errors.New("a conditional statement (IF) cannot have a timestamp")
		case before == len(tokens) && (tokens[0].is("UPDATE") && t.is("SET") || tokens[0].is("DELETE") && t.is("WHERE")):
			before = i
		}
	}
	switch {
	case tokens[0].is("INSERT"):
	case tokens[0].is("UPDATE"), tokens[0].is("DELETE"):
		if before == len(tokens) {
			return "", 0, fmt.Errorf("it is no whole %s", strings.ToUpper(tokens[0].text))
		}
	default:
		return "", 0, fmt.Errorf("only INSERT, UPDATE and DELETE can have a timestamp, not %s", strings.ToUpper(tokens[0].text))
	}
	clause := " USING TIMESTAMP ?"
	if using >= 0 && using < before {
		clause = " AND TIMESTAMP ?"
	}
	at := tokens[before-1].end
	return statement[:at] + clause + statement[at:], countMarkers(tokens[:before]), nil
}

// countMarkers counts the places of arguments: ? and :name.
func countMarkers(tokens []token) int {
	n := 0
	for i, t := range tokens {
		if t.text == "?" || t.text == ":" && i+1 < len(tokens) && isWord(tokens[i+1].text[0]) {
			n++
		}
	}
	return n
}

// isConditional says that a statement is a lightweight transaction, which is
// never written in a batch with others here.
func isConditional(statement string) bool {
	for _, t := range tokenize(statement) {
		if t.is("IF") {
			return true
		}
	}
	return false
}

// tableScan says that a statement reads a whole table, and so may be split by
// token ranges: SELECT columns FROM table, and nothing behind it.
func tableScan(statement string) bool {
	tokens := tokenize(statement)
	if len(tokens) < 4 || !tokens[0].is("SELECT") || tokens[1].is("DISTINCT") || tokens[1].is("JSON") {
		return false
	}
	from := -1
	for i, t := range tokens {
		switch {
		case t.is("FROM"):
			from = i
		case from < 0 && t.text == "(":
			if aggregates[strings.ToLower(tokens[i-1].text)] {
				return false
			}
		}
	}
	if from < 0 {
		return false
	}
	rest := tokens[from+1:]
	return len(rest) == 1 || len(rest) == 3 && rest[1].text == "."
}

// aggregates would give one row for each range.
var aggregates = map[string]bool{"count": true, "sum": true, "avg": true, "min": true, "max": true}
