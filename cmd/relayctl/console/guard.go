package console

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// tokenHeader carries the page's token. A header of one's own also keeps other pages' requests from being
// sent without a preflight.
const tokenHeader = "X-Console-Token"

// policy lets the page load its own files and nothing else. Trusted Types refuse every string that would
// become HTML or script, in the libraries too.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// guard keeps other pages out, whichever way they come: under a name of theirs that they made point here
// (Host), from their own origin (Origin, Sec-Fetch-Site), in a frame, or as a script.
func (c *console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if reason := c.refuse(r); reason != "" {
			http.Error(w, "Refused: "+reason, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse says why a request is not answered, or nothing.
func (c *console) refuse(r *http.Request) string {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	switch {
	case !loopbackHost(r):
		return "the console answers only on a loopback address, under its name and port."
	case origin != "" && origin != "http://"+r.Host, site != "" && site != "same-origin" && site != "none":
		return "the request comes from another page."
	case r.Method != http.MethodGet &&
		subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(c.Token)) != 1:
		return "the page is from an earlier start of the console. Load it again."
	}
	return ""
}

// loopbackHost reports whether the request arrived on a loopback address and names it as such, with the port
// that it arrived on. A name that somebody's DNS server points at 127.0.0.1 is not such a name.
func loopbackHost(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return false
	}
	port := fmt.Sprintf(":%d", local.Port)
	host, named := strings.CutSuffix(r.Host, port)
	return (named || port == ":80") && slices.Contains([]string{"localhost", "127.0.0.1", "[::1]"}, host)
}
