package ioc

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"qualysrelay.example/ctim"
)

// The characters of names, the first of one, and what stands in brackets in it: svc[1].exe, <random>.exe.
const (
	inName = "[^\\s\"'`|=,;:\\\\/&!@<>(){}\\[\\]•‣▪●—–→。，、；：（）「」\ufffd]"

	nameStart = `[\pL\pN\pM_.*?$%]`
	differing = `*?<>{}[]%$` // no domain has them

	inGroup = `(?:<[\w -]{1,40}>|\{[\w-]{1,40}\}|\[[\w-]{1,40}\]|\(\w{1,20}\))\.?`
)

// fileWithSpaces is the name of one, as it stands in quotation marks.
var fileWithSpaces = "[^\\s\\\\/:*?<>|,;=\"'`\ufffd]+(?: [^\\s\\\\/:*?<>|,;=\"'`\ufffd]+)+" + fileEnding

var (
	namePattern = begins(`(?:\.[\\/])?((?:` + inGroup + `)?` + nameStart + inName + `*` +
		`(?:` + inGroup + `[\pL\pN_-]` + inName + `*)*)`)
	// noName matches what is no observable: a word, or a mark before one, as in <b>203.0.113.5</b>.
	noName    = begins(`[\pL\pN\pM_.]` + inName + `*|[*?$%]+|(?s:.)`)
	aSentence = regexp.MustCompile(`(?:^| )(?:` + prose + `)`)
	// The parts of a domain: 1 any subdomain; 2 the name, without the port of evil.example_443 or a query.
	nameParts = regexp.MustCompile(`^((?:\*|%|<[^<>]+>|\{[^{}]+\}|\[[^\[\]]+\])?\.)?(.+?)` +
		`(?:_\d*)?\.?(?:[?#].*)?$`)
	// gluedSentences matches two without a space between them: "done.It".
	gluedSentences = regexp.MustCompile(`\.\p{Lu}\p{Ll}[^.]*$`)
	// Before the rest of a name: "report–final.exe", "O'Brien.exe", "R&D.exe"; and before that of a path.
	restOfName = regexp.MustCompile(`[\pL\pN\pM_][–'&!<>(){}\[\]][-+#~]*$`)
	brackets   = strings.Fields("() [] {} <>") // around all of a name: C2(evil.example)
	moreOfName = regexp.MustCompile(`^[&!][\pL\pN]`)
	restOfPath = regexp.MustCompile(`(?:[^\s"'=(.]|\.\.)[\\/]$`)
)

// quotedName finds file names with spaces in quotation marks.
func (s *scan) quotedName(m []int) int {
	from, to := m[0]+1, m[1]-1
	if aSentence.MatchString(s.text[from:to]) {
		s.skip(from, to, "reads as a sentence; put only the file name in quotation marks")
		return to
	}
	s.add(from, to, ctim.ObservableFileName, s.text[from:to], "")
	return to
}

// name finds file names and domains, and goes on behind the path of a URL.
func (s *scan) name(m []int) int {
	to := m[2] + len(trimEnd(s.text[m[2]:m[3]]))
	switch {
	case to-m[2] > maxLength:
		return m[3]
	case !s.readName(m[2], to, false):
		return m[0]
	}
	return s.afterHost(to)
}

// readName adds or skips the domain or the name of a file at [from, to), and reports whether it is one. A URL
// says that it is a domain, whatever its ending.
func (s *scan) readName(from, to int, inURL bool) bool {
	name, before := s.text[from:to], s.text[max(0, from-8):from]
	isFile := !inURL && s.isFile(from, to)
	value, note, isDomain := s.domain(from, to, inURL)
	next := s.text[to:min(to+1, len(s.text))]
	pair := before[max(0, len(before)-1):] + next
	switch {
	case !isFile && !isDomain, next == "@", listed["products"][strings.ToLower(name)],
		isFile && separators.MatchString(next):
		return false
	case !inURL && restOfName.MatchString(before) && !slices.Contains(brackets, pair),
		moreOfName.MatchString(s.text[to:]), isFile && strings.HasSuffix(before, "@"),
		name[0] == '(': // "invoice (1).exe"
		s.skip(from, to, reasonCut)
	case !inURL && restOfPath.MatchString(before):
		s.skip(from, to, reasonRelative)
	case isFile && placeholder.MatchString(name), !isFile && strings.ContainsAny(value, differing):
		s.skip(from, to, reasonPlaceholder)
	case isFile:
		s.add(from, to, ctim.ObservableFileName, name, "")
	case strings.HasSuffix(before, "@") && listed["mail providers"][value]:
		s.add(from, to, ctim.ObservableDomain, value, "public mail provider")
	default:
		s.add(from, to, ctim.ObservableDomain, value, note)
	}
	return true
}

// isFile reports whether [from, to) reads as the name of a file: something before a known ending. A shared
// ending makes a file of a name with one dot, as it stands: install.sh, not get.evil.sh or evil[.]zip.
func (s *scan) isFile(from, to int) bool {
	name := s.text[from:to]
	dot := strings.LastIndexByte(name, '.')
	oneDot := strings.Count(strings.TrimPrefix(name, "*."), ".") == 1 && !s.defanged(from, to)
	return dot > 0 && strings.Trim(name[:dot], ". ") != "" &&
		(listed["file endings"][ending(name)] || listed["shared endings"][ending(name)] && oneDot)
}

// domain reads a fully qualified name, or one with a placeholder in it. Its ending is a public suffix or kept
// for special use, unless it is certain to be a name: in a URL, or defanged.
func (s *scan) domain(from, to int, inURL bool) (value, note string, ok bool) {
	m := nameParts.FindStringSubmatch(s.text[from:to])
	if m == nil || gluedSentences.MatchString(m[2]) && !inURL {
		return "", "", false
	}
	value, note, ok = asciiName(strings.ToLower(m[2]))
	if m[1] != "" && note == "" {
		note = "subdomains are not searched"
	}
	last := ending(value)
	ok = ok && last != value && len(last) > 1 && strings.Trim(last, "0123456789") != "" ||
		strings.ContainsAny(value, differing)
	return value, note, ok && (inURL || s.defanged(from, to) || knownEnding(strings.TrimRight(value, "*")))
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
		note = "mixed scripts"
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

// trimEnd cuts the punctuation off the end of a value that belongs to the sentence, and a bracket that the
// value does not open.
func trimEnd(s string) string {
	for s != "" && len(s) <= maxLength {
		last := s[len(s)-1:]
		pair := strings.Index(")]}>", last)
		switch {
		case strings.HasSuffix(s, "'s"):
			s = s[:len(s)-2]
		case strings.ContainsAny(last, ".,;:?([{<~\"'` "),
			pair >= 0 && strings.Count(s, "([{<"[pair:pair+1]) < strings.Count(s, last):
			s = s[:len(s)-1]
		default:
			return s
		}
	}
	return s
}
