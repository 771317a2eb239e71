package sqlite

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is the columns of one message, in alphabetical order.
type row struct {
	columns []string
	values  []any // nil, int64, float64, string or []byte
}

// newRow turns what a columns_mapping gave into columns.
func newRow(mapped any, key []string) (*row, error) {
	object, ok := mapped.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("columns_mapping gave %s instead of an object of columns", typeName(mapped))
	}
	r := &row{columns: make([]string, 0, len(object)), values: make([]any, 0, len(object))}
	for column := range object {
		r.columns = append(r.columns, column)
	}
	slices.Sort(r.columns)
	for _, column := range r.columns {
		value, err := columnValue(object[column])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", column, err)
		}
		r.values = append(r.values, value)
	}
	for _, column := range key {
		if i, ok := slices.BinarySearch(r.columns, column); !ok || r.values[i] == nil {
			return nil, fmt.Errorf("key column %s is missing or null", column)
		}
	}
	return r, nil
}

// columnValue gives a value as SQLite stores it.
func columnValue(value any) (any, error) {
	switch v := value.(type) {
	case nil, int64, string, []byte:
		return v, nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return float64(v), nil
		}
		return int64(v), nil
	case float64:
		return v, nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
		return v.Float64()
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case []any, map[string]any:
		text, err := json.Marshal(v)
		return string(text), err
	}
	return nil, fmt.Errorf("cannot store %s", typeName(value))
}

func typeName(value any) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprintf("a value of type %T", value)
}

// createStatement is the table that fits a row: any value may be null in later
// rows, and SQLite keeps a value that does not fit the type as it is.
func createStatement(table string, key []string, r *row) string {
	columns := make([]string, len(r.columns))
	for i, column := range r.columns {
		columns[i] = quote(column) + affinity(r.values[i])
		if slices.Contains(key, column) {
			columns[i] += " NOT NULL"
		}
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s, PRIMARY KEY (%s))", quote(table), strings.Join(columns, ", "), quoteAll(key))
}

func affinity(value any) string {
	switch value.(type) {
	case int64:
		return " INTEGER"
	case float64:
		return " REAL"
	case string:
		return " TEXT"
	}
	return ""
}

// upsertStatement writes the columns of a row, and replaces them where the key
// exists.
func upsertStatement(table string, key, columns []string) string {
	var set []string
	for _, column := range columns {
		if !slices.Contains(key, column) {
			set = append(set, quote(column)+" = excluded."+quote(column))
		}
	}
	do := "NOTHING"
	if len(set) > 0 {
		do = "UPDATE SET " + strings.Join(set, ", ")
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (%s) DO %s",
		quote(table), quoteAll(columns), strings.Repeat(", ?", len(columns)-1), quoteAll(key), do)
}

// quote makes any text a name of SQL.
func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}
