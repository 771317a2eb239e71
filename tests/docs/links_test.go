package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)`)
	code    = regexp.MustCompile("`[^`\n]*`")
	fenced  = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	heading = regexp.MustCompile(`(?m)^#{1,6}\s+(.*?)\s*#*$`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors returns what a page can be linked to at, as GitHub makes them.
func anchors(text string) []string {
	text = fenced.ReplaceAllString(text, "")
	var all []string
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := slugOf(linked.ReplaceAllString(match[1], "$1"))
		for n, base := 1, slug; slices.Contains(all, slug); n++ {
			slug = base + "-" + string(rune('0'+n))
		}
		all = append(all, slug)
	}
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

func slugOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// brokenLinks returns the links of a page that lead nowhere, with the reason.
// Addresses elsewhere are not looked at: no test needs the internet.
func brokenLinks(page, text string, read func(path string) (string, error)) (broken []string) {
	text = code.ReplaceAllString(fenced.ReplaceAllString(text, ""), "")
	for _, match := range link.FindAllStringSubmatch(text, -1) {
		target, fragment, _ := strings.Cut(match[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		to := page
		if target != "" {
			to = path.Join(path.Dir(page), target)
		}
		there, err := read(to)
		switch {
		case err != nil:
			broken = append(broken, match[1]+": "+to+" does not exist")
		case fragment != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(there), fragment):
			broken = append(broken, match[1]+": "+to+" has no heading #"+fragment)
		}
	}
	return broken
}

// readLinked reads a file, or of a folder that it is there.
func readLinked(path string) (string, error) {
	path = filepath.Join(root, path)
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return "", err
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := slices.Concat(pages(t), glob(t, "docs/decisions/*.md"), glob(t, "docs/reference/*.md"))
	links := 0
	for _, page := range all {
		text := readFile(t, page)
		links += len(link.FindAllString(text, -1))
		for _, broken := range brokenLinks(page, text, readLinked) {
			t.Errorf("%s: the link %s", page, broken)
		}
	}
	t.Logf("%d links on %d pages", links, len(all))
}

func TestALinkThatLeadsNowhereIsTold(t *testing.T) {
	text := "# Two words, `code`\n\n[a](#two-words-code) [b](#three-words) [c](links_test.go) [d](nothing.md) [e](https://example.com/x)\n\n```sh\n[f](nothing)\n```\n"
	read := func(path string) (string, error) {
		if path == "docs/x.md" {
			return text, nil
		}
		return readLinked(strings.Replace(path, "docs/", "tests/docs/", 1))
	}
	broken := brokenLinks("docs/x.md", text, read)
	if len(broken) != 2 || !strings.HasPrefix(broken[0], "#three-words:") || !strings.HasPrefix(broken[1], "nothing.md:") {
		t.Errorf("broken are %q", broken)
	}
}
