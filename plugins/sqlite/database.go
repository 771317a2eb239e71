package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotDatabase says that a file exists but is not a healthy SQLite database,
// or is one with tables of another program.
var ErrNotDatabase = errors.New("not a usable SQLite database")

const (
	// busyTimeout bounds how long SQLite itself waits for another writer. It
	// cannot be interrupted, so it is short; callers try again.
	busyTimeout = time.Second

	// openTimeout bounds the wait for a lock while a file is opened: turning
	// write-ahead logging on fails at once when another process does the same.
	openTimeout = 5 * time.Second
	openRetry   = 20 * time.Millisecond
)

// dataSource names the file to the driver. The pragmas apply to each new
// connection; synchronous FULL syncs the log at every commit, and fullfsync
// makes macOS flush its drive too.
func dataSource(path string, options url.Values) string {
	options.Set("_busy_timeout", fmt.Sprint(busyTimeout.Milliseconds()))
	options.Set("_error_rc", "true")
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: options.Encode()}).String()
}

// openWriter opens the file for writing on one connection, and creates the
// folder and the file where they are missing.
func openWriter(ctx context.Context, path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening SQLite file %s: %w", path, err)
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder of SQLite file %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{
		"_txlock":       {"immediate"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_pragma":       {"fullfsync(1)", "checkpoint_fullfsync(1)", "cache_size(-16384)", "journal_size_limit(67108864)"},
	}))
	if err != nil {
		return nil, fmt.Errorf("opening SQLite file %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	if err := retryBusy(ctx, func() error { return checkHeader(ctx, db) }); err != nil {
		_ = db.Close()
		return nil, openError(path, err)
	}
	return db, syncFolder(folder)
}

// openReader opens a file that exists, with up to n connections that cannot
// write.
func openReader(path string, n int) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening SQLite file %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{"_query_only": {"true"}}))
	if err != nil {
		return nil, fmt.Errorf("opening SQLite file %s: %w", path, err)
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// checkHeader makes SQLite read the file, which finds out what is no database.
func checkHeader(ctx context.Context, db *sql.DB) error {
	var tables int
	return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
}

// retryBusy calls fn until it gives something other than a lock held by
// someone else, for at most openTimeout.
func retryBusy(ctx context.Context, fn func() error) error {
	deadline := time.Now().Add(openTimeout)
	for {
		err := fn()
		if code := errorCode(err); code != sqlite3.SQLITE_BUSY && code != sqlite3.SQLITE_LOCKED || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(openRetry):
		}
	}
}

// syncFolder makes a file's name in its folder survive a power loss. Not every
// system can sync a folder; those that cannot do not need it.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("syncing folder %s: %w", folder, err)
	}
	_ = f.Sync()
	return f.Close()
}

// errorCode gives SQLite's primary result code in err, or 0 where there is none.
func errorCode(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return sqlite3.SQLITE_OK
}

// isRowError says that a row can never be stored: it breaks a constraint of
// the table, or is too large. All other errors are the database's, and may be
// gone later.
func isRowError(err error) bool {
	switch errorCode(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}

// openError says what is wrong with a file and what would mend it.
func openError(path string, err error) error {
	switch errorCode(err) {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("opening %s: %w: the file is something else; move it away, or set path to another file", path, ErrNotDatabase)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("opening %s: %w: the file is damaged (%v); restore it from a backup, or move it and its -wal file away to begin anew",
			path, ErrNotDatabase, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("opening %s: %w; check that the path names a file that this user may write, in a folder it may write", path, err)
	}
	return fmt.Errorf("opening %s: %w", path, err)
}
