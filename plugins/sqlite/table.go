package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// table writes rows to one table. It is used by one goroutine at a time.
type table struct {
	db      *sql.DB
	name    string
	key     []string
	columns []string // in alphabetical order; none while the table does not exist
	deletes bool     // rows that have a row's key
}

// openTable opens the file, runs the statement that the user gave, and checks
// the table if there is one.
func openTable(ctx context.Context, c outputConfig) (*table, error) {
	db, err := openWriter(ctx, c.path)
	if err != nil {
		return nil, err
	}
	t := &table{db: db, name: c.table, key: c.key, deletes: c.deletes}
	if c.initStatement != "" {
		if _, err := db.ExecContext(ctx, c.initStatement); err != nil {
			_ = db.Close()
			return nil, openError(c.path, fmt.Errorf("running init_statement: %w", err))
		}
	}
	if err := t.inspect(ctx, db); err != nil {
		_ = db.Close()
		return nil, openError(c.path, err)
	}
	return t, nil
}

// inspect reads the table's columns, and checks that it has the key.
func (t *table) inspect(ctx context.Context, db querier) error {
	columns, err := tableColumns(ctx, db, t.name)
	if err != nil || len(columns) == 0 {
		return err
	}
	for _, column := range t.key {
		if _, ok := slices.BinarySearch(columns, column); !ok {
			return fmt.Errorf("table %s has no column %s, which key names; it has %s", t.name, column, strings.Join(columns, ", "))
		}
	}
	if t.deletes {
		t.columns = columns
		return nil
	}
	rows, err := db.QueryContext(ctx, "EXPLAIN "+upsertStatement(t.name, t.key, t.key), make([]any, len(t.key))...)
	if errorCode(err) == sqlite3.SQLITE_ERROR {
		return fmt.Errorf("table %s has no primary key or unique index on exactly (%s), the columns of key: create one, or change key (%w)",
			t.name, strings.Join(t.key, ", "), err)
	}
	if err != nil {
		return err
	}
	t.columns = columns
	return rows.Close()
}

// write upserts the rows, in order, in one transaction. It gives an error for
// each row that can never be written; rows that are nil are left out. Any other
// trouble is returned, and then nothing was written.
func (t *table) write(ctx context.Context, rows []*row) (failed map[int]error, err error) {
	failed = map[int]error{}
	statements := map[string]*sql.Stmt{} // by the columns of rows; the transaction closes them
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	for i, r := range rows {
		if r == nil {
			continue
		}
		write := t.upsert
		if t.deletes {
			write = t.delete
		}
		err := write(ctx, tx, statements, r)
		var missing *columnError
		if isRowError(err) || errors.As(err, &missing) {
			failed[i] = err
			continue
		}
		if err != nil {
			t.forgetTable()
			return nil, err
		}
	}
	if err := tx.Commit(); err != nil {
		t.forgetTable()
		return nil, err
	}
	return failed, nil
}

// forgetTable makes the next write look at the table anew: a failed transaction
// may have created it.
func (t *table) forgetTable() {
	t.columns = nil
}

// delete deletes the rows that have the key of r.
func (t *table) delete(ctx context.Context, tx *sql.Tx, _ map[string]*sql.Stmt, r *row) error {
	if len(t.columns) == 0 {
		if err := t.inspect(ctx, tx); err != nil || len(t.columns) == 0 {
			return err
		}
	}
	values := make([]any, len(t.key))
	for k, column := range t.key {
		values[k] = r.values[slices.Index(r.columns, column)] // newRow has seen to it that there is one
	}
	var conditions []string
	for _, column := range t.key {
		conditions = append(conditions, quote(column)+" = ?")
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM "+quote(t.name)+" WHERE "+strings.Join(conditions, " AND "), values...)
	return err
}

// upsert writes one row. SQLite undoes a statement that fails and keeps the
// transaction.
func (t *table) upsert(ctx context.Context, tx *sql.Tx, statements map[string]*sql.Stmt, r *row) error {
	if err := t.checkColumns(ctx, tx, r); err != nil {
		return err
	}
	name := strings.Join(r.columns, "\x00")
	stmt, ok := statements[name]
	if !ok {
		var err error
		if stmt, err = tx.PrepareContext(ctx, upsertStatement(t.name, t.key, r.columns)); err != nil {
			return err
		}
		statements[name] = stmt
	}
	_, err := stmt.ExecContext(ctx, r.values...)
	return err
}

// columnError says that a row has a column that the table lacks.
type columnError struct {
	table, column string
	columns       []string
}

func (e *columnError) Error() string {
	return fmt.Sprintf("table %s has no column %s; it has %s: change columns_mapping, or add the column with ALTER TABLE",
		e.table, e.column, strings.Join(e.columns, ", "))
}

// checkColumns creates the table for its first row, and looks again for a
// column it does not know: someone may have added it.
func (t *table) checkColumns(ctx context.Context, tx *sql.Tx, r *row) error {
	if _, ok := t.missingColumn(r); !ok {
		return nil
	}
	if err := t.inspect(ctx, tx); err != nil {
		return err
	}
	if len(t.columns) == 0 {
		if _, err := tx.ExecContext(ctx, createStatement(t.name, t.key, r)); err != nil {
			return fmt.Errorf("creating table %s: %w", t.name, err)
		}
		t.columns = r.columns
	}
	if missing, ok := t.missingColumn(r); ok {
		return &columnError{t.name, missing, t.columns}
	}
	return nil
}

func (t *table) missingColumn(r *row) (string, bool) {
	for _, column := range r.columns {
		if _, ok := slices.BinarySearch(t.columns, column); !ok {
			return column, true
		}
	}
	return "", false
}

func (t *table) close() error {
	return t.db.Close()
}
