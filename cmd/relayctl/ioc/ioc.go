package ioc

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"qualysrelay.example/ctim"
)

// Finding is an observable that a text names.
type Finding struct {
	ctim.Observable
	Note string `json:"note,omitempty"` // what to know before it is searched, such as noteMixedScripts
}

// Skipped is a part of a text that reads like an observable and cannot be searched.
type Skipped struct {
	Text   string `json:"text"` // as it stood in the text
	Reason string `json:"reason"`
}

// Notes of findings.
const (
	noteMixedScripts = "mixed scripts"
	noteMailProvider = "public mail provider"
	noteSubdomains   = "subdomains are not searched"
	noteEmptyFile    = "the hash of an empty file"
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
	s := &scan{original: text}
	s.text, s.origin = refang(text)
	for _, k := range kinds {
		unclaimed, end := []byte(s.text), 0
		for _, m := range k.pattern.FindAllStringSubmatchIndex(s.text, -1) {
			if m[0] < end || k.notAfter.MatchString(s.text[max(0, m[0]-8):m[0]]) {
				continue
			}
			if to := k.read(s, m); to > m[0] {
				end = to
				clear(unclaimed[m[0]:to])
			}
		}
		s.text = string(unclaimed)
	}
	slices.SortStableFunc(s.hits, func(a, b hit) int { return cmp.Compare(a.at, b.at) })
	seen := make(map[any]bool, len(s.hits))
	for _, h := range s.hits {
		switch {
		case h.skipped.Reason != "" && !seen[h.skipped]:
			skipped = append(skipped, h.skipped)
		case h.skipped.Reason == "" && !seen[h.found.Observable]:
			found = append(found, h.found)
		}
		seen[h.skipped], seen[h.found.Observable] = true, true
	}
	return found, skipped
}

// Parse reads one value as a person typed it on a command line: like Extract, but all of it may be one name
// with spaces, and any path that begins with a slash is one.
func Parse(value string) (found []Finding, skipped []Skipped) {
	value = strings.TrimSpace(value)
	name, rest, typed := strings.Cut(value, ":")
	switch {
	case anyPath.MatchString(value) && !placeholder.MatchString(value):
		return []Finding{{Observable: ctim.Observable{Type: ctim.ObservableFilePath, Value: value}}}, nil
	case strings.ContainsAny(value, "\"\r\n"):
	case typed && slices.Contains(Types(), strings.ToLower(name)):
		value = name + `:"` + strings.TrimSpace(rest) + `"`
	case strings.Contains(value, " "):
		value = `"` + value + `"`
	}
	return Extract(value)
}

var anyPath = regexp.MustCompile(`^/[^/ ][^ ]*$`)

// kind is one way in which observables are written.
type kind struct {
	pattern *regexp.Regexp

	// notAfter matches the end of a text behind which a match is only a part of something else.
	notAfter *regexp.Regexp

	// read looks at a match, as FindSubmatchIndex gives it, adds what it finds to the scan, and returns
	// where the text that it claims ends; 0 if the match is not what it seemed.
	read func(s *scan, m []int) int
}

// wordOr matches a character of a word or one of the others. A hyphen that itself begins a word is a bullet.
func wordOr(others string) *regexp.Regexp {
	return regexp.MustCompile(`[\pL\pN\pM_` + others + `]-?$`)
}

var anywhere = regexp.MustCompile(`$.`) // never matches

// kinds lists the kinds, the most certain first.
var kinds = []kind{
	{typedPattern, wordOr(`\\/.`), (*scan).typed},
	{urlPattern, anywhere, (*scan).url},
	{registryPattern, wordOr(`\\/`), skipPath(reasonRegistry)},
	{drivePattern, wordOr(`./`), (*scan).path},
	{devicePattern, wordOr(`.`), skipPath(reasonDevice)},
	{sharePattern, wordOr(`.:`), (*scan).path},
	{fixedPattern, wordOr(`.`), (*scan).path},
	{userPattern, wordOr(`./`), skipPath(reasonVariable)},
	{unixPattern, wordOr(`.\\/~*%}>`), (*scan).path},
	{mutexPattern, wordOr(`\\/.`), (*scan).mutex},
	{relativePattern, wordOr(`\\/`), (*scan).relativePath},
	{versionPattern, wordOr(`\\/`), skipAs(reasonVersion)},
	{mailPattern, wordOr(`.`), (*scan).mail},
	{hashPattern, wordOr(``), (*scan).hash},
	{ipv6Pattern, wordOr(`.:`), (*scan).addresses},
	{netPattern, wordOr(`.`), skipAs(reasonNetwork)},
	{ipv4Pattern, wordOr(`.`), (*scan).addresses},
	{quotedPattern, wordOr(``), (*scan).quotedName},
	{tokenPattern, anywhere, (*scan).name},
}

// scan is a text being searched. The bytes that earlier kinds have claimed are NUL.
type scan struct {
	original string
	text     string // refanged
	origin   []int  // the place in original of each byte of text, and of its end
	hits     []hit
}

// hit is something found or, with a reason, skipped, and where it begins.
type hit struct {
	at      int
	found   Finding
	skipped Skipped
}

// maxLength is the longest value that is found, in bytes: it bounds the work on a word that never ends. No
// file name or domain is longer, and hardly a path.
const maxLength = 1024

// add keeps an observable that stands at [from, to).
func (s *scan) add(from, to int, t ctim.ObservableType, value, note string) {
	cut := strings.HasPrefix(s.text[to:], "…") || strings.HasPrefix(s.text[to:], "...")
	switch {
	case to-from > maxLength:
		s.skip(from, to, reasonTooLong)
	case cut && !hasFileEnding(s.text[from:to]):
		s.skip(from, to+3, reasonCut)
	default:
		s.hits = append(s.hits, hit{at: from, found: Finding{ctim.Observable{Type: t, Value: value}, note}})
	}
}

// skip says why what stands at [from, to) is not searched.
func (s *scan) skip(from, to int, reason string) {
	unseen := func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }
	text := strings.TrimFunc(s.original[s.origin[from]:s.origin[to]], unseen)
	s.hits = append(s.hits, hit{at: from, skipped: Skipped{text, reason}})
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

// endsWord reports whether a value can end at position at: a dot or hyphen there is the end of a sentence,
// not more of the same word.
func (s *scan) endsWord(at int) bool { return !moreOfWord.MatchString(s.text[at:]) }

var moreOfWord = regexp.MustCompile(`^[.-]?[\pL\pN\pM_]`)

// until is the end of the text from position at that holds none of the characters in stops, no white space
// and nothing claimed.
func (s *scan) until(at int, stops string) int {
	if i := strings.IndexAny(s.text[at:], " \t\r\n\x00"+stops); i >= 0 {
		return at + i
	}
	return len(s.text)
}
