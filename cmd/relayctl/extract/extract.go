package extract

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Observable is one value that the relay can be asked about.
type Observable struct {
	Type  string `json:"type"` // CTIM's name: ip, ipv6, domain, hostname, file_name, file_path, mutex, md5, sha1, sha256, process_name
	Value string `json:"value"`

	// Unsupported says that the relay passes this type over: Qualys does not index SHA-1.
	Unsupported bool `json:"unsupported,omitempty"`
}

// Types lists the types that the relay searches for, in the order in which a person would look for them.
func Types() []string {
	return []string{"ip", "ipv6", "domain", "hostname", "sha256", "md5", "file_name", "file_path", "process_name", "mutex"}
}

// Find returns the observables in text in the order of their first appearance, each once.
func Find(text string) []Observable {
	s := newScan(Refang(text))
	s.explicit()
	s.quoted()
	s.urls()
	s.paths()
	s.mails()
	s.hashes()
	s.addresses()
	s.names()
	return s.result()
}

// Guess reads one value as a person typed it: TYPE:VALUE, or a value alone whose type shows in its form. It is false for what could be
// anything, such as a single word.
func Guess(value string) (Observable, bool) {
	value = strings.TrimSpace(value)
	if o, ok := typed(value); ok {
		return o, true
	}
	value = unquote(Refang(value))
	if o, ok := typed(value); ok {
		return o, true
	}
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) {
		return Observable{}, false
	}
	if o, ok := address(value); ok {
		return o, true
	}
	if o, ok := hash(value); ok {
		return o, true
	}
	if m := urlPattern.FindStringSubmatch(value); m != nil && m[0] == value {
		return host(m[1])
	}
	if isPath(value) || (strings.HasPrefix(value, "/") && len(value) > 1) {
		return Observable{Type: "file_path", Value: value}, true
	}
	if at := strings.LastIndexByte(value, '@'); at > 0 && mailPattern.FindString(value) == value {
		return domain(value[at+1:])
	}
	if isFileName(value) {
		return Observable{Type: "file_name", Value: value}, true
	}
	return domain(value)
}

// typed reads TYPE:VALUE. Types whose values have a form are held to it; the others are believed.
func typed(s string) (Observable, bool) {
	name, value, ok := strings.Cut(s, ":")
	if !ok {
		return Observable{}, false
	}
	name = strings.ToLower(name)
	if name != "sha1" && !slices.Contains(Types(), name) {
		return Observable{}, false
	}
	value = unquote(strings.TrimSpace(value))
	switch name {
	case "ip", "ipv6":
		return address(Refang(value))
	case "md5", "sha1", "sha256":
		o, ok := hash(value)
		return o, ok && o.Type == name
	case "domain", "hostname":
		value = strings.ToLower(strings.TrimSuffix(Refang(value), "."))
		if strings.ContainsAny(value, `/\:@"'`) || strings.ContainsFunc(value, unicode.IsSpace) {
			return Observable{}, false
		}
	}
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value) {
		return Observable{}, false
	}
	return Observable{Type: name, Value: value}, true
}

func address(s string) (Observable, bool) {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return Observable{}, false
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return Observable{Type: "ip", Value: a.String()}, true
	}
	return Observable{Type: "ipv6", Value: a.String()}, true
}

func hash(s string) (Observable, bool) {
	if _, err := hex.DecodeString(s); err != nil {
		return Observable{}, false
	}
	s = strings.ToLower(s)
	switch len(s) {
	case 32:
		return Observable{Type: "md5", Value: s}, true
	case 40:
		return Observable{Type: "sha1", Value: s, Unsupported: true}, true
	case 64:
		return Observable{Type: "sha256", Value: s}, true
	}
	return Observable{}, false
}

// host reads the host of a URL, with or without a port. Its ending need not be known: a URL says that it is a name.
func host(s string) (Observable, bool) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		return address(s[1:end])
	}
	s, _, _ = strings.Cut(s, ":")
	if o, ok := address(s); ok {
		return o, true
	}
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if !strings.Contains(s, ".") || !isDotted(s) || isNumeric(s) {
		return Observable{}, false
	}
	return Observable{Type: "domain", Value: s}, true
}

// hit is an observable and where in the text it began.
type hit struct {
	at int
	Observable
}

// scan is the text being searched. What was found is blanked out, so that no later rule finds a part of it again.
type scan struct {
	text []byte
	hits []hit
}

func newScan(text string) *scan { return &scan{text: []byte(text)} }

// take keeps what found at [from, to) and blanks it.
func (s *scan) take(from, to int, o Observable) {
	s.hits = append(s.hits, hit{at: from, Observable: o})
	s.blank(from, to)
}

func (s *scan) blank(from, to int) {
	for i := from; i < to; i++ {
		s.text[i] = ' '
	}
}

// each calls read with every match of pattern, trailing punctuation cut off, that stands free: neither glued to a word before it nor after it.
// read says whether the match is an observable.
func (s *scan) each(pattern *regexp.Regexp, read func(match string) (Observable, bool)) {
	for _, m := range pattern.FindAllIndex(s.text, -1) {
		from, to := m[0], m[1]
		to = from + len(trimEnd(string(s.text[from:to])))
		if to == from || !s.free(from, to) {
			continue
		}
		if o, ok := read(string(s.text[from:to])); ok {
			s.take(from, to, o)
		}
	}
}

// free reports whether [from, to) is a word of its own.
func (s *scan) free(from, to int) bool {
	before, _ := utf8.DecodeLastRune(s.text[:from])
	after, size := utf8.DecodeRune(s.text[to:])
	if from > 0 && (isWord(before) || before == '.' || before == '-') {
		return false
	}
	if to == len(s.text) {
		return true
	}
	if after == '.' || after == '-' { // the end of a sentence, or more of the same word?
		next, _ := utf8.DecodeRune(s.text[to+size:])
		return to+size == len(s.text) || !isWord(next)
	}
	return !isWord(after)
}

func (s *scan) result() []Observable {
	slices.SortStableFunc(s.hits, func(a, b hit) int { return a.at - b.at })
	found := make([]Observable, 0, len(s.hits))
	seen := make(map[Observable]bool, len(s.hits))
	for _, h := range s.hits {
		if !seen[h.Observable] {
			seen[h.Observable] = true
			found = append(found, h.Observable)
		}
	}
	return found
}

var (
	explicitPattern = regexp.MustCompile(`(?i)(?:ip|ipv6|domain|hostname|file_name|file_path|process_name|mutex|md5|sha1|sha256):(?:"[^"\r\n]+"|'[^'\r\n]+'|[^\s"'` + "`" + `<>]+)`)
	urlPattern      = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]{1,20}://([^\s/?#"'<>\\` + "`" + `]+)[^\s"'<>` + "`" + `]*`)
	windowsPattern  = regexp.MustCompile(`(?i)(?:[a-z]:[\\/]|\\\\[^\s\\/:*?"'<>|]+\\|%[a-z_()0-9]+%\\)` +
		`(?:(?:program files(?: \(x86\))?|documents and settings|common files|application data|local settings|start menu)[\\/]|[^\s\\/:*?"<>|,;]+[\\/])*[^\s\\/:*?"<>|,;]*`)
	unixPattern = regexp.MustCompile(`/(?:Applications|Library|System|Users|Volumes|bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)(?:/[^\s/:*?"'<>|,;` + "`" + `]+)+`)
	mailPattern = regexp.MustCompile(`[\pL\pN._%+-]+@(?:[\pL\pN_](?:[\pL\pN_-]*[\pL\pN_])?\.)+[\pL\pN-]+`)
	hexPattern  = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
	ipv6Pattern = regexp.MustCompile(`[0-9A-Fa-f]{3,4}:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*`)
	ipv4Pattern = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?`)
	wordPattern = regexp.MustCompile(`[^\s"'` + "`" + `<>|:*?/\\,;=()\[\]{}]+`)
)

func (s *scan) explicit() { s.each(explicitPattern, typed) }

// quoted finds paths and file names that hold spaces. A quotation mark opens only where it is not part of a word (it's).
func (s *scan) quoted() {
	for i := 0; i < len(s.text); i++ {
		q := s.text[i]
		if q != '"' && q != '\'' && q != '`' {
			continue
		}
		if before, _ := utf8.DecodeLastRune(s.text[:i]); i > 0 && isWord(before) {
			continue
		}
		length := bytes.IndexAny(s.text[i+1:min(len(s.text), i+1+maxQuoted)], string(rune(q))+"\r\n")
		if length <= 0 || s.text[i+1+length] != q {
			continue
		}
		from, to := i+1, i+1+length
		value := string(s.text[from:to])
		switch {
		case strings.TrimSpace(value) != value || strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value):
			continue
		case isPath(value):
			s.take(from, to, Observable{Type: "file_path", Value: value})
		case unixPattern.FindString(value) != "" && strings.HasPrefix(value, "/"):
			s.take(from, to, Observable{Type: "file_path", Value: value})
		case isFileName(value) && !strings.ContainsAny(value, ",;"):
			s.take(from, to, Observable{Type: "file_name", Value: value})
		default:
			continue
		}
		i = to
	}
}

// maxQuoted is how far a closing quotation mark is looked for, in bytes: no path that Windows takes is longer.
const maxQuoted = 4096

func (s *scan) urls() {
	for _, m := range urlPattern.FindAllSubmatchIndex(s.text, -1) {
		if o, ok := host(trimEnd(string(s.text[m[2]:m[3]]))); ok {
			s.hits = append(s.hits, hit{at: m[0], Observable: o})
		}
		s.blank(m[0], m[1])
	}
}

func (s *scan) paths() {
	path := func(m string) (Observable, bool) {
		if strings.ContainsFunc(m, unicode.IsControl) || !utf8.ValidString(m) || len(m) < 4 {
			return Observable{}, false
		}
		return Observable{Type: "file_path", Value: m}, true
	}
	s.each(windowsPattern, path)
	s.each(unixPattern, path)
}

func (s *scan) mails() {
	s.each(mailPattern, func(m string) (Observable, bool) { return domain(m[strings.LastIndexByte(m, '@')+1:]) })
}

func (s *scan) hashes() { s.each(hexPattern, hash) }

func (s *scan) addresses() {
	s.each(ipv6Pattern, func(m string) (Observable, bool) { return address(strings.TrimSuffix(m, ":")) })
	s.each(ipv4Pattern, func(m string) (Observable, bool) {
		m, bits, network := strings.Cut(m, "/")
		if network && bits != "32" {
			return Observable{}, false
		}
		return address(m)
	})
}

// names finds file names and domains: what is left that has a dot in it.
func (s *scan) names() {
	s.each(wordPattern, func(m string) (Observable, bool) {
		m = strings.TrimRight(m, "!")
		if strings.ContainsFunc(m, unicode.IsControl) || !utf8.ValidString(m) || !strings.Contains(m, ".") {
			return Observable{}, false
		}
		if isFileName(m) {
			return Observable{Type: "file_name", Value: m}, true
		}
		if glued(m) {
			return Observable{}, false
		}
		return domain(m)
	})
}

// trimEnd cuts the punctuation off the end of a match that belongs to the sentence, not to the value. A closing bracket or
// quotation mark belongs to the value where the value opened it.
func trimEnd(s string) string {
	for s != "" {
		last := s[len(s)-1]
		switch last {
		case '.', ',', ';', ':', '!', '?':
		case '"', '\'', '`':
			if strings.Count(s, string(last))%2 == 0 {
				return s
			}
		case ')', ']', '}':
			open := map[byte]string{')': "(", ']': "[", '}': "{"}[last]
			if strings.Count(s, open) >= strings.Count(s, string(last)) {
				return s
			}
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

func unquote(s string) string {
	if len(s) >= 2 && strings.IndexByte("\"'`", s[0]) >= 0 && s[0] == s[len(s)-1] {
		return strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
