package ioc

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"qualysrelay.example/ctim"
)

var (
	quotedPattern = regexp.MustCompile("\"([^\"\\r\\n\\\\/:*?<>|,;=\\x00\ufffd]+)\"|" +
		"'([^'\\r\\n\\\\/:*?<>|,;=\\x00\ufffd]+)'|`([^`\\r\\n\\\\/:*?<>|,;=\\x00\ufffd]+)`")
	tokenPattern = regexp.MustCompile("[^\\s\"'`|=,;:\\x00\ufffd•‣▪●—–→。，、；：（）「」]+")
	// The parts of a domain: 1 any subdomain; 2 the name, without the port of evil.example_443.
	nameParts = regexp.MustCompile(`^((?:\*|%|<[^<>]+>|\{[^{}]+\}|\[[^\[\]]+\])?\.)?(.+?)(?:_\d*)?\.?$`)
	// gluedSentences matches two without a space between them: "done.It".
	gluedSentences = regexp.MustCompile(`\.\p{Lu}\p{Ll}[^.]*$`)
	// endOfName matches what stands before more of a name: "report–final.exe" or "O'Brien.exe".
	endOfName = regexp.MustCompile(`[\pL\pN\pM_][–']$`)
	port      = regexp.MustCompile("^:\\d+(?:[/?#][^\\s\"'<>`|,;\\x00]*)?")
)

// quotedName finds file names with spaces in quotation marks.
func (s *scan) quotedName(m []int) int {
	name := s.text[m[0]+1 : m[1]-1]
	first, _, spaced := strings.Cut(name, " ")
	if !spaced || strings.TrimSpace(name) != name || !isFileName(name) || isProse(first) ||
		proseIn(name) != -1 {
		return 0
	}
	s.add(m[0]+1, m[1]-1, ctim.ObservableFileName, name, "")
	return m[1]
}

// name finds file names and domains, and the relative paths that must not become file names.
func (s *scan) name(m []int) int {
	if m[1]-m[0] > maxLength {
		return 0
	}
	from, to := s.unwrapped(m[0], m[1])
	token := s.text[from:to]
	if !strings.Contains(token, ".") || endOfName.MatchString(s.text[max(0, m[0]-8):m[0]]) {
		return 0
	}
	if i := strings.IndexAny(token, "/?#"); i > 0 && s.isDomain(from, from+i) { // a URL, or a wildcard
		s.domain(from, from+i, false)
		return s.until(to, "\"<>`|")
	}
	if name, ok := strings.CutPrefix(token, "./"); ok && !strings.Contains(name, "/") {
		from, token = from+2, name
	}
	head, _, inner := strings.Cut(token, "(")
	separator := "/"
	if strings.Contains(token, "&&") {
		separator = "&&"
	}
	parts := strings.Split(token, separator)
	isNoFile := func(part string) bool { return !isFileName(part) }
	switch {
	case strings.Contains(token, "/") && slices.ContainsFunc(parts, isNoFile):
		if hasFileEnding(token) {
			s.skip(from, to, reasonRelative)
		}
		return m[1]
	case inner && hasFileEnding(head): // bad.exe(malicious)
		parts = []string{head}
	case inner && !strings.Contains(head, ".") && strings.HasSuffix(token, ")"): // C2(evil.example)
		from, to = s.unwrapped(from+len(head), to)
		parts = []string{s.text[from:to]}
	}
	for _, part := range parts { // a.exe/b.exe or a.exe&&b.exe
		s.single(from, from+len(part))
		from += len(part) + len(separator)
	}
	return m[1] + len(port.FindString(s.text[m[1]:min(len(s.text), m[1]+maxLength)]))
}

// isDomain reports whether [from, to) is a domain rather than a file.
func (s *scan) isDomain(from, to int) bool {
	_, _, ok := s.domainName(from, to, false)
	return ok && (s.defanged(from, to) || !isFileName(s.text[from:to]))
}

// single adds the file name or the domain at [from, to).
func (s *scan) single(from, to int) {
	to = s.trimmed(from, to)
	name := s.text[from:to]
	switch {
	case product.MatchString(name) || !strings.Contains(name, "."):
	case !isFileName(name), !listed["file endings"][ending(name)] && s.defanged(from, to):
		s.domain(from, to, false)
	case placeholder.MatchString(name):
		s.skip(from, to, reasonPlaceholder)
	case name[0] == '(': // "invoice (1).exe"
		s.skip(from, to, reasonCut)
	default:
		s.add(from, to, ctim.ObservableFileName, name, "")
	}
}

// domain adds the domain at [from, to). A URL says that it is one, whatever its ending.
func (s *scan) domain(from, to int, inURL bool) {
	name := s.text[from:to]
	_, parent, _ := strings.Cut(strings.ToLower(name), ".")
	value, note, ok := s.domainName(from, to, inURL)
	differs := strings.ContainsAny(name, "*?<>{}[]%$")
	switch {
	case ok && (!differs || !isFileName(parent)):
		s.add(from, to, ctim.ObservableDomain, value, note)
	case differs && (inURL || hasFileEnding(name) || knownEnding("x."+parent)):
		s.skip(from, to, reasonPlaceholder)
	}
}

// domainName reads a fully qualified name. Its ending is a public suffix or kept for special use, unless it
// is certain to be a name: in a URL, or defanged.
func (s *scan) domainName(from, to int, certain bool) (value, note string, ok bool) {
	m := nameParts.FindStringSubmatch(s.text[from:to])
	if m == nil || gluedSentences.MatchString(m[2]) && !certain {
		return "", "", false
	}
	value, note, ok = asciiName(strings.ToLower(m[2]))
	if !certain && !s.defanged(from, to) && !knownEnding(value) {
		return "", "", false
	}
	if m[1] != "" && note == "" {
		note = noteSubdomains
	}
	last := ending(value)
	return value, note, ok && last != value && len(last) > 1 && strings.Trim(last, "0123456789") != ""
}

const label = `[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?`

var (
	// hostName matches a name as it is asked of the DNS.
	hostName = regexp.MustCompile(`^(?:` + label + `\.)*` + label + `$`)
	lookup   = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))
	// mixedScripts matches a label with Latin letters and those of another script.
	mixedScripts = regexp.MustCompile(`\p{Latin}[^.]*[^\PL\p{Latin}\p{Common}]|` +
		`[^\PL\p{Latin}\p{Common}][^.]*\p{Latin}`)
)

// asciiName is a name of one or more labels in its A-label form, with a note where scripts are mixed.
func asciiName(name string) (value, note string, ok bool) {
	value = name
	if ascii, err := lookup.ToASCII(name); err == nil {
		value = ascii
	}
	if plain, _ := idna.Punycode.ToUnicode(name); mixedScripts.MatchString(plain) {
		note = noteMixedScripts
	}
	return value, note, len(value) <= 253 && hostName.MatchString(value)
}

// knownEnding reports whether a name in A-label form ends in a public suffix or in a special ending.
func knownEnding(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	// A suffix without a dot that ICANN does not run is the list's answer for what it does not know.
	return listed["special endings"][ending(name)] ||
		(icann || strings.Contains(suffix, ".")) && (suffix != name || !icann)
}

// trimmed is the end of [from, to) without what trimEnd cuts off.
func (s *scan) trimmed(from, to int) int {
	if to-from > maxLength {
		return to
	}
	return from + len(trimEnd(s.text[from:to]))
}

// The pairs of which the closing one belongs to a value that has the other, too.
const openers, closers = "([{<\"'`*", ")]}>\"'`*"

// trimEnd cuts the punctuation off the end of a value that belongs to the sentence.
func trimEnd(s string) string {
	for s != "" {
		last, size := utf8.DecodeLastRuneInString(s)
		pair := strings.IndexRune(closers, last)
		switch {
		case strings.HasSuffix(s, "'s"):
			size = 2
		case pair >= 4 && strings.Count(s, string(last))%2 == 0,
			pair >= 0 && pair < 4 && strings.Count(s, openers[pair:pair+1]) >= strings.Count(s, string(last)),
			pair < 0 && !strings.ContainsRune(".,;:!?…([{<~ ", last) && !unicode.Is(unicode.Cf, last):
			return s
		}
		s = s[:len(s)-size]
	}
	return s
}

// unwrapped is [from, to) without the brackets and Markdown marks around it.
func (s *scan) unwrapped(from, to int) (int, int) {
	for to = s.trimmed(from, to); to > from; to = s.trimmed(from, to) {
		first, last := s.text[from], s.text[to-1]
		pair := strings.IndexByte(openers[:4], first)
		switch {
		case pair >= 0 && strings.IndexByte(s.text[from:to-1], closers[pair]) >= 0, // [random].evil.example
			pair < 0 && strings.IndexByte("#+~@-", first) < 0 && (first != last || first != '*' && first != '_'):
			return from, to
		}
		from++
	}
	return from, from
}

// isMailProvider reports whether anybody can have a mail address at a domain.
func isMailProvider(domain string) bool {
	name, suffix, _ := strings.Cut(domain, ".")
	public, _ := publicsuffix.PublicSuffix(domain)
	everywhere := listed["mail providers of many countries"][name] && suffix == public
	return everywhere || listed["mail providers"][domain]
}
