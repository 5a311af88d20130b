package ctim

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// CTIM's limits of length.
const (
	maxShort = 1024
	maxMed   = 2048
	maxLong  = 5000
	maxURI   = 2048
)

// Short is s cut to a CTIM ShortString, 1024 characters.
func Short(s string) string { return cut(s, maxShort) }

// Med is s cut to a CTIM MedString, 2048 characters.
func Med(s string) string { return cut(s, maxMed) }

// Long is s cut to a CTIM LongString or Markdown, 5000 characters.
func Long(s string) string { return cut(s, maxLong) }

// cut keeps the first n characters of s and makes the result valid UTF-8. A character beyond the basic
// plane counts twice, as it does where CTIM itself runs (a JVM counts UTF-16 units), so the result is
// short enough for whoever counts code points too.
func cut(s string, n int) string {
	if len(s) > n { // fewer bytes than n cannot be more characters than n
		units := 0
		for i, r := range s {
			units++
			if r > 0xFFFF {
				units++
			}
			if units > n {
				s = s[:i]
				break
			}
		}
	}
	if utf8.ValidString(s) {
		return s
	}
	// One replacement for each bad byte, as the count above and the JSON encoder have it:
	// strings.ToValidUTF8 would join them.
	return string([]rune(s))
}

// URI is s where it is the address of a web page that CTIM accepts, else "". CTIM wants at most 2048
// characters that java.net.URI parses; on top of that it has to be http or https with a host and without
// a user, for it ends up as a link that somebody clicks.
func URI(s string) string {
	if len(s) > maxURI {
		return ""
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '<', '>', '"', '{', '}', '|', '\\', '^', '`', 0x7F:
			return ""
		case '%':
			if i+2 >= len(s) || strings.Trim(s[i+1:i+3], "0123456789abcdefABCDEF") != "" {
				return ""
			}
		default:
			if c <= ' ' || c > 0x7F {
				return ""
			}
		}
	}
	// A fragment can be wrong in its characters only, which are seen to. To parse it would take a copy of
	// it, for each event.
	page, fragment, _ := strings.Cut(s, "#")
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		strings.Contains(fragment, "#") {
		return ""
	}
	if strings.HasPrefix(u.Host, "[") {
		if a, err := netip.ParseAddr(u.Hostname()); err != nil || a.Zone() != "" {
			return ""
		}
	}
	// java.net.URI knows brackets only around such a host.
	if u.Hostname() == "" || strings.ContainsAny(u.EscapedPath(), "[]") {
		return ""
	}
	return s
}
