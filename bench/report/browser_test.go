package report

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sluice/bench/result"
)

// browser is a page in a real Chromium, and what it complained of or asked for.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	errors   []string
	requests []string
}

// browse opens r's page in a window so wide. Without a Chromium the test fails,
// rather than pass for nothing.
func browse(t *testing.T, r *result.Run, width int64, dark bool) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser")
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(pageOf(t, r)), 0o600); err != nil {
		t.Fatal(err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.UserDataDir(t.TempDir()))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to have one as root
	}
	if binary := os.Getenv("SLUICE_TEST_CHROMIUM"); binary != "" {
		options = append(options, chromedp.ExecPath(binary))
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), options...)
	b := &browser{t: t}
	var leave context.CancelFunc
	b.ctx, leave = chromedp.NewContext(alloc, chromedp.WithListener(b.listen))
	t.Cleanup(func() {
		leave()
		stop()
	})
	err := chromedp.Do(b.ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.Enable, network.EnableParams{})
		return err
	}), theme(dark), chromedp.EmulateViewport(width, 900), chromedp.Navigate((&url.URL{Scheme: "file", Path: path}).String()), chromedp.WaitReady("body"))
	if err != nil {
		t.Fatalf("no page in a browser: run `make test`, which says what is missing, name a Chromium with SLUICE_TEST_CHROMIUM, or test with -short (%v)", err)
	}
	return b
}

// theme is what the browser says of the user's wishes.
func theme(dark bool) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		if strings.HasPrefix(e.Entry.Text, "Canvas2D: Multiple readback") {
			return // advice about what the test itself does
		}
		b.errors = append(b.errors, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// eval returns what the expression comes to in b's page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// drawn returns, by the plot's id, how many pixels of its canvas are coloured as
// lines are: neither grey nor clear.
const drawn = `Object.fromEntries([...document.querySelectorAll("[data-plot]")].map(box => {
	const c = box.querySelector("canvas");
	if (!c || !c.width) return [box.dataset.plot, 0];
	const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 0; i < p.length; i += 4) if (p[i + 3] > 128 && Math.max(p[i], p[i + 1], p[i + 2]) - Math.min(p[i], p[i + 1], p[i + 2]) > 60) n++;
	return [box.dataset.plot, n];
}))`

// TestPageInBrowser is what a person sees, on a phone and on a desk, by day and by
// night.
func TestPageInBrowser(t *testing.T) {
	for _, width := range []int64{360, 1280} {
		for _, dark := range []bool{false, true} {
			t.Run(fmt.Sprintf("width=%d/dark=%v", width, dark), func(t *testing.T) {
				b := browse(t, spike(t), width, dark)
				title, text := eval[string](b, `document.title`), eval[string](b, `document.body.innerText`)
				pixels := eval[map[string]int](b, drawn)
				overflow := eval[[]string](b, `[...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest(".scroll")).map(e => e.tagName + "." + e.className)`)
				ground := eval[string](b, `getComputedStyle(document.documentElement).backgroundColor`)
				if title != "spike · sluice bench" {
					t.Errorf("the title is %q", title)
				}
				for _, want := range []string{"57,479", "188 ms", "429 no_credits", "550,989", "tenant noisy", "2 stored without having been accepted"} {
					if !strings.Contains(text, want) {
						t.Errorf("a person does not see %q", want)
					}
				}
				for _, id := range []string{"latency", "percentiles", "throughput", "credits", "mailboxes", "cpu", "memory"} {
					if pixels[id] < 100 {
						t.Errorf("plot %s has %d pixels of lines", id, pixels[id])
					}
				}
				if len(pixels) != 7 {
					t.Errorf("%d plots, want 7", len(pixels))
				}
				if len(overflow) > 0 {
					t.Errorf("wider than the window: %v", overflow)
				}
				if (ground == "rgb(255, 255, 255)") == dark {
					t.Errorf("the ground is %s", ground)
				}
				b.quiet()
			})
		}
	}
}

// quiet checks that nothing went wrong, and that nobody was asked for anything.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errors) > 0 {
		b.t.Errorf("the browser complains: %q", b.errors)
	}
	for _, url := range b.requests {
		if !strings.HasSuffix(url, "/page.html") && !strings.HasPrefix(url, "data:") {
			b.t.Errorf("the page asks for %s", url)
		}
	}
	if len(b.requests) == 0 {
		b.t.Error("no request was seen, not even the page's: the test sees nothing")
	}
}

// TestPageByKeyboard reads a plot without a mouse.
func TestPageByKeyboard(t *testing.T) {
	b := browse(t, spike(t), 1280, false)
	const plot = `[data-plot="throughput"]`
	err := chromedp.Do(b.ctx, chromedp.Focus(chromedp.CSS(plot)), chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.Home),
		chromedp.KeyEvent(kb.PageUp), chromedp.KeyEvent(kb.ArrowRight))
	if err != nil {
		t.Fatal(err)
	}
	value := eval[string](b, `document.querySelector('`+plot+`').getAttribute("aria-valuetext")`)
	if want := "7 s: sent 40,000, accepted "; !strings.HasPrefix(value, want) {
		t.Errorf("the plot reads %q, want %q…", value, want)
	}
	// A plot draws in the next frame.
	const legendOf = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector('[data-plot="%s"] .u-legend').innerText))))`
	legend, synced := eval[string](b, fmt.Sprintf(legendOf, "throughput")), eval[string](b, fmt.Sprintf(legendOf, "latency"))
	if !strings.Contains(legend, "40,000") || !strings.Contains(legend, "7 s") {
		t.Errorf("the legend says %q", legend)
	}
	if !strings.Contains(synced, "7 s") {
		t.Errorf("the plot above shows another moment: %q", synced)
	}
	b.quiet()
}

// TestPageFollowsTheTheme looks at the colour of a line, which is in the canvas and
// not in the style sheet.
func TestPageFollowsTheTheme(t *testing.T) {
	b := browse(t, spike(t), 1280, false)
	const hasLine = `(() => {
		const c = document.querySelector('[data-plot="credits"] canvas');
		const rgb = getComputedStyle(document.documentElement).getPropertyValue("--line-1").trim().slice(1).match(/../g).map(x => parseInt(x, 16));
		const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < p.length; i += 4) if (p[i + 3] > 200 && rgb.every((x, k) => Math.abs(x - p[i + k]) < 12)) n++;
		return n;
	})()`
	light := eval[int](b, hasLine)
	if err := chromedp.Do(b.ctx, theme(true)); err != nil {
		t.Fatal(err)
	}
	dark := eval[int](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => `+hasLine+`)`)
	if light < 50 || dark < 50 {
		t.Errorf("%d pixels have the line's colour by day, %d by night", light, dark)
	}
	b.quiet()
}

// TestPageOfEvilNamesInBrowser has names that are scripts.
func TestPageOfEvilNamesInBrowser(t *testing.T) {
	r := spike(t)
	evil := `</script><script>document.title="taken"</script><img src=x onerror=alert(1)>`
	r.Scenario, r.Phases[1].Name, r.Tenants[0].Name = evil, evil, evil
	r.Series[3].Mailboxes[evil] = 1
	b := browse(t, r, 360, false)
	title, pixels := eval[string](b, `document.title`), eval[map[string]int](b, drawn)
	if title != evil+" · sluice bench" || pixels["mailboxes"] < 100 {
		t.Errorf("the title is %q, the plot has %d pixels", title, pixels["mailboxes"])
	}
	b.quiet()
}

// TestPageOfFewSamplesInBrowser has a run of one second, and one without figures.
func TestPageOfFewSamplesInBrowser(t *testing.T) {
	short := spike(t)
	short.Series = short.Series[:1]
	for _, r := range []*result.Run{short, smoke()} {
		b := browse(t, r, 360, false)
		got := eval[int](b, `document.querySelectorAll("[data-plot] canvas").length`)
		if want := len(plots(r, r.Series)); got != want {
			t.Errorf("%d plots of %d samples, want %d", got, len(r.Series), want)
		}
		b.quiet()
	}
}
