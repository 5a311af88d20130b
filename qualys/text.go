package qualys

import (
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxReason    = 300      // characters of upstream text in an error
	maxErrorBody = 64 << 10 // bytes of an error's body that are read
	maxErrorText = 32 << 10 // bytes of it that are looked at: a secret of up to the difference that begins in them is whole, and so is found
	redacted     = "[redacted]"
)

// reason finds the sentence for people in the body of a refused call: the fields of the gateway's known envelopes, else the text of the body.
// It returns "" for an empty body.
func reason(body []byte, secrets ...string) string {
	var doc any
	if json.Unmarshal(body, &doc) == nil {
		if s := jsonReason(doc); s != "" {
			return plain(s, secrets...)
		}
	}
	return plain(string(body), secrets...)
}

// jsonReason reads {"authentication_exceptions":[…]} (logins), {"message":…} and {"_error":…} (gateway), and what other gateways in front say.
func jsonReason(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		var parts []string
		for _, e := range v {
			if s := jsonReason(e); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		for _, key := range [...]string{"authentication_exceptions", "message", "_error", "error_description", "error", "errorMessage", "detail"} {
			if s := jsonReason(v[key]); s != "" {
				return s
			}
		}
	}
	return ""
}

// plain makes one line of at most 300 characters of foreign text, without markup, control characters and secrets.
func plain(s string, secrets ...string) string {
	s = scrub(s, secrets)
	if len(s) > maxErrorText {
		s = s[:maxErrorText]
	}
	s = scrub(oneLine(s), secrets) // once more: markup or a line break may have stood inside of a secret
	if utf8.RuneCountInString(s) > maxReason {
		s = string([]rune(s)[:maxReason-1]) + "…"
	}
	return s
}

// oneLine takes out markup, control characters and what cannot be seen, and puts one space in the place of white space.
func oneLine(s string) string {
	s = stripMarkup(s)
	s = stripMarkup(html.UnescapeString(s)) // what was escaped may be markup again
	var b strings.Builder
	space := false
	for _, r := range s { // invalid UTF-8 comes as U+FFFD
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case unicode.Is(unicode.Cf, r): // direction marks, joiners
			continue
		case space:
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// scrub replaces each secret, as it is and in the encodings in which a server may echo it.
func scrub(s string, secrets []string) string {
	var pairs []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		quoted, _ := json.Marshal(secret) // a string always marshals
		inJSON := strings.Trim(string(quoted), `"`)
		form, path := url.QueryEscape(secret), url.PathEscape(secret)
		for _, variant := range [...]string{
			secret, inJSON, strings.ReplaceAll(inJSON, "/", `\/`), html.EscapeString(secret),
			form, path, strings.ReplaceAll(form, "+", "%20"), lowerHex(form), lowerHex(path), lowerHex(strings.ReplaceAll(form, "+", "%20")),
			oneLine(secret),
		} {
			if variant != "" && strings.Contains(s, variant) {
				pairs = append(pairs, variant, redacted)
			}
		}
	}
	if pairs == nil {
		return s
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// lowerHex turns the %2B of a percent-encoded text into %2b.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(string(b[i:i+3])))
		}
	}
	return string(b)
}

// stripMarkup puts a space in the place of each tag and comment, and of scripts and styles with their content. A "<" that opens no tag stays.
func stripMarkup(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "<")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if rest == "" || !isTagStart(rest[0]) {
			b.WriteByte('<')
			s = rest
			continue
		}
		b.WriteByte(' ')
		switch {
		case strings.HasPrefix(rest, "!--"):
			_, s, _ = strings.Cut(rest, "-->")
		case hasPrefixFold(rest, "script"):
			s = behindElement(rest, "/script")
		case hasPrefixFold(rest, "style"):
			s = behindElement(rest, "/style")
		default: // where the tag never ends, all of it is markup
			_, s, _ = strings.Cut(rest, ">")
		}
	}
}

// behindElement returns what follows the element's closing tag, "" where it has none.
func behindElement(s, closing string) string {
	for found := true; found; {
		if _, s, found = strings.Cut(s, "<"); hasPrefixFold(s, closing) {
			_, s, _ = strings.Cut(s, ">")
			return s
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isTagStart(c byte) bool {
	return c == '/' || c == '!' || c == '?' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
