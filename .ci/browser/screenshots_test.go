package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
)

// Every state at both widths and in both themes. SCREENSHOTS names the folder for the pictures; without it only the fit is checked.
func TestEveryStateFitsBothWidthsInBothThemes(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder != "" {
		require.NoError(t, os.MkdirAll(folder, 0o755))
	}
	for state, answers := range map[string]consoletest.Answers{
		"start": {}, "story": consoletest.Story(), "empty": consoletest.Empty(), "partial": consoletest.Partial(), "hostile": consoletest.Hostile(), "many": consoletest.Many(1000),
	} {
		for width, v := range map[string]view{"1280": {width: 1280, height: 900}, "390": {width: 390, height: 844}} {
			for theme, dark := range map[string]bool{"light": false, "dark": true} {
				t.Run(strings.Join([]string{state, width, theme}, " "), func(t *testing.T) {
					v.dark = dark
					p := open(t, answers, v)
					if state != "start" {
						p.investigate(consoletest.Report())
					}
					assert.Equal(t, theme, p.attribute("html", "data-theme"))
					assert.False(t, p.is(`document.documentElement.scrollWidth > innerWidth`), "the page is wider than the window")
					if folder == "" {
						return
					}
					shoot := func(suffix string, action chromedp.Action[[]byte]) {
						picture := run(p, action)
						require.NoError(t, os.WriteFile(filepath.Join(folder, strings.Join([]string{state, width, theme}, "-")+suffix+".png"), picture, 0o644))
					}
					shoot("", chromedp.FullScreenshot(100))
					if state == "story" {
						p.clickNode("domain|cdn-update.example")
						p.do(chromedp.ScrollIntoView(chromedp.CSS("#graph")))
						shoot("-details", chromedp.CaptureScreenshot())
					}
				})
			}
		}
	}
}
