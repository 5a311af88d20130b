// Package ioc finds observables in text as people write it: a pasted incident report, a mail, a log, or one
// value on a command line.
//
// The rule above all: a match that was cut off never becomes a wider question.
// `C:\Users\<user>\AppData\x.exe` is neither the folder `C:\Users\` nor any file called `x.exe`. What
// cannot be asked as it stands, or whose end is not clear, is skipped, and Extract says why.
//
// Text is refanged (`hxxp://evil[.]example`, zero-width characters, typographic quotes, JSON's backslashes)
// and then read from left to right. At the beginning of each word, the kinds of observables are tried in
// turn, and the first that fits says where the next word begins: the digits in a path are no hash.
//
// A name that ends like a program, script, document or archive is a file name. Where the ending is a
// top-level domain too (.zip, .sh, .md), a name with one dot is a file, unless its dot is defanged. Other
// dotted names are domains if the Public Suffix List knows their ending, or in a URL.
package ioc

import (
	"regexp"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
)

// Finding is an observable that a text names.
type Finding struct {
	ctim.Observable
	Note string `json:"note,omitempty"` // what to know before it is searched, such as "mixed scripts"
}

// Skipped is a part of a text that reads like an observable and cannot be searched.
type Skipped struct {
	Text   string `json:"text"` // as it stood in the text
	Reason string `json:"reason"`
}

// Types lists the types that the relay searches for, in the order in which a person would look for them.
func Types() []string {
	return strings.Fields("ip ipv6 domain hostname sha256 md5 file_name file_path process_name mutex")
}

// Extract finds the observables in text, each once, in the order of their first mention, and says what it
// skipped. It takes time and memory in proportion to the length of text.
func Extract(text string) (found []Finding, skipped []Skipped) {
	s := &scan{original: text, seen: make(map[any]bool)}
	s.text, s.origin = refang(text)
	for at := 0; at < len(s.text); {
		at = s.next(at)
	}
	return s.found, s.skipped
}

// Parse reads one value as a person typed it on a command line: like Extract, but all of it may be one name
// with spaces, and any path that begins with a slash is one.
func Parse(value string) (found []Finding, skipped []Skipped) {
	value = strings.TrimSpace(value)
	name, rest, typed := strings.Cut(value, ":")
	switch {
	case strings.ContainsAny(value, "\"\r\n"):
	case strings.HasPrefix(value, "/"):
		value = `file_path:"` + value + `"`
	case typed && slices.Contains(Types(), strings.ToLower(name)):
		value = name + `:"` + strings.TrimSpace(rest) + `"`
	case strings.Contains(value, " "):
		value = `"` + value + `"`
	}
	return Extract(value)
}

// scan is a text being searched, from left to right.
type scan struct {
	original string
	text     string // refanged
	origin   []int  // the place in original of each byte of text, and of its end
	found    []Finding
	skipped  []Skipped
	seen     map[any]bool // each ctim.Observable found and each Skipped
	noFile   int          // no relative path before this place in text ends like a file
}

// next reads the observable at a position, or else steps over what is none, and returns where to go on.
func (s *scan) next(at int) int {
	for _, k := range kinds {
		m := k.pattern.FindStringSubmatchIndex(s.text[at:])
		if m == nil || k.notAfter != nil && k.notAfter.MatchString(s.text[max(0, at-8):at]) {
			continue
		}
		for i, place := range m {
			if place >= 0 {
				m[i] += at
			}
		}
		if end := k.read(s, m); end > at {
			return end
		}
	}
	return at + len(noName.FindString(s.text[at:]))
}

// maxLength is the longest value that is found, in bytes: it bounds the work on a word that never ends. No
// file name or domain is longer, and hardly a path.
const maxLength = 1024

// Reasons that more than one kind of observable has.
const (
	reasonPlaceholder = "holds a placeholder or a wildcard"
	reasonRelative    = "not a whole path; give the path from its root, or search for the file name"
	reasonCut         = "cut off"
)

// add keeps an observable that stands at [from, to).
func (s *scan) add(from, to int, t ctim.ObservableType, value, note string) {
	f := Finding{ctim.Observable{Type: t, Value: value}, note}
	switch {
	case to-from > maxLength:
		s.skip(from, to, "too long")
	case strings.HasPrefix(s.text[to:], "...") && !hasFileEnding(s.text[from:to]):
		s.skip(from, to+3, reasonCut)
	case !s.seen[f.Observable]:
		s.seen[f.Observable] = true
		s.found = append(s.found, f)
	}
}

// skip says why what stands at [from, to) is not searched.
func (s *scan) skip(from, to int, reason string) {
	skipped := Skipped{strings.TrimSpace(s.original[s.origin[from]:s.origin[to]]), reason}
	if !s.seen[skipped] {
		s.seen[skipped] = true
		s.skipped = append(s.skipped, skipped)
	}
}

// defanged reports whether a dot in [from, to) was written otherwise: who writes evil[.]zip means no file.
func (s *scan) defanged(from, to int) bool {
	const marks = `[]({\．｡。`
	return strings.ContainsAny(s.original[s.origin[from]:s.origin[to]], marks) &&
		!strings.ContainsAny(s.text[from:to], marks)
}

// endsWord reports whether a value can end at position at: a dot or hyphen there is the end of a sentence,
// not more of the same word.
func (s *scan) endsWord(at int) bool { return !moreOfWord.MatchString(s.text[at:]) }

var moreOfWord = regexp.MustCompile(`^[.-]?[\pL\pN\pM_]`)
