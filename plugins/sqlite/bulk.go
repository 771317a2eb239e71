package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// bulkSizes are the numbers of rows that one prepared statement writes. Any
// number of rows is a few statements of these sizes.
var bulkSizes = [...]int{256, 64, 16, 4, 1}

// bulk is one statement prepared for each of the bulkSizes.
type bulk struct {
	width int // values of a row
	stmts [len(bulkSizes)]*sql.Stmt
}

// prepareBulk prepares a statement with one %s where its rows of placeholders
// go: "(?,?),(?,?)".
func prepareBulk(ctx context.Context, db *sql.DB, width int, statement string) (*bulk, error) {
	b := &bulk{width: width}
	row := "(?" + strings.Repeat(",?", width-1) + ")"
	for i, size := range bulkSizes {
		stmt, err := db.PrepareContext(ctx, fmt.Sprintf(statement, row+strings.Repeat(","+row, size-1)))
		if err != nil {
			return nil, fmt.Errorf("preparing statements: %w", err)
		}
		b.stmts[i] = stmt
	}
	return b, nil
}

// exec runs the statement for all rows, whose values follow each other in
// args, and gives the number of rows of the table that changed.
func (b *bulk) exec(ctx context.Context, tx *sql.Tx, args []any) (changed int64, err error) {
	for i, size := range bulkSizes {
		values := size * b.width
		if len(args) < values {
			continue
		}
		stmt := tx.StmtContext(ctx, b.stmts[i])
		for len(args) >= values {
			result, err := stmt.ExecContext(ctx, args[:values]...)
			if err != nil {
				return changed, err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return changed, err
			}
			changed += n
			args = args[values:]
		}
	}
	return changed, nil
}
