// Package console is the page on which an analyst sees what the relay's answers mean: the observables in a
// pasted text, the events about them, what those touched, the verdicts, and what all that cost. It draws the
// relay's tiles, too, as XDR's dashboard would.
//
// It is a page for one person on one machine. The handler answers only on a loopback address, only under a
// loopback name, only to its own page, and only with the token that the page was given; what authenticates
// to the relay stays in the client and never reaches the browser. The page loads nothing from any other
// host, runs no inline script, and writes every value of an answer as text.
//
// The page's own code is plain ES modules and CSS under assets, without a build step. Two libraries are
// embedded as published on npm, with their licences: assets/vendor/vendor.json names their versions and
// hashes, and a test holds the files to it.
package console

import (
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"

	"qualysrelay.example/cmd/relayctl/relayclient"
)

//go:embed assets
var assets embed.FS

// Example is a text that the page offers to investigate.
type Example struct{ Label, Text string }

// console has what the page's template shows in fields of their own.
type console struct {
	relay    *relayclient.Client
	RelayURL string
	Examples []Example
	Token    string // of the page
}

// New returns the console's handler. It serves the page at / and the page's requests under /api/, so it must
// stand at the root of a listener on a loopback address. Each handler has a token of its own: a page of an
// earlier process cannot use it.
func New(relay *relayclient.Client, examples ...Example) http.Handler {
	c := &console{relay, relay.Base.String(), examples, rand.Text()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.servePage)
	mux.Handle("GET /assets/", http.FileServerFS(assets)) // also the template of the page, which is no secret
	mux.HandleFunc("POST /api/find", answer(find))
	mux.HandleFunc("POST /api/investigate", answer(c.investigate))
	mux.HandleFunc("POST /api/tiles", answer(c.tiles))
	return c.guard(mux)
}

var page = template.Must(template.ParseFS(assets, "assets/index.html"))

func (c *console) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = page.Execute(w, c) // an error is the connection's
}
