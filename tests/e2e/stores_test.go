package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// openDatabase opens a store's file beside whoever uses it.
func openDatabase(t testing.TB, state, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(state, name)+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// openExisting opens a store's file only if it is there.
func openExisting(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(1000)")
}

// rows runs a query and returns its rows as text, columns separated by "|".
func rows(t testing.TB, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	found, err := queryRows(db, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return found
}

func queryRows(db *sql.DB, query string, args ...any) ([]string, error) {
	result, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var found []string
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for result.Next() {
		if err := result.Scan(pointers...); err != nil {
			return nil, err
		}
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = fmt.Sprint(value)
		}
		found = append(found, strings.Join(cells, "|"))
	}
	return found, result.Err()
}

// count runs a query that gives one number; it is -1 while there is no table.
func count(db *sql.DB, query string) int64 {
	n := int64(-1)
	_ = db.QueryRow(query).Scan(&n)
	return n
}

// dump returns every row of every table, by table, but for where in topics rows came
// from: an event that was written again after a kill has another place.
func dump(t testing.TB, state, name string) map[string][]string {
	t.Helper()
	db := openDatabase(t, state, name)
	tables := map[string][]string{}
	for _, table := range rows(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'event_offsets'") {
		found := rows(t, db, `SELECT * FROM "`+table+`"`)
		slices.Sort(found)
		tables[table] = found
	}
	return tables
}

// predictions returns what does not depend on the model that answered: which
// request, by its id, about whom and what.
func predictions(t testing.TB, state string) []string {
	t.Helper()
	return rows(t, openDatabase(t, state, "predictions.db"),
		"SELECT request_id, user_id, movie_id, title, genres, actual FROM predictions ORDER BY request_id")
}

// sameRows compares two sorted lists and tells the first rows that differ.
func sameRows(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	missing, extra := without(want, got), without(got, want)
	t.Errorf("%s: %d rows instead of %d; missing %d: %q, not expected %d: %q",
		what, len(got), len(want), len(missing), first(missing), len(extra), first(extra))
}

// without returns the elements of all that are not in others.
func without(all, others []string) []string {
	known := make(map[string]bool, len(others))
	for _, s := range others {
		known[s] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return known[s] })
}

func first(all []string) []string { return all[:min(len(all), 5)] }

// lockDatabase holds SQLite's exclusive lock on a store until the returned
// function is called.
func lockDatabase(t testing.TB, state, name string) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	db := openDatabase(t, state, name)
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("locking %s: %v", name, err)
		}
	}
	return func() {
		t.Helper()
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			t.Errorf("unlocking %s: %v", name, err)
		}
		conn.Close()
	}
}
