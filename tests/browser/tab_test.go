package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is the path of a browser, empty if there is none.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// needsChromium skips a test where there is no browser, but where CI=true it
// fails: there, a test that was not run must not look like one that passed.
func needsChromium(t testing.TB) string {
	t.Helper()
	path := chromium()
	if path != "" {
		return path
	}
	const message = "none of chromium, chromium-browser, google-chrome is on the PATH: install one, such as by " +
		"apt-get install --no-install-recommends chromium fonts-dejavu-core"
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip("SKIPPED, NOT TESTED: " + message)
	return ""
}

// The limits of what the browser may take on a busy machine.
const (
	browserStarts = 40 * time.Second
	actionTakes   = time.Minute // beside suites that load the machine
)

// tab is one page in a browser of its own.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	requests []string // addresses
	problems []problem
}

// problem is an error on the console, or an exception that nobody caught.
type problem struct{ source, text string }

// newTab starts a browser with a profile of its own and an empty page.
func newTab(t testing.TB) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(needsChromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), // containers
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-prefers-reduced-motion", true),
		chromedp.Flag("lang", "en-US"),
	)
	allocator, closeAll := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(closeAll)
	b := &tab{}
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithListener(b.hear))
	t.Cleanup(closeTab)
	b.ctx = ctx
	late := time.AfterFunc(browserStarts, closeAll) // a deadline of the first action would end the browser later
	defer late.Stop()
	b.resize(t, 1400, 1000)
	return b
}

// hear notes what the page asks for and what goes wrong in it.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, e.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.problems = append(b.problems, problem{"exception", text})
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			for _, argument := range e.Args {
				b.problems = append(b.problems, problem{"console", argument.Description + string(argument.Value)})
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.problems = append(b.problems, problem{e.Entry.Source.String(), e.Entry.Text + " " + e.Entry.URL})
		}
	}
}

// silent fails the test if the page had errors, or asked anyone but its origin
// for anything. Errors of the sources named are left out.
func (b *tab) silent(t testing.TB, origin string, except ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		if !slices.Contains(except, p.source) {
			t.Errorf("an error in the page (%s): %s", p.source, p.text)
		}
	}
	if len(b.requests) < 5 {
		t.Errorf("only the requests %v were seen; the page has more parts", b.requests)
	}
	for _, address := range b.requests {
		if !strings.HasPrefix(address, origin+"/") {
			t.Errorf("the page asked for %s, which is not at its origin %s", address, origin)
		}
	}
}

// resize gives the page a width and a height in pixels.
func (b *tab) resize(t testing.TB, width, height int64) {
	t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("starting or resizing the browser: %v", err)
	}
}

// prefer sets the colour scheme, light or dark.
func (b *tab) prefer(t testing.TB, scheme string) {
	t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatalf("preferring the %s scheme: %v", scheme, err)
	}
}

// open goes to the page of the process once it is served.
func (b *tab) open(t testing.TB, p *process) {
	t.Helper()
	eventually(t, 30*time.Second, p, func() error {
		_, err := p.snapshot()
		return err
	})
	ctx, cancel := context.WithTimeout(b.ctx, actionTakes)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(p.origin+"/")); err != nil {
		t.Fatalf("opening %s: %v", p.origin, err)
	}
}

// evaluate runs JavaScript in the page and returns its result.
func evaluate[T any](t testing.TB, b *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actionTakes)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("evaluating %s: %v", expression, err)
	}
	return result
}

// screenshot keeps a picture of the whole page, once it is drawn.
func (b *tab) screenshot(t testing.TB, name string) {
	t.Helper()
	folder := os.Getenv("RECSYS_SCREENSHOTS")
	if folder == "" {
		folder = t.ArtifactDir()
	}
	ctx, cancel := context.WithTimeout(b.ctx, actionTakes)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("taking the screenshot %s: %v", name, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name+".png")
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("screenshot: %s", path)
}
