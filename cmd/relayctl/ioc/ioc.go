package ioc

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"qualysrelay.example/ctim"
)

// Finding is an observable that a text names.
type Finding struct {
	ctim.Observable
	Text string `json:"-"`              // as it stood in the text
	Note string `json:"note,omitempty"` // what to know before it is searched, such as NoteMixedScripts
}

// Skipped is a part of a text that reads like an observable and cannot be searched.
type Skipped struct {
	Text   string `json:"text"` // as it stood in the text
	Reason string `json:"reason"`
}

// Notes of findings.
const (
	NoteMixedScripts = "mixed scripts"
	NoteMailProvider = "public mail provider"
	NoteSubdomains   = "subdomains are not searched"
	NoteEmptyFile    = "the hash of an empty file"
)

// Why something is skipped.
const (
	reasonSHA1        = "Qualys has no SHA-1 of files"
	reasonLongHash    = "Qualys has only the MD5 and the SHA-256 of files"
	reasonOtherHash   = "not the hash of a file's content"
	reasonNetwork     = "networks cannot be searched, only addresses"
	reasonRange       = "ranges cannot be searched: only the addresses that are written out are"
	reasonVersion     = "reads as a version number"
	reasonPlaceholder = "holds a placeholder or a wildcard"
	reasonVariable    = "differs for each user; give the whole path, or search for the file name"
	reasonRelative    = "not a whole path; give the path from its root, or search for the file name"
	reasonUnclear     = "it is not clear where this path ends; put it in quotation marks"
	reasonCommon      = "a folder of every computer"
	reasonDevice      = "a device or a pipe, not a file"
	reasonRegistry    = "the registry cannot be searched"
	reasonCut         = "cut off"
	reasonTooLong     = "too long"
)

// Types lists the types that the relay searches for, in the order in which a person would look for them.
func Types() []string {
	return strings.Fields("ip ipv6 domain hostname sha256 md5 file_name file_path process_name mutex")
}

// Extract finds the observables in text, each once, in the order of their first mention, and says what it
// skipped. It takes time and memory in proportion to the length of text.
func Extract(text string) (found []Finding, skipped []Skipped) {
	s := &scan{original: text, refanged: refang(text)}
	for _, k := range kinds() {
		end := 0
		for _, m := range k.pattern.FindAllSubmatchIndex(s.text, -1) {
			if m[0] < end || !s.startsWord(m[0], k.notAfter) {
				continue
			}
			if to := k.read(s, m); to > m[0] {
				end = to
				clear(s.text[m[0]:to])
			}
		}
	}
	return inOrder(s.found, func(f Finding) ctim.Observable { return f.Observable }),
		inOrder(s.skipped, func(skipped Skipped) Skipped { return skipped })
}

// Parse reads one value as a person typed it on a command line: like Extract, but all of it may be one name
// with spaces, and any path that begins with a slash is one.
func Parse(value string) (found []Finding, skipped []Skipped) {
	value = strings.TrimSpace(value)
	name, rest, typed := strings.Cut(value, ":")
	switch {
	case len(value) > 1 && value[0] == '/' && value[1] != '/' && !strings.Contains(value, " ") &&
		!placeholder.MatchString(value):
		o := ctim.Observable{Type: ctim.ObservableFilePath, Value: value}
		return []Finding{{Observable: o, Text: value}}, nil
	case strings.ContainsAny(value, "\"\r\n"):
	case typed && slices.Contains(Types(), strings.ToLower(name)):
		value = name + `:"` + strings.TrimSpace(rest) + `"`
	case strings.Contains(value, " "):
		value = `"` + value + `"`
	}
	return Extract(value)
}

// kind is one way in which observables are written.
type kind struct {
	pattern *regexp.Regexp

	// notAfter are the characters that may not stand directly before a match, beside those of words. Where
	// it is empty, a match may begin anywhere.
	notAfter string

	// read looks at a match, as FindSubmatchIndex gives it, adds what it finds to the scan, and returns
	// where the text that it claims ends; 0 if the match is not what it seemed.
	read func(s *scan, m []int) int
}

// kinds lists the kinds, the most certain first.
func kinds() []kind {
	return []kind{
		{typedPattern, `\/.`, (*scan).typed},
		{urlPattern, ``, (*scan).url},
		{registryPattern, `\/`, (*scan).registryKey},
		{windowsPattern, `.`, (*scan).windowsPath},
		{shellPattern, `.\/~*%}`, (*scan).shellConnection},
		{unixPattern, `.\/~*%}>`, (*scan).unixPath},
		{mutexPattern, `\/.`, (*scan).labelledMutex},
		{kernelPattern, `\/.`, (*scan).kernelObject},
		{relativePattern, `\/`, (*scan).relativePath},
		{versionPattern, `\/`, skipAs(reasonVersion)},
		{mailPattern, `.`, (*scan).mail},
		{hashPattern, ``, (*scan).hash},
		{ipv6Pattern, `.:`, (*scan).ipv6},
		{netPattern, `.`, skipAs(reasonNetwork)},
		{ipv4Pattern, `.`, (*scan).ipv4},
		{quotedPattern, ``, (*scan).quotedName},
		{tokenPattern, ``, (*scan).name},
	}
}

// scan is a text being searched. The bytes that a kind has claimed are zero.
type scan struct {
	original string
	*refanged
	found   []hit[Finding]
	skipped []hit[Skipped]
}

// hit is a result and where it began.
type hit[T any] struct {
	at    int
	value T
}

// inOrder sorts hits and drops those whose key was there before.
func inOrder[T any, K comparable](hits []hit[T], key func(T) K) []T {
	slices.SortStableFunc(hits, func(a, b hit[T]) int { return cmp.Compare(a.at, b.at) })
	seen := make(map[K]bool, len(hits))
	var list []T
	for _, h := range hits {
		if !seen[key(h.value)] {
			seen[key(h.value)] = true
			list = append(list, h.value)
		}
	}
	return list
}

// maxLength is the longest value that is found, in bytes: it bounds the work on a word that never ends. No
// file name or domain is longer, and hardly a path.
const maxLength = 1024

// add keeps an observable that stands at [from, to).
func (s *scan) add(from, to int, t ctim.ObservableType, value, note string) {
	cut := bytes.HasPrefix(s.text[to:], []byte("…")) || bytes.HasPrefix(s.text[to:], []byte("..."))
	switch {
	case to-from > maxLength:
		s.skip(from, to, reasonTooLong)
	case cut && !hasFileEnding(s.text[from:to]):
		s.skip(from, to+3, reasonCut)
	default:
		f := Finding{ctim.Observable{Type: t, Value: value}, s.stood(from, to), note}
		s.found = append(s.found, hit[Finding]{from, f})
	}
}

func (s *scan) skip(from, to int, reason string) {
	s.skipped = append(s.skipped, hit[Skipped]{from, Skipped{s.stood(from, to), reason}})
}

// stood is the original of [from, to).
func (s *scan) stood(from, to int) string {
	unseen := func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
	return strings.TrimFunc(s.original[s.origin[from]:s.origin[to]], unseen)
}

// defanged reports whether a dot in [from, to) was written otherwise: who writes evil[.]zip means no file.
func (s *scan) defanged(from, to int) bool {
	for i := from; i < to; i++ {
		at := s.origin[i]
		if s.text[i] == '.' && (s.original[at] != '.' || at > 0 && s.original[at-1] == '\\') {
			return true
		}
	}
	return false
}

// startsWord reports whether a value can begin at position at: neither a word nor one of the characters in
// notAfter stands before it. A hyphen that itself begins a word is a bullet.
func (s *scan) startsWord(at int, notAfter string) bool {
	before, size := utf8.DecodeLastRune(s.text[:at])
	if before == '-' {
		before, size = utf8.DecodeLastRune(s.text[:at-size])
	}
	return notAfter == "" || size == 0 || !isWord(before) && !strings.ContainsRune(notAfter, before)
}

// endsWord reports whether a value can end at position at: a dot or hyphen there is the end of a sentence,
// not more of the same word.
func (s *scan) endsWord(at int) bool {
	after, size := utf8.DecodeRune(s.text[at:])
	if after == '.' || after == '-' {
		after, _ = utf8.DecodeRune(s.text[at+size:])
	}
	return !isWord(after)
}

// until is the end of the text from position at that holds none of the characters in stops, no white space
// and nothing claimed.
func (s *scan) until(at int, stops string) int {
	if i := bytes.IndexAny(s.text[at:], " \t\r\n\x00"+stops); i >= 0 {
		return at + i
	}
	return len(s.text)
}
