package browser

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/cmd/relayctl/console/consoletest"
)

// patience is how long a tab may take for all that a test does in it. It only ends what hangs.
const patience = time.Minute

// chromium finds the browser, or ends the test.
func chromium(t *testing.T) string {
	t.Helper()
	name := os.Getenv("CHROMIUM")
	if name == "" {
		name = "chromium"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("BROWSER_TEST") == "required" {
			t.Fatalf("BROWSER_TEST=required, but there is no Chromium: %v", err)
		}
		t.Skipf("no Chromium (%v); on Debian: apt-get install chromium", err)
	}
	return path
}

// view is how the page is looked at.
type view struct {
	width, height int64
	dark          bool
}

var desk = view{width: 1280, height: 900}

// tab is a page of the console in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	downloads chan string // paths of files

	mu       sync.Mutex
	said     []string // on the browser's console, and exceptions
	requests []string
}

// quiet is a text about which nobody knows anything.
const quiet = "nothing-here.example 192.0.2.200"

// open starts a relay, a console before it and a browser that shows the console. When the test ends, the
// browser must have reported no error and asked no other host.
func open(t *testing.T, relay consoletest.Relay, v view) *tab {
	t.Helper()
	chromium(t)
	handler := console.New(relay.Start(t), console.Example{Label: "The opened invoice", Text: consoletest.Report},
		console.Example{Label: "Quiet", Text: quiet})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openAt(t, server.URL, v)
}

// openAt opens a console that is served already.
func openAt(t *testing.T, address string, v view) *tab {
	t.Helper()
	path := chromium(t)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Headless,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-dev-shm-usage", true),
	}
	allocated, cancelAllocated := chromedp.NewExecAllocator(context.Background(), options...)
	p := &tab{t: t, url: address, downloads: make(chan string, 1)}
	chromium, cancelBrowser := chromedp.NewContext(allocated, chromedp.WithListener(p.listen))
	t.Cleanup(func() {
		_ = chromedp.Cancel(chromium) // waits until Chromium is gone and its folder can be removed
		cancelBrowser()
		cancelAllocated()
	})
	require.NoError(t, chromedp.Do(chromium)) // starts Chromium, which lives as long as this context
	ctx, cancel := context.WithTimeout(chromium, patience)
	t.Cleanup(cancel)
	p.ctx = ctx

	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, emulation.SetDeviceMetricsOverride,
		emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1,
			Mobile: v.width < 700})
	call(p, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme",
			Value: scheme}}})
	call(p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: t.TempDir(),
		EventsEnabled: new(true),
	})
	p.do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("#status")))
	t.Cleanup(p.checkQuiet) // runs before the browser is closed
	return p
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		said := "exception: " + e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			said += " " + thrown.Description
		}
		p.said = append(p.said, said)
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range e.Args {
			words = append(words, string(a.Value)+a.Description)
		}
		p.said = append(p.said, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(words, " ")))
	case *log.EventEntryAdded:
		p.said = append(p.said,
			fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *browser.EventDownloadProgress:
		if e.State == browser.DownloadProgressStateCompleted {
			p.downloads <- e.FilePath
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

// checkQuiet holds the page to what every test expects: nothing on the browser's console, nothing from
// another host.
func (p *tab) checkQuiet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(p.t, p.said, "the browser reported something")
	assert.NotEmpty(p.t, p.requests)
	own, err := url.Parse(p.url)
	require.NoError(p.t, err)
	for _, r := range p.requests {
		u, err := url.Parse(r)
		require.NoError(p.t, err)
		if u.Scheme != "data" {
			assert.Equal(p.t, own.Host, u.Host, "a request to another host: %s", r)
		}
	}
}

// call sends a command of the browser's protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	require.NoError(p.t, err)
	return result
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

func run[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, action)
	require.NoError(p.t, err)
	return result
}

// eval runs JavaScript, awaits what it gives, and decodes that.
func eval[T any](p *tab, js string) T {
	p.t.Helper()
	return run(p, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

func (p *tab) is(js string) bool {
	p.t.Helper()
	return eval[bool](p, "Boolean("+js+")")
}

// until waits for JavaScript to be true.
func (p *tab) until(js string) {
	p.t.Helper()
	p.do(chromedp.Poll[chromedp.Void](js, chromedp.WithPollingTimeout(patience)))
}

// text is what a person reads in the first element of a CSS selector, white space evened out.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return strings.Join(strings.Fields(run(p, chromedp.Text(chromedp.CSS(selector)))), " ")
}

func (p *tab) attribute(selector, name string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q)?.getAttribute(%q) ?? ''`, selector,
		name)) // the driver's own copy of the page lags behind
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// clickPath clicks on the first element of an XPath.
func (p *tab) clickPath(path string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.Search(path)))
}

func (p *tab) focus(selector string) {
	p.t.Helper()
	p.do(chromedp.Focus(chromedp.CSS(selector)))
}

func (p *tab) shown(selector string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(chromedp.CSS(selector)))
}

func (p *tab) press(key string, with ...chromedp.Modifier) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(with...)))
}

// focused is the id of what has the focus.
func (p *tab) focused() string {
	p.t.Helper()
	return eval[string](p, `document.activeElement.id`)
}

// paste puts text into the field as the clipboard would, and waits until its observables are shown.
func (p *tab) paste(text string) {
	p.t.Helper()
	p.focus("#text")
	call(p, input.InsertText, input.InsertTextParams{Text: text})
	p.shown("#chips .chip")
}

// investigate pastes a text, presses Investigate and waits for the results.
func (p *tab) investigate(text string) {
	p.t.Helper()
	p.paste(text)
	p.click("#investigate")
	p.answered()
}

// answered waits until an answer is shown.
func (p *tab) answered() {
	p.t.Helper()
	p.until(`!document.body.hasAttribute('aria-busy') && !document.getElementById('results').hidden`)
	p.frames()
}

// download clicks a button and returns the path of the file that comes of it.
func (p *tab) download(selector string) string {
	p.t.Helper()
	p.click(selector)
	select {
	case path := <-p.downloads:
		return path
	case <-p.ctx.Done():
		require.FailNow(p.t, "nothing was downloaded")
		return ""
	}
}

// frames lets the page draw, after which it has told its parts that it scrolled.
func (p *tab) frames() {
	p.t.Helper()
	eval[chromedp.Void](p, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`)
}

// clickNode clicks where the graph draws a node.
func (p *tab) clickNode(key string) {
	p.t.Helper()
	p.do(chromedp.ScrollIntoView(chromedp.CSS("#graph")))
	p.frames()
	at := eval[*struct{ X, Y float64 }](p, fmt.Sprintf("relayConsole.positionOf(%q)", key))
	require.NotNil(p.t, at, "the graph does not draw %s", key)
	p.do(chromedp.MouseClickXY(at.X, at.Y))
	p.shown("#details h2")
}

// filter types into a table's filter, in place of what is there.
func (p *tab) filter(name, text string) {
	p.t.Helper()
	p.focus("#filter-" + name)
	eval[chromedp.Void](p, `document.activeElement.select()`)
	if text == "" {
		p.press(kb.Delete)
		return
	}
	call(p, input.InsertText, input.InsertTextParams{Text: text})
}

// rows counts the rows that a table shows.
func (p *tab) rows(name string) int {
	p.t.Helper()
	return eval[int](p, fmt.Sprintf(`document.querySelectorAll('#pane-%s tbody tr').length`, name))
}

// asked is how often the page asked path of the console.
func (p *tab) asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(p.requests),
		func(r string) bool { return !strings.HasSuffix(r, path) }))
}
