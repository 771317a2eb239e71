package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository's, from the folder of this package.
const root = "../.."

// block is a fenced block of a page.
type block struct {
	page     string // docs/swap-a-sink.md
	section  string // the last heading of the second level above it
	line     int    // of the opening fence
	language string // yaml, sh, …
	text     string
	notes    []string // of the HTML comments right above it
}

// at is where a person finds the block.
func (b block) at() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// The notes that a block may have right above it, as HTML comments.
const (
	noteNeedsServers = "needs servers" // sh: it is checked and not run
	noteNotRun       = "not run"       // sh: likewise, with the reason after a colon
	noteNotLinted    = "not linted"    // yaml: with the reason after a colon
	noteFile         = "file"          // yaml, json, csv: the file of the page's folder that it is
	noteFilesOf      = "files of"      // sh: the page whose files are there already
	noteReplaces     = "replaces"      // yaml: the resource of a file that it is put in the place of
	noteSameAs       = "same as"       // yaml: the file of the repository that says the same
	noteIsIn         = "is in"         // any: the file of the repository that has it word by word
	noteLeaveRunning = "leave running" // sh: it runs until the section's end; after a colon an address that answers once it is ready
	noteOutput       = "output"        // text: what the sh block above it prints, … for what differs
)

var knownNotes = []string{
	noteNeedsServers, noteNotRun, noteNotLinted, noteFile, noteFilesOf, noteReplaces, noteSameAs, noteIsIn, noteLeaveRunning, noteOutput,
}

// note returns what follows the name of a note, and whether the block has it.
func (b block) note(name string) (value string, ok bool) {
	for _, note := range b.notes {
		if got, rest, _ := strings.Cut(note, ":"); strings.TrimSpace(got) == name {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

func (b block) has(name string) bool {
	_, ok := b.note(name)
	return ok
}

var (
	fence   = regexp.MustCompile("^(\\s*)(```+)\\s*([A-Za-z]*)")
	comment = regexp.MustCompile(`^\s*<!--\s*(.*?)\s*-->\s*$`)
)

// blocks returns the fenced blocks of a page in their order.
func blocks(page, text string) (all []block, err error) {
	var open *block
	var indent, closing string
	var notes, lines []string
	section := ""
	for i, line := range strings.Split(text, "\n") {
		if open != nil {
			if strings.TrimSpace(line) != closing {
				lines = append(lines, strings.TrimPrefix(line, indent))
				continue
			}
			open.text = strings.Join(lines, "\n") + "\n"
			all = append(all, *open)
			open, notes, lines = nil, nil, nil
			continue
		}
		if match := fence.FindStringSubmatch(line); match != nil {
			indent, closing = match[1], match[2]
			open = &block{page: page, section: section, line: i + 1, language: match[3], notes: notes}
			continue
		}
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if match := comment.FindStringSubmatch(line); match != nil {
			notes = append(notes, match[1])
		} else if strings.TrimSpace(line) != "" {
			notes = nil
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: this fence is not closed; add %s at the end of the block", open.at(), closing)
	}
	return all, nil
}

// pages returns the names of the pages whose blocks are checked, with / from the
// repository's root.
func pages(t *testing.T) []string {
	t.Helper()
	return append([]string{"README.md", "CONTRIBUTING.md"}, glob(t, "docs/*.md")...)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: there is no such page (%v)", pattern, err)
	}
	for i, path := range paths {
		relative, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		paths[i] = filepath.ToSlash(relative)
	}
	return paths
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pageBlocks(t *testing.T, page string) []block {
	t.Helper()
	all, err := blocks(page, readFile(t, page))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// languages are what blocks may be in. Those of text and of programs in other
// languages are for people; docs/api.md's program is run in tests/clients.
var languages = []string{"", "csv", "cql", "diff", "go", "json", "python", "sh", "sql", "text", "yaml"}

func TestEveryBlockSaysWhatItIs(t *testing.T) {
	for _, page := range pages(t) {
		for _, b := range pageBlocks(t, page) {
			if !slices.Contains(languages, b.language) {
				t.Errorf("%s: nobody checks blocks in %q; use one of %q", b.at(), b.language, languages)
			}
			if file, ok := b.note(noteIsIn); ok && !strings.Contains(readFile(t, file), b.text) {
				t.Errorf("%s: %s does not have this block word by word; copy it anew", b.at(), file)
			}
			for _, note := range b.notes {
				name, reason, _ := strings.Cut(note, ":")
				if name = strings.TrimSpace(name); !slices.Contains(knownNotes, name) {
					t.Errorf("%s: <!-- %s --> right above a block is none of the notes %q; move the comment or mend it", b.at(), note, knownNotes)
				}
				if (name == noteNotRun || name == noteNotLinted) && strings.TrimSpace(reason) == "" {
					t.Errorf("%s: <!-- %s --> gives no reason; write <!-- %s: why -->", b.at(), note, name)
				}
			}
		}
	}
}

func TestAFenceThatIsNotClosedIsTold(t *testing.T) {
	if _, err := blocks("x.md", "# x\n\n```yaml\ninput: {}\n"); err == nil || !strings.HasPrefix(err.Error(), "x.md:3:") {
		t.Errorf("the error is %v", err)
	}
}

func TestNotesBelongToTheBlockRightBelowThem(t *testing.T) {
	all, err := blocks("x.md", "<!-- file: a.yaml -->\n\n```yaml\na: 1\n```\n\n```sh\nls\n```\n\n<!-- needs servers -->\ntext\n\n  ```sh\n  ls\n  ```\n")
	if err != nil || len(all) != 3 {
		t.Fatalf("%d blocks, %v", len(all), err)
	}
	if path, ok := all[0].note(noteFile); !ok || path != "a.yaml" || all[0].line != 3 {
		t.Errorf("the first block has notes %q and is at line %d", all[0].notes, all[0].line)
	}
	if len(all[1].notes) > 0 || len(all[2].notes) > 0 || all[2].text != "ls\n" {
		t.Errorf("the others are %+v", all[1:])
	}
}
