package browser

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheDemoInTheBrowser takes the way of somebody who has just pasted the README's first command.
// SCREENSHOTS names the folder for the README's picture.
func TestTheDemoInTheBrowser(t *testing.T) {
	chromium(t)
	program := filepath.Join(t.TempDir(), "relayctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/relayctl")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	demo := exec.CommandContext(t.Context(), program, "demo")
	stdout, err := demo.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, demo.Start())
	t.Cleanup(func() {
		_ = demo.Process.Kill()
		_ = demo.Wait()
	})
	address := ""
	for lines := bufio.NewScanner(stdout); address == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "See it:"); ok {
			address = strings.Fields(rest)[0]
		}
	}
	require.NotEmpty(t, address, "the demo says where to look")

	p := openAt(t, address, desk)
	p.click("#text") // the examples are beside it
	p.clickPath(`//button[contains(., "The whole story")]`)
	p.shown("#chips .chip")
	p.click("#investigate")
	p.answered()
	for _, part := range []string{"High", "WS-FINANCE-07", "SRV-FILES-01", "Malicious"} {
		assert.Contains(t, p.text("#summary"), part)
	}
	assert.Equal(t, 1, eval[int](p, `document.querySelectorAll('.notice').length`))
	assert.Contains(t, p.text("#notices"), "Note: srv-files-01.corp.example is an endpoint", "nothing went wrong")
	p.clickNode("ip|198.51.100.23")
	assert.Contains(t, p.text("#details"), "cdn.glasswing.example")
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		require.NoError(t, os.MkdirAll(folder, 0o755))
		eval[chromedp.Void](p, `scrollTo(0, document.getElementById('summary').offsetTop - 8)`)
		p.frames()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "demo.png"),
			run(p, chromedp.CaptureScreenshot()), 0o644))
	}
}
