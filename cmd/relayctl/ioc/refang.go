package ioc

import (
	"regexp"
	"strings"
)

// fang is a way in which reports, editors and encodings change observables. undo makes the text of a match
// plain and keeps its length: it writes NUL for each byte that goes.
type fang struct {
	pattern *regexp.Regexp
	undo    func(match string) string
}

// The brackets of [.], (dot), [ . ], \[.\], [at] and their kind.
const opened, closed = `\\?[\[({]{1,2}[ \t]?`, `[ \t]?\\?[\])}]{1,2}`

// fangs are in the order in which they are undone: a zero-width space may stand in "[.]". An invalid byte
// (\xff) stands for what no value holds.
var fangs = []fang{
	{regexp.MustCompile(`[\v\f\x{85}\x{2028}\x{2029}]`), toText("\n")},
	{regexp.MustCompile(`[^\P{Cc}\t\r\n]`), toText("\xff")},
	// Characters that are not seen; U+202E, which turns a name around, is left in it.
	{regexp.MustCompile(`[\x{200b}-\x{200f}\x{202a}-\x{202c}\x{2060}\x{2066}-\x{2069}\x{feff}\x{ad}]`),
		toText("")},
	{regexp.MustCompile(`[^\P{Zs} ]`), toText(" ")},
	{regexp.MustCompile(`[“”„‟«»″]`), toText(`"`)},
	{regexp.MustCompile(`[‘’‚‛‹›′]`), toText("'")},
	{regexp.MustCompile(`…`), toText("...")},
	{regexp.MustCompile(`(?:--?|==?)>`), toText("|")}, // arrows
	// Markdown's marks for bold and italic text.
	{regexp.MustCompile(`\*\*[^\s*\\/]+\*\*|` +
		`(?:^|[\s("'|])(?:_[^\s_\\/]+_[,.;:!?)"'|]*(?:\s+|$))+`),
		strings.NewReplacer("*", "\x00", "_", "\x00").Replace},
	// An ideographic full stop is the dot of a name between letters of one kind. Between Latin and other
	// letters it rather ends a sentence.
	{regexp.MustCompile(`\w+(?:[．｡。]\w+)+|[^\x00-\x7f\PL]+(?:[．｡。][^\x00-\x7f\PL]+)+`),
		strings.NewReplacer("．", ".\x00\x00", "｡", ".\x00\x00", "。", ".\x00\x00").Replace},
	{regexp.MustCompile(`(?i)` + opened + `(?:@|at)` + closed), toText("@")},
	// "evil [.] example" is no name for certain: the text may speak of [.] itself.
	{regexp.MustCompile(`(?i)[ \t]` + opened + `(?:\.|dot)` + closed + `[ \t]`), toText(" \u2024 ")},
	{regexp.MustCompile(`(?i)` + opened + `(?:\.|dot)` + closed + `|\b(?:\[\.|\.\]|\[,\])\b`), toText(".")},
	{regexp.MustCompile(`\\?\[[ \t]?(?:://|:|//?)[ \t]?\\?\]`),
		strings.NewReplacer("[", "\x00", "]", "\x00", `\`, "\x00", " ", "\x00", "\t", "\x00").Replace},
	{regexp.MustCompile(`(?i)\bh..ps?:\\\\`), strings.NewReplacer(`\`, "/").Replace},
	// Paths and names with the doubled backslashes of JSON and source code, and the escape that ends them.
	{regexp.MustCompile(`(?i)(?:\b[a-z]:|%[a-z0-9_()]+%|\b(?:Global|Local|HK[A-Z_]+)|\\\\\\\\[^\\/\s"]+)` +
		`(?:\\\\[^\\"\r\n]*)+(?:\\(?-i:[nrtu"]))?`), strings.NewReplacer(`\\`, "\\\x00", `\n`, "\n\x00",
		`\r`, "\n\x00", `\t`, "\n\x00", `\u`, "\n\x00", `\"`, "\n\"").Replace},
	// Words with evil\.example or http:\/\/evil.example in them, out of regular expressions and JSON.
	{regexp.MustCompile("[^\\s\"'`<>|]*\\\\[./:-][^\\s\"'`<>|]*"), unescape},
}

// escapedPath matches a word whose backslashes are those of a path.
var escapedPath = regexp.MustCompile(`^\\|\\$|\\[^./:\-\[\]()]|[:%~\\.]\\\.`)

// refang undoes the fangs. origin has the place in s of each byte of text, and of its end.
func refang(s string) (text string, origin []int) {
	origin = make([]int, len(s)+1)
	for i := range origin {
		origin[i] = i
	}
	for _, f := range fangs {
		marked := f.pattern.ReplaceAllStringFunc(s, f.undo)
		kept, places := make([]byte, 0, len(marked)), origin[:0]
		for i, c := range []byte(marked) {
			if c != 0 {
				kept, places = append(kept, c), append(places, origin[i])
			}
		}
		places = append(places, origin[len(marked)])
		s, origin = string(kept), places
	}
	return s, origin
}

// toText writes text in place of the match.
func toText(text string) func(string) string {
	return func(match string) string { return text + strings.Repeat("\x00", len(match)-len(text)) }
}

func unescape(word string) string {
	if escapedPath.MatchString(word) {
		return word
	}
	return strings.ReplaceAll(word, `\`, "\x00")
}
