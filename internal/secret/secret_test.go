package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAVariableOrItsFileIsRead(t *testing.T) {
	for _, test := range []struct{ name, variable, file, want string }{
		{"the variable", "from-variable", "", "from-variable"},
		{"the variable before the file", "from-variable", "from-file\n", "from-variable"},
		{"the file", "", "from-file", "from-file"},
		{"one newline is cut", "", "two\n\n", "two\n"},
		{"Windows's too", "", "word\r\n", "word"},
		{"spaces belong to it", "", " word \n", " word "},
		{"neither", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("A_SECRET", test.variable)
			if test.file != "" {
				t.Setenv("A_SECRET_FILE", file(t, test.file))
			}
			got, fromFile, err := Lookup("A_SECRET")
			if err != nil || got != test.want || fromFile != (test.variable == "" && test.file != "") {
				t.Errorf("got %q, from file %v, %v; want %q", got, fromFile, err, test.want)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNoDefault(t *testing.T) {
	for name, path := range map[string]string{
		"missing":       filepath.Join(t.TempDir(), "missing"),
		"a folder":      t.TempDir(),
		"empty":         file(t, "\n"),
		"too large":     file(t, strings.Repeat("secret-content ", 100_000)),
		"no text":       file(t, "secret-content\x00"),
		"a long line\n": file(t, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("A_SECRET_FILE", path)
			got, _, err := Lookup("A_SECRET")
			if err == nil || got != "" {
				t.Fatalf("got %q, %v", got, err)
			}
			for _, part := range []string{"A_SECRET_FILE", path, "set A_SECRET itself"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v lacks %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "secret-content") {
				t.Errorf("it tells the content: %v", err)
			}
			checked := Check(os.Environ(), []string{"A_"})
			if checked == nil || checked.Error() != err.Error() {
				t.Errorf("Check says %v, want %v", checked, err)
			}
			if err := Check(os.Environ(), []string{"ANOTHER_"}); err != nil {
				t.Errorf("of another program's: %v", err)
			}
			t.Setenv("A_SECRET", "given")
			if err := Check(os.Environ(), []string{"A_"}); err != nil {
				t.Errorf("the file is not needed: %v", err)
			}
		})
	}
}

func TestAnyValueSurvivesYAML(t *testing.T) {
	for _, value := range []string{`plain`, `with "quotes" and \n backslash\`, "two\nlines\tand: # yaml", `${NAME:x} {} [] '`} {
		var got struct{ Password string }
		if err := yaml.Unmarshal([]byte(`password: "`+YAML(value)+`"`), &got); err != nil || got.Password != value {
			t.Errorf("%q became %q, %v", value, got.Password, err)
		}
	}
}
