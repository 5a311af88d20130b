// Package console is the page on which an analyst sees what the relay's answers mean: the observables in a
// pasted text, the events about them, what those touched, the verdicts, and what all that cost. It draws the
// relay's tiles, too, as XDR's dashboard would.
//
// It is a page for one person on one machine. The handler answers only on a loopback address, only under a
// loopback name, only to its own page, and only with the token that the page was given; what authenticates
// to the relay stays behind Options.Ask and never reaches the browser. The page loads nothing from any other
// host, runs no inline script, and writes every value of an answer as text.
//
// The page's own code is plain ES modules and CSS under assets, without a build step. Two libraries are
// embedded as published on npm, with their licences: assets/vendor/vendor.json names their versions and
// hashes, and a test holds the files to it.
package console

import (
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"net/url"

	"qualysrelay.example/cmd/relayctl/relayclient"
)

//go:embed assets
var assets embed.FS

// Options is what a console needs to know.
type Options struct {
	// Ask posts body to path of the relay, with the token, which never leaves the process. It must bound the
	// time and the size of the answer. Its errors are shown on the page, so they must not hold a secret. It
	// is called from several goroutines at once.
	Ask func(ctx context.Context, path string, body []byte) (relayclient.Response, error)

	RelayURL string    // shown on the page
	Examples []Example // offered under the text field; may be empty
}

// Example is a text that the page offers to investigate.
type Example struct {
	Label string
	Text  string
}

// New returns the console's handler. It serves the page at / and the page's requests under /api/, so it must
// stand at the root of a listener on a loopback address. Each handler has a token of its own: a page of an
// earlier process cannot use it.
func New(o Options) http.Handler {
	base, _ := url.Parse(o.RelayURL)
	local := base != nil && relayclient.IsLoopback(base.Hostname())
	c := &console{Options: o, Token: rand.Text(), local: local}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.servePage)
	mux.Handle("GET /assets/", http.FileServerFS(assets)) // also the template of the page, which is no secret
	mux.HandleFunc("POST /api/find", answer(find))
	mux.HandleFunc("POST /api/investigate", answer(c.investigate))
	mux.HandleFunc("POST /api/tiles", answer(c.tiles))
	return c.guard(mux)
}

type console struct {
	Options
	Token string // of the page
	local bool   // the relay is on this machine
}

var page = template.Must(template.ParseFS(assets, "assets/index.html"))

func (c *console) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = page.Execute(w, c) // an error is the connection's
}
