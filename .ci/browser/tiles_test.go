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

// openDashboard waits until each tile is there.
func (p *tab) openDashboard() {
	p.t.Helper()
	p.click("#dashboard summary")
	p.until(`document.querySelectorAll('#tiles > *').length >= 1 && !document.getElementById('tiles-status').textContent.startsWith('Asking')`)
	p.frames()
}

func TestTheDashboard(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	for width, v := range map[string]view{"1280": {width: 1280, height: 900}, "390": {width: 390, height: 844}} {
		for theme, dark := range map[string]bool{"light": false, "dark": true} {
			t.Run(width+" "+theme, func(t *testing.T) {
				v.dark = dark
				p := open(t, consoletest.Relay{}, v)
				p.openDashboard()
				tiles := p.text("#tiles")
				for _, part := range []string{
					"Qualys EDR: detections", "Detections over time", "Detections by type and verdict", "Newest malicious events",
					"Malicious", "Suspicious", "Remediated", "All events", "Registry", "Network connection established: update.exe to cdn.glasswing.example",
					"SRV-FILES-01",
				} {
					assert.Contains(t, tiles, part)
				}
				assert.Empty(t, eval[string](p, `[...document.querySelectorAll('.tile-problem')].map((e) => e.textContent).join()`))
				assert.Contains(t, p.text("#tiles-status"), "2026-03-11 18:00:00 to 2026-03-18 18:00:00 UTC")
				assert.Equal(t, 2, eval[int](p, `document.querySelectorAll('#tiles canvas').length`))
				assert.Equal(t, "Bar chart: Malicious 8, Suspicious 5, Remediated 2",
					p.attribute("#tiles canvas", "aria-label"))
				assert.True(t, p.is(`document.querySelector('#tiles td a').href.startsWith('https://qualysguard.example/ioc/#/hunting?search=')`))
				assert.False(t, p.is(`document.documentElement.scrollWidth > innerWidth`), "the page is wider than the window")
				shoot(p, folder, strings.Join([]string{"tiles", width, theme}, "-"))

				eval[chromedp.Void](p, `{ const s = document.getElementById('period'); s.value = 'last_hour'; s.dispatchEvent(new Event('change')); }`)
				p.until(`document.getElementById('tiles').textContent.includes('No malicious event in the current state')`)
				p.frames()
				shoot(p, folder, strings.Join([]string{"tiles-quiet", width, theme}, "-"))
			})
		}
	}
}

func shoot(p *tab, folder, name string) {
	if folder == "" {
		return
	}
	require.NoError(p.t, os.MkdirAll(folder, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(folder, name+".png"), run(p, chromedp.FullScreenshot(100)), 0o644))
}

func TestTheDashboardOfARelayThatFails(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	for name, c := range map[string]struct {
		relay consoletest.Relay
		want  []string
	}{
		"down":      {consoletest.Down(), []string{"Not known.", "Unable to connect to Qualys IOC"}},
		"old":       {consoletest.Partial(), []string{"The relay answered with HTTP 404"}},
		"undivided": {undivided(), []string{"All events 21", "The chart shows all events, not detections.", "The tile shows the verdicts alone."}},
		"hostile":   {hostile(), []string{"<img src=x onerror=", "The answer is not what this type of tile needs.", "javascript:globalThis.hostile=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, c.relay, desk)
			p.openDashboard()
			for _, part := range c.want {
				assert.Contains(t, p.text("#tiles"), part)
			}
			assert.False(t, p.is(`'hostile' in globalThis`), "a script of the answer ran")
			assert.False(t, p.is(`[...document.querySelectorAll('#tiles a')].some((a) => !a.href.startsWith('https://'))`))
			assert.False(t, p.is(`document.querySelector('#tiles img, #tiles script, #tiles svg') !== null`))
			shoot(p, folder, "tiles-"+name)
		})
	}
}
