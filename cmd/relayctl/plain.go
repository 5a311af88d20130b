package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a relay sends was in part written by whoever named a file or a host. On a terminal such text could move the cursor, recolour the screen, set
// the clipboard or, with right-to-left marks, show a name that is not the one in the event. Everything printed for people goes through this file.

// hidden tells whether a rune may not reach a terminal: control characters (C0, C1, DEL), formatting that cannot be seen (bidirectional marks,
// zero-width characters, tags), line and paragraph separators, private use and unassigned code points.
func hidden(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

// plain makes text safe for a terminal line: what cannot be shown is written as an escape that can be seen, like \u202e.
func plain(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hidden(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// plainLines is plain for text of our own that has lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n")
}

// short is plain, cut to at most n runes; an ellipsis is the last of them where something was cut.
func short(s string, n int) string {
	runes := []rune(plain(s))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

// plainJSON makes JSON safe for a terminal without changing what it means: the hidden characters are all inside of strings, where \u escapes stand
// for them.
func plainJSON(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for len(doc) > 0 {
		r, size := utf8.DecodeRune(doc)
		switch {
		case r == '\n' || r == '\t' || r == '\r' || !hidden(r) && (r != utf8.RuneError || size > 1):
			out = append(out, doc[:size]...)
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		}
		doc = doc[size:]
	}
	return out
}
