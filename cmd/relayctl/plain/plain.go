// Package plain makes text from elsewhere fit to be shown on a terminal, and reads text that Windows wrote.
//
// What a relay sends was in part written by whoever named a file or a host. On a terminal such text could
// move the cursor, recolour the screen, set the clipboard or, with right-to-left marks, show a name that is
// not the one in the event. Everything that relayctl prints for people goes through this package.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	encodingunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// hidden tells whether a rune may not reach a terminal: control characters (C0, C1, DEL), formatting that
// cannot be seen (bidirectional marks, zero-width characters, tags), separators, private use and unassigned
// code points.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// unquote undoes what strconv.Quote does beyond escaping what is hidden.
var unquote = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

// Text makes text safe for a terminal line: what cannot be shown becomes an escape that can be seen, as in
// Go's string literals: \u202e.
func Text(s string) string {
	quoted := strconv.Quote(s)
	return unquote.Replace(quoted[1 : len(quoted)-1])
}

// Lines is Text for text that may have several lines.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Text(line)
	}
	return strings.Join(lines, "\n")
}

// Short is Text, cut to at most n runes; the last of them is an ellipsis where something was cut.
func Short(s string, n int) string {
	runes := []rune(Text(s))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

// OneLine is Short for text that may have several lines, of which it makes one.
func OneLine(s string, n int) string {
	s = s[:min(len(s), 8*n)] // enough, however it is indented
	return Short(strings.Join(strings.Fields(s), " "), n)
}

// JSON makes a JSON document safe for a terminal without changing what it means: the hidden characters are
// all inside of strings, where \u escapes stand for them. Only carriage returns, which go, are between them.
func JSON(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for _, r := range strings.ReplaceAll(string(doc), "\r", "") {
		if r == '\n' || r == '\t' || !hidden(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// Decode returns the content of a file or pipe as UTF-8: without a byte order mark, and converted from
// UTF-16 where the mark says so, as Windows PowerShell redirects output.
func Decode(content []byte) []byte {
	text, _, _ := transform.Bytes(encodingunicode.BOMOverride(transform.Nop), content) // it has no errors
	return text
}

// Count is a number of things in words: "1 event", "3 events".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
