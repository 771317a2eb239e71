package browser

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/recsys-benthos/recsys-benthos/tests/binary"
)

//go:embed testdata/read_models.js
var readModels string

// modelsView is what stands in the view “Models”.
type modelsView struct {
	Status      string     `json:"status"`
	Problem     string     `json:"problem"`
	Versions    [][]string `json:"versions"`
	Champion    string     `json:"champion"`
	Differences [][]string `json:"differences"`
	Dialog      string     `json:"dialog"` // what it asks, empty while it is closed
	Key         string     `json:"key"`    // why one is asked for, empty while none is
	Kept        string     `json:"kept"`   // all that a key could be found in
}

func (b *tab) untilModels(t testing.TB, p *process, what string, wanted func(modelsView) bool) (shown modelsView) {
	t.Helper()
	eventually(t, 2*patience, p, func() error {
		if shown = evaluate[modelsView](t, b, readModels); !wanted(shown) {
			shown.Kept = ""
			return fmt.Errorf("want %s; the view is %+v", what, shown)
		}
		return nil
	})
	return shown
}

// listed are the versions as the command line lists them, oldest first, and the champion.
func listed(t testing.TB, registry string) (versions []string, champion string) {
	t.Helper()
	var models []struct{ Version, Role string }
	if err := json.Unmarshal(command(t, "models", "list", "--registry", "file://"+registry, "--json"), &models); err != nil {
		t.Fatalf("models list: %v", err)
	}
	for _, m := range models {
		if versions = append(versions, m.Version); m.Role == "champion" {
			champion = m.Version
		}
	}
	return versions, champion
}

// command runs the program to its end and returns what it prints.
func command(t testing.TB, args ...string) []byte {
	t.Helper()
	c := exec.Command(program, args...)
	c.Env = binary.Inherited()
	var errors strings.Builder
	c.Stderr = &errors
	text, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, errors.String())
	}
	return text
}

func TestTheChampionIsRolledBackAndPromotedByWhoHasTheKey(t *testing.T) {
	needsChromium(t)
	const key = "of-the-admin-only"
	data, state, address := hostileData(t), t.TempDir(), freeAddress(t)
	registry := filepath.Join(state, "registry")
	for _, iterations := range []string{"3", "4"} { // another recipe, which the gate would not take by itself
		command(t, "train", "--ratings", data, "--registry", "file://"+registry, "--iterations", iterations, "--force", "--json")
	}
	versions, before := listed(t, registry)
	if len(versions) != 2 || before != versions[1] {
		t.Fatalf("of the versions %v %s is the champion", versions, before)
	}
	b := newTab(t)
	p := startWith(t, []string{"RECSYS_API_ADMIN_KEY=" + key}, address, up(address, state, data, "--rate", "20", "--retrain", "1000000")...)
	ready(t, p) // the page's server has handed the address to the interface's
	b.open(t, p)
	b.view(t, "models")
	b.untilModels(t, p, "a question for a key", func(v modelsView) bool { return v.Key == "The server asks for a key." && len(v.Versions) == 0 })
	b.keys(t, "of-somebody-else"+kb.Enter) // the input has the focus
	b.untilModels(t, p, "the wrong key told", func(v modelsView) bool {
		return v.Key == "This key does not do: the key is not known here. Give another one." && v.Problem == "Not done: the key is not known here."
	})
	b.accessible(t, "the question for a key")
	b.screenshot(t, "key-1400")
	b.focus(t, "#key-input")
	b.keys(t, key+kb.Enter)
	shown := b.untilModels(t, p, "two versions", func(v modelsView) bool { return v.Key == "" && len(v.Versions) == 2 })
	if shown.Champion != before || shown.Problem != "" || !strings.Contains(shown.Versions[0][0], versions[1]) || !strings.Contains(shown.Versions[1][0], versions[0]) {
		t.Errorf("of the versions %v the view shows %+v", versions, shown.Versions)
	}
	b.press(t, "#ad-compare button")
	b.untilModels(t, p, "the iterations compared", func(v modelsView) bool { return contains(v.Differences, "Parameter iterations", "4", "3") })
	b.lookedOnAPhone(t, "models-two")

	b.press(t, "#ad-rollback")
	b.untilModels(t, p, "a question", func(v modelsView) bool { return strings.Contains(v.Dialog, before) })
	b.accessible(t, "the dialog")
	b.screenshot(t, "dialog-1400")
	b.keys(t, kb.Enter) // on the button Cancel, which has the focus
	b.untilModels(t, p, "no dialog", func(v modelsView) bool { return v.Dialog == "" })
	if _, champion := listed(t, registry); champion != before {
		t.Errorf("it was cancelled, and the champion is %s", champion)
	}
	b.press(t, "#ad-rollback")
	b.press(t, "#ad-confirm")
	b.untilModels(t, p, "another champion", func(v modelsView) bool { return v.Champion == versions[0] && strings.HasPrefix(v.Status, "Done: ") })
	if _, champion := listed(t, registry); champion != versions[0] {
		t.Errorf("it was rolled back, and the champion of the registry is %s, not %s", champion, versions[0])
	}

	b.press(t, "#ad-versions button")
	b.untilModels(t, p, "a question", func(v modelsView) bool { return strings.Contains(v.Dialog, versions[1]) })
	b.press(t, "#ad-force")
	b.press(t, "#ad-confirm")
	shown = b.untilModels(t, p, "the first champion again", func(v modelsView) bool { return v.Champion == versions[1] && strings.HasPrefix(v.Status, "Done: ") })
	if _, champion := listed(t, registry); champion != versions[1] {
		t.Errorf("it was promoted, and the champion of the registry is %s, not %s", champion, versions[1])
	}
	if heading := evaluate[bool](t, b, `document.activeElement === document.getElementById('ad-h-versions')`); !heading {
		t.Error("the focus is lost with the button that was pressed")
	}
	if strings.Contains(shown.Kept, key) {
		t.Error("the key is kept in the page's document, address, or storage")
	}
	b.hostileForYou(t, p)
	b.silent(t, p.origin, "network") // the refused keys
}

// hostileForYou demands that hostile titles are text in the view “For you”, which
// has the key by now.
func (b *tab) hostileForYou(t testing.TB, p *process) {
	t.Helper()
	b.view(t, "for-you")
	b.press(t, "#fy-new")
	until(t, b, p, "all titles", func(f forYou) bool { return len(f.Cards) == len(hostile) })
	b.fill(t, "#fy-search", "script")
	b.keys(t, kb.Enter)
	until(t, b, p, "the script found", func(f forYou) bool { return len(f.Found) == 2 })
	b.press(t, `#fy-found .stars [value="5"]`)
	shown := until(t, b, p, "a rating", func(f forYou) bool { return len(f.Rated) == 1 && len(f.Cards) == len(hostile)-1 })
	for _, title := range append(shown.titles(), shown.Rated[0][0]) {
		if !strings.Contains(strings.Join(hostile, "\n")+"\n", title+" (") {
			t.Errorf("%q is no title of the data", title)
		}
	}
	checkHarmless(t, read(t, b))
	fitsAPhone(t, b, "hostile-for-you")
}

func TestAPageWithoutTheInterfaceSaysSo(t *testing.T) {
	needsChromium(t)
	folder, address := t.TempDir(), freeAddress(t)
	messages, config := filepath.Join(folder, "messages.jsonl"), filepath.Join(folder, "page.yaml")
	write(t, messages, hostileMessages(t))
	write(t, config, fmt.Sprintf(hostilePage, messages, address, "Alone", ""))
	b := newTab(t)
	p := start(t, address, "run", config)
	b.open(t, p)
	b.view(t, "for-you")
	b.press(t, "#fy-new")
	until(t, b, p, "what is missing", func(f forYou) bool { return f.Hidden && strings.Contains(f.Problem, "pipelines/api.yaml") })
	b.view(t, "models")
	b.untilModels(t, p, "what is missing", func(v modelsView) bool { return strings.Contains(v.Problem, "pipelines/api.yaml") })
	b.silent(t, p.origin, "network") // 404
}
