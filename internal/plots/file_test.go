package plots

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhereNoPictureCanBeDrawnIsSaidBefore(t *testing.T) {
	folder := t.TempDir()
	file, inside := filepath.Join(folder, "file"), filepath.Join(folder, "folder.svg")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(inside, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want error
		says string
	}{
		{"evaluation.pdf", ErrFormat, `"evaluation.pdf": pictures are .svg or .png`},
		{"evaluation", ErrFormat, ".svg or .png"},
		{filepath.Join(folder, "none", "a.svg"), ErrPlace, "there is no folder " + filepath.Join(folder, "none")},
		{filepath.Join(file, "a.svg"), ErrPlace, "folder"},
		{inside, ErrPlace, "is a folder"},
		{filepath.Join(folder, "a.svg"), nil, ""},
		{filepath.Join(folder, "a.PNG"), nil, ""},
		{"a.png", nil, ""},
	} {
		err := Check(c.path)
		if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", c.path, err, c.want, c.says)
		}
	}
}
