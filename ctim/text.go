package ctim

import (
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Short is s cut to a CTIM ShortString, 1024 characters.
func Short(s string) string { return cut(s, 1024) }

// Med is s cut to a CTIM MedString, 2048 characters.
func Med(s string) string { return cut(s, 2048) }

// Long is s cut to a CTIM LongString or Markdown, 5000 characters.
func Long(s string) string { return cut(s, 5000) }

// cut keeps the first n characters of s and makes the result valid UTF-8: each bad byte becomes U+FFFD. A
// character beyond the basic plane counts twice, as it does where CTIM itself runs (a JVM counts UTF-16
// units), so the result is short enough for whoever counts code points too.
func cut(s string, n int) string {
	if len(s) <= n && utf8.ValidString(s) { // no more bytes than n are no more characters than n
		return s
	}
	characters, units := []rune(s), 0
	for i, r := range characters {
		if units += utf16.RuneLen(r); units > n {
			return string(characters[:i])
		}
	}
	return string(characters)
}

// URI is s where it is the address of a web page that CTIM accepts, else "". CTIM wants at most 2048
// characters that java.net.URI parses; on top of that it has to be http or https with a host and without
// a user or a query (only a fragment), for it ends up as a link that somebody clicks.
func URI(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 || u.String() != s || // something has to be escaped and is not
		u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return ""
	}
	_, behind, found := strings.Cut(s, u.Host) // net/url lets odd characters through in both
	if !found || strings.ContainsAny(behind, "[]") || strings.ContainsAny(u.Host, `%<>"`) {
		return ""
	}
	return s
}
