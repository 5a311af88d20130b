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
	anyLabel     = regexp.MustCompile(`^(?:\*|%|<[^<>]+>|\{[^{}]+\}|\[[^\[\]]+\])?\.`)
)

// quotedName finds file names with spaces in quotation marks.
func (s *scan) quotedName(m []int) int {
	from, to := group(m, 1, 2, 3)
	name := string(s.text[from:to])
	first, _, spaced := strings.Cut(name, " ")
	before, _ := utf8.DecodeLastRune(s.text[:m[0]])
	if !spaced || isWord(before) || strings.TrimSpace(name) != name || !isFileName(name) || isProse(first) ||
		proseIn(s.text[from:to]) != -1 {
		return 0
	}
	s.add(from, to, ctim.ObservableFileName, name, "")
	return m[1]
}

// name finds file names and domains, and the relative paths that must not become file names.
func (s *scan) name(m []int) int {
	from, to := s.unwrapped(m[0], m[1])
	token := string(s.text[from:to])
	before, size := utf8.DecodeLastRune(s.text[:m[0]])
	beyond, _ := utf8.DecodeLastRune(s.text[:m[0]-size])
	if (before == '–' || before == '\'') && isWord(beyond) {
		return 0 // more of "report–final.exe" or "O'Brien.exe"
	}
	switch {
	case !strings.Contains(token, "."):
		return 0
	case strings.HasPrefix(token, "./") && !strings.Contains(token[2:], "/"):
		from, token = from+2, token[2:]
	case strings.Contains(token, "&&"):
		s.each(from, token, "&&")
		return m[1]
	}
	if host, _, ok := strings.Cut(token, "/"); ok {
		return s.slashed(from, to, host, m[1])
	}
	if i := strings.IndexAny(token, "?#"); i > 0 && s.isDomain(from, from+i) { // a URL's query, or a wildcard
		to, token = from+i, token[:i]
	}
	head, _, inner := strings.Cut(token, "(")
	switch {
	case placeholder.MatchString(token) && hasFileEnding([]byte(token)):
		s.skip(from, to, reasonPlaceholder)
		return m[1]
	case inner && hasFileEnding([]byte(head)): // bad.exe(malicious)
		to = from + len(head)
	case inner && !strings.Contains(head, ".") && strings.HasSuffix(token, ")"): // C2(evil.example)
		from, to = s.unwrapped(from+len(head), to)
	}
	s.single(from, to)
	return s.urlRest(m[1])
}

// each adds the names in the token at position from, which the separator joins.
func (s *scan) each(from int, token, separator string) {
	for part := range strings.SplitSeq(token, separator) {
		s.single(from, from+len(part))
		from += len(part) + len(separator)
	}
}

// slashed reads a URL without a scheme, names joined by slashes, or a relative path.
func (s *scan) slashed(from, to int, host string, claim int) int {
	if s.isDomain(from, from+len(host)) {
		s.domain(from, from+len(host), false)
		return s.until(to, "\"<>`|")
	}
	token := string(s.text[from:to])
	parts := strings.Split(token, "/")
	if !slices.ContainsFunc(parts, func(part string) bool { return !isFileName(part) }) {
		s.each(from, token, "/")
	} else if hasFileEnding([]byte(token)) {
		s.skip(from, to, reasonRelative)
	}
	return claim
}

// isDomain reports whether [from, to) is a domain rather than a file.
func (s *scan) isDomain(from, to int) bool {
	_, _, ok := s.domainName(from, to, false)
	return ok && (s.defanged(from, to) || !isFileName(string(s.text[from:to])))
}

// single adds the file name or the domain at [from, to).
func (s *scan) single(from, to int) {
	to = s.trimmed(from, to)
	name := string(s.text[from:to])
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
	value, note, ok := s.domainName(from, to, inURL)
	switch {
	case ok:
		s.add(from, to, ctim.ObservableDomain, value, note)
	case strings.ContainsAny(string(s.text[from:to]), "*<>{}[]%$"):
		_, tail, _ := strings.Cut(strings.ToLower(string(s.text[from:to])), ".")
		if inURL || knownEnding("x."+tail) {
			s.skip(from, to, reasonPlaceholder)
		}
	}
}

// domainName reads a fully qualified name. Its ending is a public suffix or kept for special use, unless it
// is certain to be a name: in a URL, or defanged.
func (s *scan) domainName(from, to int, certain bool) (value, note string, ok bool) {
	name := string(s.text[from:to])
	wildcard := anyLabel.FindString(name)
	name = strings.TrimSuffix(name[len(wildcard):], ".")
	if i := strings.LastIndexByte(name, '_'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i] // evil.example_443
	}
	if !certain && !s.defanged(from, to) && (glued(name) || !knownEnding(strings.ToLower(name))) {
		return "", "", false
	}
	last := ending(name)
	if last == strings.ToLower(name) || len(last) < 2 || strings.Trim(last, "0123456789") == "" {
		return "", "", false
	}
	value, note, ok = asciiName(strings.ToLower(name))
	if wildcard != "" && note == "" {
		note = NoteSubdomains
	}
	return value, note, ok
}

const label = `[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?`

var (
	// hostName matches a name as it is asked of the DNS.
	hostName = regexp.MustCompile(`^(?:` + label + `\.)*` + label + `$`)
	lookup   = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false))
)

// asciiName is a name of one or more labels in its A-label form, marked where a label mixes Latin letters
// with those of another script.
func asciiName(name string) (value, note string, ok bool) {
	value = name
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		var err error
		if value, err = lookup.ToASCII(name); err != nil {
			return "", "", false
		}
	}
	unicodeName, _ := idna.Punycode.ToUnicode(name)
	for label := range strings.SplitSeq(unicodeName, ".") {
		latin := strings.ContainsFunc(label, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
		other := strings.ContainsFunc(label, func(r rune) bool {
			return unicode.IsLetter(r) && !unicode.In(r, unicode.Latin, unicode.Common)
		})
		if latin && other {
			note = NoteMixedScripts
		}
	}
	return value, note, len(value) <= 253 && hostName.MatchString(value)
}

// knownEnding reports whether a name ends in a public suffix or in a special ending.
func knownEnding(name string) bool {
	if listed["special endings"][ending(name)] {
		return true
	}
	if ascii, err := idna.Punycode.ToASCII(name); err == nil {
		name = ascii
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	// A suffix without a dot that ICANN does not run is the list's answer for what it does not know.
	return (icann || strings.Contains(suffix, ".")) && (suffix != name || !icann)
}

// glued reports whether s is two sentences without a space between them: "done.It".
func glued(s string) bool {
	first, size := utf8.DecodeRuneInString(s[strings.LastIndexByte(s, '.')+1:])
	rest, _ := utf8.DecodeRuneInString(s[strings.LastIndexByte(s, '.')+1+size:])
	return unicode.IsUpper(first) && unicode.IsLower(rest)
}

// trimmed is the end of [from, to) without what trimEnd cuts off.
func (s *scan) trimmed(from, to int) int {
	if to-from > maxLength {
		return to
	}
	return from + len(trimEnd(s.text[from:to]))
}

// trimEnd cuts the punctuation off the end of a value that belongs to the sentence. A closing bracket or
// quotation mark belongs to the value where the value opened it.
func trimEnd(s []byte) []byte {
	for len(s) > 0 {
		last, size := utf8.DecodeLastRune(s)
		switch {
		case strings.ContainsRune(".,;:!?…([{<~ ", last) || unicode.Is(unicode.Cf, last):
		case strings.ContainsRune("\"'`*", last):
			if strings.Count(string(s), string(last))%2 == 0 {
				return s
			}
		case strings.ContainsRune(")]}>", last):
			open := map[rune]string{')': "(", ']': "[", '}': "{", '>': "<"}[last]
			if strings.Count(string(s), open) >= strings.Count(string(s), string(last)) {
				return s
			}
		case last == 's' && strings.HasSuffix(string(s), "'s"):
			size = 2
		default:
			return s
		}
		s = s[:len(s)-size]
	}
	return s
}

// unwrapped is [from, to) without the brackets and Markdown marks around it.
func (s *scan) unwrapped(from, to int) (int, int) {
	for to-from <= maxLength {
		to = s.trimmed(from, to)
		if to <= from {
			return from, from
		}
		token := string(s.text[from:to])
		first, last := token[0], token[len(token)-1]
		closing := len(token) // where the bracket that opens the token closes
		if i := strings.IndexByte("([{<", first); i >= 0 {
			closing = strings.IndexByte(token, ")]}>"[i])
		}
		switch {
		case closing == len(token)-1, first == '*' && last == '*' && len(token) > 2:
			from, to = from+1, to-1
		case closing < 0, strings.IndexByte("#+~@-", first) >= 0, first == '_' && last == '_':
			from++
		default:
			return from, to
		}
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
