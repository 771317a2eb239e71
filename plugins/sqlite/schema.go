package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// schemaVersion is the layout of the tables below; a file written by a newer
// release is refused rather than misread.
const schemaVersion = 1

// The tables of a rating store. People query them, so they have the names and
// columns of the Cassandra tables; times are Unix milliseconds of event time.
// unrated and forgotten are tombstones: they outlive what they erased, so that
// an older rating that arrives later stays erased.
const storeSchema = `
CREATE TABLE IF NOT EXISTS ratings (
  user_id INTEGER NOT NULL, movie_id INTEGER NOT NULL, rating REAL NOT NULL, timestamp INTEGER NOT NULL,
  PRIMARY KEY (user_id, movie_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
  user_id INTEGER NOT NULL, movie_id INTEGER NOT NULL, tag TEXT NOT NULL, timestamp INTEGER NOT NULL,
  PRIMARY KEY (user_id, movie_id, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS views (
  user_id INTEGER NOT NULL, movie_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  PRIMARY KEY (user_id, movie_id, timestamp)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unrated (
  user_id INTEGER NOT NULL, movie_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  PRIMARY KEY (user_id, movie_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (
  user_id INTEGER NOT NULL PRIMARY KEY, timestamp INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS movies (
  movie_id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL, genres TEXT NOT NULL, hidden INTEGER NOT NULL,
  timestamp INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
  user_id INTEGER NOT NULL PRIMARY KEY, timestamp INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event_offsets (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (
  key TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta (key, value) VALUES ('schema_version', 1), ('revision', 0);
`

// storeTables lists the columns in alphabetical order. meta comes first: what
// a newer release changed is told by its version, not by its columns.
var storeTables = []struct{ name, columns string }{
	{"meta", "key,value"},
	{"ratings", "movie_id,rating,timestamp,user_id"},
	{"tags", "movie_id,tag,timestamp,user_id"},
	{"views", "movie_id,timestamp,user_id"},
	{"unrated", "movie_id,timestamp,user_id"},
	{"forgotten", "timestamp,user_id"},
	{"movies", "genres,hidden,movie_id,state,timestamp,title"},
	{"users", "state,timestamp,user_id"},
	{"event_offsets", "next,partition,topic"},
}

// prepareSchema creates the tables of a store where they are missing, and
// refuses a file whose tables of these names are not a store's. An existing
// store is only read, so that opening it needs no lock.
func prepareSchema(ctx context.Context, db *sql.DB) error {
	present := 0
	for _, table := range storeTables {
		have, err := tableColumns(ctx, db, table.name)
		if err != nil {
			return err
		}
		if len(have) == 0 {
			continue
		}
		present++
		if got := strings.Join(have, ","); got != table.columns {
			return fmt.Errorf("%w of ratings: its table %s has the columns %s instead of %s; set path to another file",
				ErrNotDatabase, table.name, got, table.columns)
		}
		if table.name != "meta" {
			continue
		}
		if err := checkVersion(ctx, db); err != nil {
			return err
		}
	}
	if present == len(storeTables) {
		return nil
	}
	return createSchema(ctx, db)
}

func checkVersion(ctx context.Context, db *sql.DB) error {
	var version int
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'schema_version'").Scan(&version)
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if version != schemaVersion {
		return fmt.Errorf("%w for this release: it has schema version %d, this release knows %d; use the release that wrote it, or set path to another file",
			ErrNotDatabase, version, schemaVersion)
	}
	return nil
}

func createSchema(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("creating tables: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, storeSchema); err != nil {
		return fmt.Errorf("creating tables: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("creating tables: %w", err)
	}
	return nil
}

// querier is what *sql.DB and *sql.Tx share here.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// tableColumns gives the names of a table's columns in alphabetical order, and
// none where there is no such table.
func tableColumns(ctx context.Context, db querier, table string) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?) ORDER BY name", table)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of table %s: %w", table, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("reading the columns of table %s: %w", table, err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
