package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"

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
func New(o Options) (http.Handler, error) {
	if o.Ask == nil {
		return nil, errors.New("console: no way to ask the relay")
	}
	page, err := template.ParseFS(assets, "assets/index.html")
	if err != nil {
		return nil, err
	}
	c := &console{options: o, page: page, token: rand.Text()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.servePage)
	mux.HandleFunc("POST /api/find", c.find)
	mux.HandleFunc("POST /api/investigate", c.investigate)
	mux.HandleFunc("POST /api/tiles", c.tiles)
	if err := serveAssets(mux); err != nil {
		return nil, err
	}
	return c.guard(mux), nil
}

type console struct {
	options Options
	page    *template.Template
	token   string
}

func (c *console) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	err := c.page.Execute(w, struct {
		Token    string
		RelayURL string
		Examples []Example
	}{c.token, c.options.RelayURL, c.options.Examples})
	if err != nil {
		// the connection broke, or the page is half written: nothing more can be said
		panic(http.ErrAbortHandler)
	}
}

// serveAssets registers each embedded file by its name, so that no path reaches the file system and a
// directory is not listed.
func serveAssets(mux *http.ServeMux) error {
	return fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "assets/index.html" {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		kind := cmp.Or(contentTypes[path.Ext(name)], "text/plain; charset=utf-8")
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content)
		})
		return nil
	})
}

// contentTypes are not the machine's own table, which knows .mjs in some places only.
var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
}
