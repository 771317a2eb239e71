package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

func newTestOutput(t testing.TB, yaml string) *output {
	t.Helper()
	conf, err := outputSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, _, _, err := newOutputFromConfig(conf, service.MockResources())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close(context.Background()) })
	return o.(*output)
}

// predictionsOutput is a connected output that takes messages as they are.
func predictionsOutput(t testing.TB, path, more string) *output {
	t.Helper()
	o := newTestOutput(t, fmt.Sprintf("path: %q\ntable: predictions\nkey: [id]\ncolumns_mapping: root = this\n%s", path, more))
	if err := o.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	return o
}

func batchOf(texts ...string) service.MessageBatch {
	var b service.MessageBatch
	for _, text := range texts {
		b = append(b, service.NewMessage([]byte(text)))
	}
	return b
}

func write(t testing.TB, o *output, texts ...string) map[int]string {
	t.Helper()
	batch := batchOf(texts...)
	index := batch.Index()
	err := o.WriteBatch(context.Background(), batch)
	if err == nil {
		return nil
	}
	var be *service.BatchError
	if !errors.As(err, &be) {
		t.Fatalf("not an error per message: %v", err)
	}
	failed := map[int]string{}
	be.WalkMessagesIndexedBy(index, func(i int, _ *service.Message, err error) bool {
		if err == nil {
			return true
		}
		var r *message.Rejection
		if !errors.As(err, &r) {
			t.Errorf("message %d failed with %T, want a Rejection", i, err)
		}
		failed[i] = err.Error()
		return true
	})
	return failed
}

func query(t testing.TB, path, q string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestRowsAreUpsertedWithTheirTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "p.db")
	o := predictionsOutput(t, path, "")
	failed := write(t, o,
		`{"id":"a","n":1,"x":3.5,"ok":true,"genres":["Drama","War"],"none":null}`,
		`{"id":"b","n":2,"x":4,"ok":false,"genres":[],"none":9007199254740993}`,
		`{"id":"a","n":7,"x":4.5,"ok":true,"genres":["Drama"],"none":"text"}`)
	if failed != nil {
		t.Fatal(failed)
	}
	got := query(t, path, `SELECT concat_ws(' ', id, n, x, typeof(x), ok, genres, none) FROM predictions ORDER BY id`)
	want := []string{`a 7 4.5 real 1 ["Drama"] text`, `b 2 4.0 real 0 [] 9007199254740993`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

func TestARowOfFewerColumnsLeavesTheOthersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	o := predictionsOutput(t, path, "")
	if failed := write(t, o, `{"id":1,"x":1,"y":"é \"' ; DROP TABLE predictions"}`, `{"id":1,"x":2}`, `{"id":1}`); failed != nil {
		t.Fatal(failed)
	}
	got := query(t, path, `SELECT id || ' ' || x || ' ' || y FROM predictions`)
	if want := []string{`1 2 é "' ; DROP TABLE predictions`}; !reflect.DeepEqual(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

func TestMessagesThatCanNeverBeWrittenFailAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	o := predictionsOutput(t, path, `init_statement: "CREATE TABLE IF NOT EXISTS predictions (id TEXT PRIMARY KEY, stars REAL CHECK (stars <= 5))"`)
	failed := write(t, o, `{"id":"a","stars":1}`, `not json`, `{"id":"b","stars":6}`, `{"stars":2}`, `{"id":"c","colour":1}`, `[1]`, `{"id":"d","stars":2}`)
	for i, want := range map[int]string{
		1: "invalid character", 2: "CHECK constraint failed", 3: "key column id is missing or null",
		4: "has no column colour; it has id, stars", 5: "instead of an object",
	} {
		if !strings.Contains(failed[i], want) || !strings.HasPrefix(failed[i], "sqlite: ") {
			t.Errorf("message %d: %q, want %q", i, failed[i], want)
		}
		delete(failed, i)
	}
	if len(failed) > 0 {
		t.Errorf("failed too: %v", failed)
	}
	if got := query(t, path, "SELECT id FROM predictions ORDER BY id"); !reflect.DeepEqual(got, []string{"a", "d"}) {
		t.Errorf("rows %q", got)
	}
}

func TestAColumnAddedWhileRunningIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	o := predictionsOutput(t, path, "")
	if failed := write(t, o, `{"id":1}`, `{"id":2,"later":1}`); len(failed) != 1 {
		t.Fatal(failed)
	}
	execFile(t, path, "ALTER TABLE predictions ADD COLUMN later")
	if failed := write(t, o, `{"id":2,"later":1}`); failed != nil {
		t.Error(failed)
	}
}

func TestALockedFileIsWaitedForAndNothingFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	o := predictionsOutput(t, path, "")
	write(t, o, `{"id":1}`)
	other, err := openWriter(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	var be *service.BatchError
	if err := o.WriteBatch(ctx, batchOf(`{"id":2}`)); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &be) {
		t.Errorf("a locked file gives %v", err)
	}
	written := make(chan error, 1)
	go func() { written <- o.WriteBatch(context.Background(), batchOf(`{"id":3}`)) }()
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if got := query(t, path, "SELECT id FROM predictions"); !reflect.DeepEqual(got, []string{"1", "3"}) {
		t.Errorf("rows %q", got)
	}
}

func TestCloseEndsTheWaitOfABatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	o := predictionsOutput(t, path, "")
	if err := o.table.db.Close(); err != nil {
		t.Fatal(err)
	}
	o.config.path = filepath.Join(path, "below-a-file.db") // cannot be opened again
	written := make(chan error, 1)
	go func() { written <- o.WriteBatch(context.Background(), batchOf(`{"id":3}`)) }()
	for range 2 {
		if err := o.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-written; !errors.Is(err, service.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeOpenedIsNamedWithItsMend(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "movies.csv")
	if err := os.WriteFile(file, []byte(strings.Repeat("movieId,title,genres\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	keyless := filepath.Join(dir, "keyless.db")
	execFile(t, keyless, "CREATE TABLE predictions (id, x)")
	other := filepath.Join(dir, "other.db")
	execFile(t, other, "CREATE TABLE predictions (request_id PRIMARY KEY)")
	for path, want := range map[string]string{
		file:                        "the file is something else; move it away, or set path to another file",
		keyless:                     "no primary key or unique index on exactly (id)",
		other:                       "table predictions has no column id, which key names; it has request_id",
		filepath.Join(file, "x.db"): "creating the folder",
	} {
		o := newTestOutput(t, fmt.Sprintf("path: %q\ntable: predictions\nkey: [id]\ncolumns_mapping: root = this", path))
		if err := o.Connect(context.Background()); !contains(err, want) || !contains(err, path) {
			t.Errorf("opening %s: %v, want %q", filepath.Base(path), err, want)
		}
	}
}

func BenchmarkWriteBatch(b *testing.B) {
	o := newTestOutput(b, fmt.Sprintf(`
path: %q
table: predictions
key: [request_id]
columns_mapping: root = this
`, filepath.Join(b.TempDir(), "p.db")))
	if err := o.Connect(context.Background()); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		batch := make(service.MessageBatch, 500)
		for i := range batch {
			n++
			batch[i] = service.NewMessage(fmt.Appendf(nil, `{"request_id":"events-0-%d","user_id":%d,"movie_id":%d,"prediction":3.25,"title":"Heat (1995)",`+
				`"genres":["Action","Crime"],"model_version":"v1","predicted_at":"2026-01-02T15:04:05Z","actual":null}`, n, n%600, n%9000))
		}
		if err := o.WriteBatch(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}

// TestDeletingRowsByAColumnThatIsNoKeyOfTheTable is how an index forgets a user.
func TestDeletingRowsByAColumnThatIsNoKeyOfTheTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.db")
	eraser := newTestOutput(t, fmt.Sprintf("path: %q\ntable: predictions\nkey: [user]\naction: delete\ncolumns_mapping: 'root = if this.user == 9 { deleted() } else { this }'", path))
	if err := eraser.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if failed := write(t, eraser, `{"user":1}`); failed != nil {
		t.Fatalf("without a table: %v", failed)
	}
	writer := predictionsOutput(t, path, "")
	if failed := write(t, writer, `{"id":"a","user":1}`, `{"id":"b","user":2}`, `{"id":"c","user":1}`, `{"id":"d","user":9}`); failed != nil {
		t.Fatal(failed)
	}
	if failed := write(t, eraser, `{"user":1}`, `{"user":9}`, `{"id":"b"}`, `{"user":77}`); len(failed) != 1 || !strings.Contains(failed[2], "key column user is missing or null") {
		t.Errorf("failed: %v", failed)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var left string
	if err := db.QueryRow("SELECT group_concat(id) FROM (SELECT id FROM predictions ORDER BY id)").Scan(&left); err != nil || left != "b,d" {
		t.Errorf("left are %q, want b,d: %v", left, err)
	}
}
