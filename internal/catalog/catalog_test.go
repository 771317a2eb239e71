package catalog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTitlesAndGenresAreFoundById(t *testing.T) {
	path := filepath.Join(t.TempDir(), "movies.csv")
	write(t, path, "movieId,title,genres\n1,\"Say \"\"<b>Hi</b>\"\", Ann (1999)\",Comedy|Drama\n2,Nothing,(no genres listed)\n")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int64]struct {
		title  string
		genres []string
		known  bool
	}{1: {`Say "<b>Hi</b>", Ann (1999)`, []string{"Comedy", "Drama"}, true}, 2: {"Nothing", []string{}, true}, 3: {"", []string{}, false}} {
		fields, known := c.JSON(id)
		var got struct {
			Title  *string  `json:"title"`
			Genres []string `json:"genres"`
		}
		if err := json.Unmarshal([]byte("{"+string(fields)+"}"), &got); err != nil {
			t.Fatalf("movie %d: %s: %v", id, fields, err)
		}
		if known != want.known || got.Title == nil || *got.Title != want.title || got.Genres == nil || strings.Join(got.Genres, "|") != strings.Join(want.genres, "|") {
			t.Errorf("movie %d: %s, known %v", id, fields, known)
		}
	}
}

func TestAReloadThatFailsKeepsTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "movies.csv")
	write(t, path, "movieId,title,genres\n1,One,Drama\n")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "movieId,title\nx")
	if err := c.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "movies.csv") {
		t.Errorf("got %v", err)
	}
	if movie, known := c.Movie(1); !known || movie.Title != "One" {
		t.Errorf("got %+v", movie)
	}
	write(t, path, "movieId,title,genres\n1,Uno,Drama\n2,Due,Drama\n")
	if err := c.Reload(t.Context()); err != nil || c.Len() != 2 {
		t.Errorf("%d movies, %v", c.Len(), err)
	}
}
