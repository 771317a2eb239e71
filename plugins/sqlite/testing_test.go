package sqlite

import (
	"database/sql"
	"strings"
	"testing"
)

func execFile(t testing.TB, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func contains(err error, part string) bool {
	return err != nil && strings.Contains(err.Error(), part)
}
