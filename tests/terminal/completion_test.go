package terminal

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed is what a shell offers for a line, by its own machinery.
type completed func(t *testing.T, line string) []string

func TestBashCompletes(t *testing.T) {
	shell := find(t, "bash")
	testCompletion(t, func(t *testing.T, line string) []string {
		// What bash does at a press of Tab: its words are cut at : and =.
		script := `
source <("$PROGRAM" completion bash)
COMP_LINE="$LINE" COMP_POINT=${#LINE}
words="${LINE//:/ : }"; words="${words//=/ = }"
read -r -a COMP_WORDS <<<"$words"
[[ "$LINE" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_recsys_benthos
printf '%s\n' "${COMPREPLY[@]}"`
		return ask(t, shell, []string{"--norc", "-c", script}, line)
	})
}

func TestFishCompletes(t *testing.T) {
	shell := find(t, "fish")
	testCompletion(t, func(t *testing.T, line string) []string {
		var words []string
		for _, offered := range ask(t, shell, []string{"--no-config", "-c", `$PROGRAM completion fish | source; complete -C "$LINE"`}, line) {
			word, _, _ := strings.Cut(offered, "\t")
			words = append(words, word)
		}
		return words
	})
}

func TestZshCompletes(t *testing.T) {
	shell := find(t, "zsh")
	testCompletion(t, func(t *testing.T, line string) []string {
		// zsh completes only where it edits a line. _describe and _files are what our function
		// hands its candidates to; here they print them.
		script := `
autoload -Uz compinit && compinit -u -d "$TMPDIR/zcompdump"
source <("$PROGRAM" completion zsh)
_describe() { print -l -- ${candidates%%:*} }
_files() { }
words=(${(z)LINE}); [[ "$LINE" == *" " ]] && words+=("")
CURRENT=$#words
_recsys_benthos`
		var words []string
		last := line[strings.LastIndexByte(line, ' ')+1:]
		for _, word := range ask(t, shell, []string{"-f", "-c", script}, line) {
			if strings.HasPrefix(word, last) {
				words = append(words, word)
			}
		}
		return words
	})
}

func find(t *testing.T, shell string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("SKIPPED: there is no %s here to complete in", shell)
	}
	return path
}

// ask runs a shell, with the program on its path.
func ask(t *testing.T, shell string, args []string, line string) []string {
	t.Helper()
	command := exec.CommandContext(t.Context(), shell, args...)
	command.Env = append(environment(), "PROGRAM="+program, "LINE="+line, "TMPDIR="+t.TempDir(), "HOME="+t.TempDir(),
		"PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func testCompletion(t *testing.T, complete completed) {
	f := prepared(t)
	version := champion(t, f)
	for line, words := range map[string][]string{
		"recsys-benthos mod":             {"models"},
		"recsys-benthos li":              {"lint", "list"},
		"recsys-benthos models pro":      {"promote"},
		"recsys-benthos models list --j": {"--json"},
		"recsys-benthos lint --res":      {"--resources"},
		"recsys-benthos models promote --registry " + f.registry + " 2":         {version},
		"recsys-benthos models promote --registry " + f.registry + " champ":     {"champion"},
		"recsys-benthos models compare --registry " + f.registry + " champion ": {version},
	} {
		offered := complete(t, line)
		for _, word := range words {
			if !slices.Contains(offered, word) {
				t.Errorf("%q: %q is not among %q", line, word, offered)
			}
		}
		if slices.Contains(offered, "up") {
			t.Errorf("%q: up is among %q", line, offered)
		}
	}
}
