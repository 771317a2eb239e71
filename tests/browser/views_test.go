package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// view shows a view of the page as a person does, by the link in its header, and
// demands that the focus is on its heading then.
func (b *tab) view(t testing.TB, name string) {
	t.Helper()
	b.press(t, "#to-"+name)
	eventually(t, patience, nil, func() error {
		at := evaluate[string](t, b, fmt.Sprintf(`(() => {
			const view = document.getElementById('view-%s');
			if (view.hidden || document.querySelectorAll('main > div:not([hidden])').length !== 1) return 'hidden';
			if (document.querySelector('nav [aria-current=page]').id !== 'to-%[1]s') return 'not the current one';
			return document.activeElement === view.querySelector('.heading') ? '' : 'without the focus';
		})()`, name))
		if at != "" {
			return fmt.Errorf("the view %s is %s", name, at)
		}
		return nil
	})
}

// press clicks the first element that fits, by the mouse.
func (b *tab) press(t testing.TB, selector string) {
	t.Helper()
	var at []float64
	eventually(t, patience, nil, func() error {
		at = evaluate[[]float64](t, b, fmt.Sprintf(`(() => {
			const element = document.querySelector(%q);
			if (!element || element.disabled) return [];
			element.scrollIntoView({ block: 'center' });
			const box = element.getBoundingClientRect();
			return box.width ? [box.left + box.width / 2, box.top + box.height / 2] : [];
		})()`, selector))
		if len(at) == 0 {
			return fmt.Errorf("there is no %s to click", selector)
		}
		return nil
	})
	do(t, b, "clicking "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

// keys types what the focused element gets.
func (b *tab) keys(t testing.TB, keys string) {
	t.Helper()
	do(t, b, "typing", chromedp.KeyEvent(keys))
}

func do(t testing.TB, b *tab, what string, action chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionTakes)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// focus puts the focus where a person would go by the tabulator.
func (b *tab) focus(t testing.TB, selector string) {
	t.Helper()
	if !evaluate[bool](t, b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (e) e.focus(); return !!e && document.activeElement === e; })()`, selector)) {
		t.Fatalf("%s cannot have the focus", selector)
	}
}

// fill replaces what stands in an input, by the keyboard.
func (b *tab) fill(t testing.TB, selector, text string) {
	t.Helper()
	b.focus(t, selector)
	evaluate[bool](t, b, `(document.activeElement.select(), true)`)
	b.keys(t, text)
}

//go:embed testdata/axe.min.js
var axe string

// barrier is what axe-core found.
type barrier struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

// accessible demands that axe-core finds no serious or critical barrier in what is
// shown. Of rows and cards, which are all made alike, it looks at the first three.
func (b *tab) accessible(t testing.TB, name string) {
	t.Helper()
	if !evaluate[bool](t, b, `typeof axe === 'object'`) {
		evaluate[bool](t, b, axe+"\n;typeof axe === 'object'")
	}
	evaluate[bool](t, b, `(window.barriers = null, axe.run({ include: ['html'], exclude: ['tbody tr:nth-child(n+4)', 'li:nth-child(n+4)'] }, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } }).then((found) => {
		window.barriers = { passes: found.passes.length, violations: found.violations.map((v) => (
			{ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 200) + ' ' + n.failureSummary) })) };
	}), true)`)
	type result struct {
		Passes     int       `json:"passes"`
		Violations []barrier `json:"violations"`
	}
	var found *result
	eventually(t, patience, nil, func() error {
		if found = evaluate[*result](t, b, `window.barriers`); found == nil {
			return fmt.Errorf("axe-core has not ended")
		}
		return nil
	})
	if found.Passes < 10 {
		t.Errorf("%s: axe-core looked at %d rules only", name, found.Passes)
	}
	for _, v := range found.Violations {
		text := fmt.Sprintf("%s: %s (%s): %s\n%s", name, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Error(text)
		} else {
			t.Log(text)
		}
	}
}

// looked takes screenshots of the view that is shown in light and dark, and looks for
// barriers in both.
func (b *tab) looked(t testing.TB, name string) {
	t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		b.prefer(t, scheme)
		b.accessible(t, name+", "+scheme)
		b.screenshot(t, name+"-1400-"+scheme)
	}
}

// lookedOnAPhone sees that the view fits one, too, and takes screenshots.
func (b *tab) lookedOnAPhone(t testing.TB, name string) {
	t.Helper()
	b.looked(t, name)
	fitsAPhone(t, b, name)
	b.resize(t, 1400, 1000)
}

// ready waits until requests are answered.
func ready(t testing.TB, p *process) {
	t.Helper()
	eventually(t, 2*patience, p, func() error {
		response, err := client.Get(p.origin + "/api/health/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/api/health/ready: %s", response.Status)
		}
		return nil
	})
}

// told asks the interface, as another program would.
func told[T any](t testing.TB, p *process, path, key string) (answer T) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, p.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", path, response.Status, err)
	}
	return answer
}

func contains(rows [][]string, row ...string) bool {
	return slices.ContainsFunc(rows, func(r []string) bool { return slices.Equal(r, row) })
}
