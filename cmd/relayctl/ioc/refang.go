package ioc

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// refanged is a text made plain, with the place in the original of each of its bytes and of its end.
type refanged struct {
	text   []byte
	origin []int
}

// edit replaces the bytes [from, to).
type edit struct {
	from, to int
	with     string
}

// refang undoes what reports, editors and encodings do to observables. Its passes build on each other: a
// zero-width space may stand in "[.]".
func refang(s string) *refanged {
	r := &refanged{text: []byte(s), origin: make([]int, len(s)+1)}
	for i := range r.origin {
		r.origin[i] = i
	}
	r.apply(plainCharacters(s))
	for _, edits := range []func([]byte) []edit{dots, halfDots, slashes, jsonBackslashes, escapes} {
		r.apply(edits(r.text))
	}
	return r
}

// apply makes the edits, which are in order and do not overlap.
func (r *refanged) apply(edits []edit) {
	if len(edits) == 0 {
		return
	}
	text, origin, last := make([]byte, 0, len(r.text)), make([]int, 0, len(r.origin)), 0
	for _, e := range edits {
		text, origin = append(text, r.text[last:e.from]...), append(origin, r.origin[last:e.from]...)
		for range len(e.with) {
			origin = append(origin, r.origin[e.from])
		}
		text, last = append(text, e.with...), e.to
	}
	r.text, r.origin = append(text, r.text[last:]...), append(origin, r.origin[last:]...)
}

// plainCharacters replaces the characters that only look like others, and those that are not seen. U+FFFD
// stands for what no value holds.
func plainCharacters(s string) []edit {
	var edits []edit
	for i, c := range s {
		with, size := "", utf8.RuneLen(c)
		switch {
		case c == utf8.RuneError:
			with = "\ufffd"
			_, size = utf8.DecodeRuneInString(s[i:])
		case strings.ContainsRune("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", c): // not seen
		case strings.ContainsRune("“”„‟«»″", c):
			with = `"`
		case strings.ContainsRune("‘’‚‛‹›′", c):
			with = "'"
		case strings.ContainsRune("．｡。", c) && dotBetween(s[:i], s[i+size:]):
			with = "."
		case c != ' ' && unicode.Is(unicode.Zs, c):
			with = " "
		case strings.ContainsRune("\v\f\u0085\u2028\u2029", c):
			with = "\n"
		case unicode.IsControl(c) && !strings.ContainsRune("\t\r\n", c):
			with = "\ufffd"
		default:
			continue
		}
		edits = append(edits, edit{i, i + size, with})
	}
	return edits
}

// dotBetween reports whether an ideographic full stop is the dot of a name. Between Latin and other letters
// it rather ends a sentence.
func dotBetween(before, after string) bool {
	l, _ := utf8.DecodeLastRuneInString(before)
	r, _ := utf8.DecodeRuneInString(after)
	return isWord(l) && isWord(r) && (l < utf8.RuneSelf) == (r < utf8.RuneSelf)
}

var (
	dotPattern     = regexp.MustCompile(`(?i)([ \t]?)\\?[\[({]{1,2}[ \t]?(\.|dot|@|at)[ \t]?\\?[\])}]{1,2}([ \t]?)`)
	halfDotPattern = regexp.MustCompile(`\[\.|\.\]|\[,\]`)
	slashPattern   = regexp.MustCompile(`\\?\[[ \t]?(://|:|//?)[ \t]?\\?\]`)
	escapedPattern = regexp.MustCompile(`(?i)(?:\b[a-z]:|%[a-z0-9_()]+%|\b(?:Global|Local|HK[A-Z_]+)|` +
		`\\\\\\\\[^\\/\s"]+)(?:\\\\[^\\"\r\n]*)+`)
	regexPattern = regexp.MustCompile("[^\\s\"'`<>|]*\\\\[./:-][^\\s\"'`<>|]*")
)

// dots finds [.], (dot), [ . ], \[.\], [at] and their kind. They may stand alone between blanks only where
// words stand around them.
func dots(text []byte) []edit {
	var edits []edit
	for _, m := range dotPattern.FindAllSubmatchIndex(text, -1) {
		e := edit{m[0], m[1], "."}
		if c := text[m[4]]; c == '@' || c|0x20 == 'a' {
			e.with = "@"
		}
		spaced := m[3] > m[2] && m[7] > m[6]
		if !spaced { // a blank on one side is not part of it
			e.from, e.to = m[3], m[6]
		}
		left, right := text[max(0, e.from-64):e.from], text[e.to:min(len(text), e.to+64)]
		before, _ := utf8.DecodeLastRune(left)
		after, _ := utf8.DecodeRune(right)
		if spaced && (!isWord(before) || !isWord(after) || inSentence(left, -1) || inSentence(right, 0)) {
			continue // the text speaks of [.] itself
		}
		edits = append(edits, e)
	}
	return edits
}

// halfDots finds evil[.example, evil.]example and evil[,]example.
func halfDots(text []byte) []edit {
	var edits []edit
	for _, m := range halfDotPattern.FindAllIndex(text, -1) {
		before, _ := utf8.DecodeLastRune(text[:m[0]])
		after, _ := utf8.DecodeRune(text[m[1]:])
		if isWord(before) && isWord(after) {
			edits = append(edits, edit{m[0], m[1], "."})
		}
	}
	return edits
}

// slashes finds [:], [/], [//] and [://].
func slashes(text []byte) []edit {
	var edits []edit
	for _, m := range slashPattern.FindAllSubmatchIndex(text, -1) {
		edits = append(edits, edit{m[0], m[1], string(text[m[2]:m[3]])})
	}
	return edits
}

// jsonBackslashes finds the doubled backslashes of paths and names that were copied out of JSON or source
// code. A single backslash after them is the next escape, such as \n or \", which ends the value.
func jsonBackslashes(text []byte) []edit {
	var edits []edit
	for _, m := range escapedPattern.FindAllIndex(text, -1) {
		for i := m[0]; i < m[1]; i++ {
			if text[i] == '\\' && (i > m[0] || !bytes.HasPrefix(text[i:], []byte(`\\\\`))) {
				edits = append(edits, edit{i, i + 2, `\`})
				i++
			} else if text[i] == '\\' { // the four of a UNC path are two
				edits = append(edits, edit{i, i + 4, `\\`})
				i += 3
			}
		}
		if m[1]+1 < len(text) && text[m[1]] == '\\' && strings.IndexByte(`nrtu"`, text[m[1]+1]) >= 0 {
			edits = append(edits, edit{m[1], m[1] + 1, "\n"})
		}
	}
	return edits
}

// escapes finds evil\.example and http:\/\/evil.example, which come from regular expressions and JSON. A
// word with another backslash is a path.
func escapes(text []byte) []edit {
	var edits []edit
	for _, m := range regexPattern.FindAllIndex(text, -1) {
		var found []edit
		for i := m[0]; i < m[1]; i++ {
			if text[i] != '\\' {
				continue
			}
			if i == m[0] || i+1 == m[1] || strings.IndexByte(`./:-[]()`, text[i+1]) < 0 ||
				text[i+1] == '.' && strings.IndexByte(`:%~\.`, text[i-1]) >= 0 {
				found = nil
				break
			}
			found = append(found, edit{i, i + 1, ""})
		}
		edits = append(edits, found...)
	}
	return edits
}

// inSentence reports whether the first (0) or last (-1) word of text is one of prose.
func inSentence(text []byte, i int) bool {
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return false
	}
	word := words[(i+len(words))%len(words)]
	return isProse(word) || in(joining, word)
}

func isWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}
