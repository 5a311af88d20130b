package qualys

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Field is a search token of the events API.
type Field string

// The tokens that the relay searches by. They come from integrations in production, except FieldProcessName, which is seen in public queries only.
const (
	FieldLocalIP     Field = "network.local.address.ip"
	FieldRemoteIP    Field = "network.remote.address.ip"
	FieldRemoteFQDN  Field = "network.remote.address.fqdn"
	FieldFileName    Field = "file.name"
	FieldFilePath    Field = "file.fullPath"
	FieldMD5         Field = "file.hash.md5"
	FieldSHA256      Field = "file.hash.sha256"
	FieldMutex       Field = "handle.name"
	FieldProcessName Field = "process.name"
)

// ErrUnquotable is returned by Match for a value that no QQL query can hold: it has all three kinds of quotes, a control character or a byte
// that is not UTF-8, or nothing of it is left to search for.
var ErrUnquotable = errors.New("value cannot be quoted in a Qualys query")

// Filter is a query in QQL, the Qualys Query Language. Its zero value is empty and finds every event. Only this package can make one, so that
// no value ever leaves its quotes.
type Filter struct {
	qql string
}

// Match returns the query for events whose field starts with the value: QQL's double quotes are a prefix match, so the caller has to look at
// the events again. A value that holds double quotes goes into backticks, one that holds both into single quotes; those two match exactly.
// Trailing backslashes are dropped, since one would swallow the closing quote. A value that cannot be quoted gives ErrUnquotable.
func Match(f Field, value string) (Filter, error) {
	if !f.known() {
		return Filter{}, fmt.Errorf("unknown search field %q", string(f))
	}
	value = strings.TrimRight(value, `\`)
	if strings.TrimSpace(value) == "" || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return Filter{}, ErrUnquotable
	}
	// How Qualys escapes a quote inside of a value is not published: the only safe delimiter is one that the value lacks.
	for _, quote := range [...]string{`"`, "`", `'`} {
		if !strings.Contains(value, quote) {
			return Filter{string(f) + ": " + quote + value + quote}, nil
		}
	}
	return Filter{}, ErrUnquotable
}

// known keeps a Field that was converted from foreign text out of the query.
func (f Field) known() bool {
	switch f {
	case FieldLocalIP, FieldRemoteIP, FieldRemoteFQDN, FieldFileName, FieldFilePath, FieldMD5, FieldSHA256, FieldMutex, FieldProcessName:
		return true
	}
	return false
}

// Or returns the query for events that any of the filters finds. Empty filters are left out.
func Or(fs ...Filter) Filter {
	terms := make([]string, 0, len(fs))
	for _, f := range fs {
		if f.qql != "" {
			terms = append(terms, f.qql)
		}
	}
	return Filter{strings.Join(terms, " or ")}
}

// String returns the QQL, "" for the empty filter.
func (f Filter) String() string { return f.qql }

// EncodedLen returns the length that the filter takes in the URL of a search, in bytes.
func (f Filter) EncodedLen() int {
	n := 0
	for i := range len(f.qql) {
		if c := f.qql[i]; c == ' ' || unreserved(c) { // a space becomes "+"
			n++
		} else {
			n += len("%XX")
		}
	}
	return n
}

// HuntingURL returns the link that opens the filter on the hunting page of the Qualys UI at platformURL ("https://qualysguard.qualys.com"), or
// "" without a platform. All but RFC 3986's unreserved characters are percent-encoded: the query stands behind a "#", where a "+" is not a
// space, and CTIM's URIs forbid quotes, braces, backslashes and the like.
func HuntingURL(platformURL string, f Filter) string {
	platformURL = strings.TrimRight(platformURL, "/")
	if platformURL == "" {
		return ""
	}
	const page, hex = "/ioc/#/hunting?search=", "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(platformURL) + len(page) + 3*len(f.qql))
	b.WriteString(platformURL)
	b.WriteString(page)
	for i := range len(f.qql) {
		c := f.qql[i]
		if unreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// encode is the form of the filter in a search's URL.
func (f Filter) encode() string { return url.QueryEscape(f.qql) }
