package ioc

import (
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

// fang is a way in which reports, editors and encodings change observables. The edits undo it in a match, as
// FindSubmatchIndex gives it; they are in order and do not overlap.
type fang struct {
	pattern *regexp.Regexp
	edits   func(text []byte, m []int) []edit
}

// fangs are in the order in which they are undone.
func fangs() []fang {
	return []fang{
		{dotPattern, dot}, {slashPattern, slash}, {jsonPattern, jsonBackslashes}, {escapePattern, escapes},
	}
}

var (
	// [.], (dot), [ . ], \[.\], [at] and their kind, with the blanks around them; or evil[.example,
	// evil.]example and evil[,]example.
	dotPattern = regexp.MustCompile(
		`(?i)([ \t]?)\\?[\[({]{1,2}[ \t]?(\.|dot|@|at)[ \t]?\\?[\])}]{1,2}([ \t]?)|\[\.|\.\]|\[,\]`)
	// [:], [/], [//] and [://].
	slashPattern = regexp.MustCompile(`\\?\[[ \t]?(://|:|//?)[ \t]?\\?\]`)
	// Paths and names with the doubled backslashes of JSON and source code, and the escape that ends them.
	jsonPattern = regexp.MustCompile(`(?i)(?:\b[a-z]:|%[a-z0-9_()]+%|\b(?:Global|Local|HK[A-Z_]+)|` +
		`\\\\\\\\[^\\/\s"]+)(?:\\\\[^\\"\r\n]*)+(\\(?-i:[nrtu"]))?`)
	// Words with evil\.example or http:\/\/evil.example in them, out of regular expressions and JSON.
	escapePattern = regexp.MustCompile("[^\\s\"'`<>|]*\\\\[./:-][^\\s\"'`<>|]*")
)

// refang undoes the fangs. The passes build on each other: a zero-width space may stand in "[.]".
func refang(s string) *refanged {
	r := &refanged{text: []byte(s), origin: make([]int, len(s)+1)}
	for i := range r.origin {
		r.origin[i] = i
	}
	r.apply(plainCharacters(s))
	for _, f := range fangs() {
		var edits []edit
		for _, m := range f.pattern.FindAllSubmatchIndex(r.text, -1) {
			edits = append(edits, f.edits(r.text, m)...)
		}
		r.apply(edits)
	}
	return r
}

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

// dot undoes a defanged dot or at sign. It may stand alone between blanks only where words stand around it.
func dot(text []byte, m []int) []edit {
	e := edit{m[0], m[1], "."}
	if m[2] >= 0 { // more than evil[.example
		if c := text[m[4]]; c == '@' || c|0x20 == 'a' {
			e.with = "@"
		}
		if m[3] == m[2] || m[7] == m[6] { // a blank on one side is not part of it
			e.from, e.to = m[3], m[6]
			return []edit{e}
		}
		left, right := text[max(0, m[0]-64):m[0]], text[m[1]:min(len(text), m[1]+64)]
		if inSentence(left, -1) || inSentence(right, 0) {
			return nil // the text speaks of [.] itself
		}
	}
	before, _ := utf8.DecodeLastRune(text[:e.from])
	after, _ := utf8.DecodeRune(text[e.to:])
	if !isWord(before) || !isWord(after) {
		return nil
	}
	return []edit{e}
}

func slash(text []byte, m []int) []edit { return []edit{{m[0], m[1], string(text[m[2]:m[3]])}} }

// jsonBackslashes makes one backslash of two. A single one after them begins the next escape, such as \n or
// \", which ends the value.
func jsonBackslashes(text []byte, m []int) []edit {
	var edits []edit
	end := m[1]
	if m[2] >= 0 {
		end = m[2]
	}
	for i := m[0]; i < end; i++ {
		if text[i] == '\\' {
			edits = append(edits, edit{i, i + 2, `\`})
			i++
		}
	}
	if m[2] >= 0 {
		edits = append(edits, edit{end, end + 1, "\n"})
	}
	return edits
}

// escapes takes the backslashes out. A word with another backslash is a path.
func escapes(text []byte, m []int) []edit {
	var edits []edit
	for i := m[0]; i < m[1]; i++ {
		if text[i] != '\\' {
			continue
		}
		if i == m[0] || i+1 == m[1] || strings.IndexByte(`./:-[]()`, text[i+1]) < 0 ||
			text[i+1] == '.' && strings.IndexByte(`:%~\.`, text[i-1]) >= 0 {
			return nil
		}
		edits = append(edits, edit{i, i + 1, ""})
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
	return isProse(word) || listed["joining"][word]
}

func isWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}
