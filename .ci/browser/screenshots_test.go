package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
)

// Every state at both widths and in both themes. SCREENSHOTS names the folder for the pictures; without it
// only the fit is checked.
func TestEveryStateFitsBothWidthsInBothThemes(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder != "" {
		require.NoError(t, os.MkdirAll(folder, 0o755))
	}
	report := consoletest.Report
	for state, c := range map[string]struct {
		relay consoletest.Relay
		text  string
	}{
		"start": {consoletest.Relay{}, ""}, "story": {consoletest.Relay{}, report},
		"empty":   {consoletest.Relay{}, quiet},
		"partial": {consoletest.Partial(), report}, "down": {consoletest.Down(), report},
		"without-platform": {consoletest.WithoutPlatform(), quiet},
		"hostile":          {hostile(), report},
		"many":             {many(1000), report},
	} {
		for width, v := range map[string]view{"1280": {width: 1280, height: 900},
			"390": {width: 390, height: 844}} {
			for theme, dark := range map[string]bool{"light": false, "dark": true} {
				t.Run(strings.Join([]string{state, width, theme}, " "), func(t *testing.T) {
					v.dark = dark
					p := open(t, c.relay, v)
					if c.text != "" {
						p.investigate(c.text)
					}
					assert.Equal(t, theme, p.attribute("html", "data-theme"))
					assert.False(t, p.is(`document.documentElement.scrollWidth > innerWidth`),
						"the page is wider than the window")
					if folder == "" {
						return
					}
					shoot := func(suffix string, action chromedp.Action[[]byte]) {
						picture := run(p, action)
						require.NoError(t, os.WriteFile(filepath.Join(folder,
							strings.Join([]string{state, width, theme}, "-")+suffix+".png"), picture, 0o644))
					}
					shoot("", chromedp.FullScreenshot(100))
					if state == "story" {
						p.clickNode("domain|cdn.glasswing.example")
						p.do(chromedp.ScrollIntoView(chromedp.CSS("#graph")))
						shoot("-details", chromedp.CaptureScreenshot())
						p.press(kb.Escape)
						p.click(`#outline button[data-key="host|ws-finance-07"]`)
						shoot("-host", chromedp.CaptureScreenshot())
						p.press(kb.Escape)
						p.click("#pane-events tbody button")
						shoot("-event", chromedp.CaptureScreenshot())
						p.click(`#details .pivot`)
						p.until(`document.querySelector('#trail li') !== null`)
						p.answered()
						eval[chromedp.Void](p, `{ document.getElementById('ask').open = true; }`)
						shoot("-pivot", chromedp.CaptureScreenshot())
						p.click("#tab-references")
						shoot("-references", chromedp.FullScreenshot(100))
					}
				})
			}
		}
	}
}
