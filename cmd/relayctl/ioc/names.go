package ioc

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"qualysrelay.example/ctim"
)

const quad = `\d{1,3}(?:\.\d{1,3}){3}`

var (
	typedPattern = regexp.MustCompile(`(?i)(ip|ipv6|domain|hostname|file_name|file_path|process_name|mutex):(?:"([^"\r\n]+)"|'([^'\r\n]+)'|([^\s"'\x00]+))`)
	mutexPattern = regexp.MustCompile(`(?i)mut(?:ex|ant)(?:es)?(?:[ _-]?names?)?([ \t]*[:=][ \t]*|[ \t]+(?:named|called)[ \t]+|[ \t]+)` +
		"(?:\"([^\"\\r\\n]+)\"|'([^'\\r\\n]+)'|`([^`\\r\\n]+)`|([^\\s\"'`,;]+))([ \\t]*(?:[\\r\\n,;.]|$))?")
	kernelPattern  = regexp.MustCompile(`(?i)(?:\\Sessions\\\d+)?\\BaseNamedObjects\\((?:Global\\|Local\\)?[^\s"'|,;\x00]+)|((?:Global|Local)\\[^\s"'|,;\x00]+)`)
	versionPattern = regexp.MustCompile(`(?i)(?:v|(?:versions?|ver\.?|v\.?|release|build|firmware|revision|rev\.?|patch|hotfix|openssl|openssh|libssl|nginx|apache|httpd|tomcat|` +
		`chrome|chromium|edge|firefox|safari|opera|java|jre|jdk|php|python|ruby|perl|curl|wget|putty|winrar|7-?zip|\.net|framework|fortios|pan-os|exchange|mysql|` +
		`postgresql|jenkins|confluence|drupal|wordpress|kernel|dll|sdk)[ \t:=/v-]{1,3})` + quad + `(?:(?:,|;| and| or| to| through|-|–)* ?v?` + quad + `)*`)
	urlPattern      = regexp.MustCompile("(?i)(?:[a-z][a-z0-9+.*-]{1,20}://|h..ps?:\\\\\\\\)([^\\s/?#\"'<>,;|\\\\`\\x00\ufffd]+)")
	mailPattern     = regexp.MustCompile(`[\pL\pN_][\pL\pN._%+-]*@((?:[\pL\pN_](?:[\pL\pN\pM_-]*[\pL\pN_])?\.)+[\pL\pN-]+)`)
	hashPattern     = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
	ipv6Pattern     = regexp.MustCompile(`([0-9A-Fa-f]{3,4}:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*[0-9A-Fa-f:]|::1)(?:%\w+)?(/\d{1,3})?`)
	wildcardPattern = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){0,2}\.(?:[*xX]|\[[\d-]+\]|\{[\d,.-]+\})(?:\.(?:\d{1,3}|[*xX]))*`)
	quadPattern     = regexp.MustCompile(quad)
	ipv4Pattern     = regexp.MustCompile(quad + `((?:(?:[-–/]|\.{2,3})` + quad + `)+|/\d{1,5}|[-–]\d{1,3})?`)
	quotedPattern   = regexp.MustCompile("\"([^\"\\r\\n\\\\/:*?<>|\\x00]+)\"|'([^'\\r\\n\\\\/:*?<>|\\x00]+)'|`([^`\\r\\n\\\\/:*?<>|\\x00]+)`")
	tokenPattern    = regexp.MustCompile("[^\\s\"'`|=,;:\\x00\ufffd•‣▪●—–→]+")
)

// group is the first of the submatches that is there.
func group(m []int, groups ...int) (from, to int) {
	for _, g := range groups {
		if m[2*g] >= 0 {
			return m[2*g], m[2*g+1]
		}
	}
	return 0, 0
}

// typed believes TYPE:VALUE, except where the value has a form and does not have it, and leaves paths that others can read to them.
func (s *scan) typed(m []int) int {
	from, to := group(m, 2, 3, 4)
	quoted := m[8] < 0
	if !quoted {
		to = s.trimmed(from, to)
	}
	value, t := string(s.text[from:to]), ctim.ObservableType(strings.ToLower(string(s.text[m[2]:m[3]])))
	switch t {
	case ctim.ObservableIP, ctim.ObservableIPv6:
		a, err := netip.ParseAddr(strings.Trim(value, "[]"))
		if err != nil {
			return 0
		}
		s.addAddress(from, to, a)
		return m[1]
	case ctim.ObservableDomain, ctim.ObservableHostname:
		value = strings.ToLower(strings.TrimSuffix(value, "."))
		if a, note, ok := asciiName(value); ok && strings.Trim(value, "0123456789.") != "" {
			s.add(from, to, t, a, note)
			return m[1]
		}
		return 0
	case ctim.ObservableFilePath:
		if windowsPattern.MatchString(value) || unixPattern.MatchString(value) {
			return 0
		}
	}
	if value == "" || strings.Contains(value, "\ufffd") {
		return 0
	}
	if t == ctim.ObservableMutex && !strings.ContainsAny(value, "<>*…") || t != ctim.ObservableMutex && !placeholder.MatchString(value) {
		s.add(from, to, t, value, "")
	} else {
		s.skip(m[0], m[1], reasonPlaceholder)
	}
	return m[1]
}

// labelledMutex reads "Mutex: NAME" and "a mutex named NAME". A bare word must look like a name, or stand alone.
func (s *scan) labelledMutex(m []int) int {
	from, to := group(m, 2, 3, 4, 5)
	label := strings.TrimSpace(string(s.text[m[2]:m[3]]))
	if m[10] >= 0 {
		end := s.trimmed(from, to)
		if end < to && s.text[end] == '!' { // of the name: MSFTHISTORY!
			end++
		}
		to = end
		name := string(s.text[from:to])
		special := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }) >= 0 || strings.IndexFunc(name, unicode.IsUpper) > 0
		alone := m[12] >= 0 && label != "" && !isProse(name) && !strings.EqualFold(name, "none") && !strings.EqualFold(name, "unknown")
		if label == "" || strings.EqualFold(name, "n/a") || strings.ContainsAny(name, `/\`) || !special && !alone {
			return 0 // Global\NAME is read as such
		}
	}
	if to == from || bytes.IndexByte(s.text[from:to], 0) >= 0 { // claimed by a path
		return 0
	}
	if strings.ContainsAny(string(s.text[from:to]), "<>*…\ufffd") {
		s.skip(from, to, reasonPlaceholder)
	} else {
		s.add(from, to, ctim.ObservableMutex, string(s.text[from:to]), "")
	}
	return to
}

// kernelObject reads Global\NAME. What goes on with a backslash or ends like a file is a path instead.
func (s *scan) kernelObject(m []int) int {
	from, to := group(m, 1, 2)
	to = s.trimmed(from, to)
	value := string(s.text[from:to])
	switch {
	case strings.Count(value, `\`) > 1 || hasFileEnding([]byte(value)) || strings.Contains(value, "\ufffd"):
		return 0
	case strings.ContainsAny(value, "<>*…"):
		s.skip(from, to, reasonPlaceholder)
	default:
		s.add(from, to, ctim.ObservableMutex, value, "")
	}
	return to
}

func (s *scan) version(m []int) int {
	if !s.endsWord(m[1]) {
		return 0
	}
	s.skip(m[0], m[1], reasonVersion)
	return m[1]
}

// url finds the host of a URL and those of the URLs in its query.
func (s *scan) url(m []int) int {
	end := m[3]
	if end < len(s.text) && strings.IndexByte(`/?#\`, s.text[end]) >= 0 {
		end = s.until(end, "\"'<>`|")
	}
	word := s.text[m[0]:end]
	for _, u := range urlPattern.FindAllSubmatchIndex(word, -1) {
		s.host(m[0]+u[2], string(word[u[2]:u[3]]))
	}
	return end
}

// host adds the host at position at, which may have a user before it and a port behind it.
func (s *scan) host(at int, host string) {
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		at, host = at+i+1, host[i+1:]
	}
	host = string(trimEnd([]byte(host)))
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
		at++
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		s.address(at, at+len(host), a)
		return
	}
	s.domain(at, at+len(host), true)
}

func (s *scan) mail(m []int) int {
	to := m[3]
	value, note, ok := s.domainName(m[2], to, false)
	if !ok || !s.endsWord(to) {
		return 0
	}
	if isMailProvider(value) {
		note = NoteMailProvider
	}
	s.add(m[0], to, ctim.ObservableDomain, value, note)
	return to
}

// otherHash matches the label of a value that has the form of a hash and is not that of a file's content.
var otherHash = regexp.MustCompile(`(?i)(?:imphash|imp hash|ja3s?|hassh|vhash|authentihash|rich(?: pe)?(?: header)?(?: hash)?|thumbprint|fingerprint|serial(?: number)?|etag|trace.?id|guid|tlsh)["']?[\s:=]{1,4}["']?$`)

// hash finds MD5 and SHA-256, also glued to an ending: then the file name is found beside it.
func (s *scan) hash(m []int) int {
	from, to := m[0], m[1]
	before, _ := utf8.DecodeLastRune(s.text[:from])
	after, size := utf8.DecodeRune(s.text[to:])
	next, _ := utf8.DecodeRune(s.text[to+size:])
	alnum := func(r rune) bool { return r != '_' && isWord(r) }
	if alnum(before) || before == '-' && !s.startsWord(from, "-") || alnum(after) || after == '-' && isWord(next) {
		return 0
	}
	value, note := strings.ToLower(string(s.text[from:to])), ""
	if otherHash.Match(s.text[max(0, from-32):from]) {
		s.skip(from, to, reasonOtherHash)
		return to
	}
	if value == "d41d8cd98f00b204e9800998ecf8427e" || value == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		note = NoteEmptyFile
	}
	switch len(value) {
	case 32:
		s.add(from, to, ctim.ObservableMD5, value, note)
	case 64:
		s.add(from, to, ctim.ObservableSHA256, value, note)
	case 40:
		s.skip(from, to, reasonSHA1)
	case 56, 96, 128: // SHA-224, SHA-384, SHA-512
		s.skip(from, to, reasonLongHash)
	default:
		return 0
	}
	if before == '_' || before == '.' || after == '_' || after == '.' && isWord(next) {
		return 0
	}
	return to
}

func (s *scan) ipv6(m []int) int {
	to := m[3]
	a, err := netip.ParseAddr(string(s.text[m[2]:to]))
	if err != nil && s.text[to-1] == ':' {
		to--
		a, err = netip.ParseAddr(string(s.text[m[2]:to]))
	}
	switch {
	case err != nil || !s.endsWord(m[1]):
		return 0
	case m[4] >= 0 && string(s.text[m[4]:m[5]]) != "/128":
		s.skip(m[0], m[1], reasonNetwork)
		return m[1]
	}
	s.address(m[2], to, a)
	return s.urlRest(m[1])
}

func (s *scan) wildcardAddress(m []int) int {
	if !s.endsWord(m[1]) {
		return 0
	}
	s.skip(m[0], m[1], reasonNetwork)
	return m[1]
}

// ipv4 finds addresses: alone, with a port (also 203.0.113.5_443), two joined by a hyphen or a slash, and in URLs without a scheme.
func (s *scan) ipv4(m []int) int {
	if !s.endsWord(m[1]) && !(m[1]+1 < len(s.text) && s.text[m[1]] == '_' && s.text[m[1]+1]-'0' <= 9) {
		return 0
	}
	more := s.text[max(m[2], 0):max(m[3], 0)]
	if len(more) > 1 && more[0] == '/' && isPrefixLength(string(more[1:])) {
		s.skip(m[0], m[1], reasonNetwork)
		return m[1]
	}
	for _, q := range quadPattern.FindAllIndex(s.text[m[0]:m[1]], -1) {
		if a, err := netip.ParseAddr(string(s.text[m[0]+q[0] : m[0]+q[1]])); err == nil {
			s.address(m[0]+q[0], m[0]+q[1], a)
		}
	}
	if len(more) > 0 && more[0] != '/' {
		s.skip(m[0], m[1], reasonRange)
	}
	return s.urlRest(m[1])
}

// isPrefixLength reports whether the number behind an address and a slash makes it a network. Larger numbers are ports.
func isPrefixLength(digits string) bool {
	n, err := strconv.Atoi(digits)
	return err == nil && n < 32
}

// urlRest is the end of the port and path that stand behind a host at position at.
func (s *scan) urlRest(at int) int {
	end := at
	if rest := s.text[at:]; len(rest) > 1 && rest[0] == ':' {
		for end++; end < len(s.text) && s.text[end]-'0' <= 9; end++ {
		}
	}
	if end < len(s.text) && strings.IndexByte("/?#", s.text[end]) >= 0 {
		return s.until(end, "\"'<>`|,;")
	}
	return at
}

// address adds an address that packets can be routed to; the others are skipped.
func (s *scan) address(from, to int, a netip.Addr) {
	a = a.Unmap().WithZone("")
	kind := ""
	switch {
	case a.IsLoopback():
		kind = "loopback"
	case a.IsUnspecified():
		kind = "unspecified"
	case a.IsLinkLocalUnicast():
		kind = "link-local"
	case a.IsMulticast():
		kind = "multicast"
	case a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240):
		kind = "reserved"
	default:
		s.addAddress(from, to, a)
		return
	}
	s.skip(from, to, kind+" address, the same on every computer")
}

func (s *scan) addAddress(from, to int, a netip.Addr) {
	a = a.Unmap().WithZone("")
	t := ctim.ObservableIPv6
	if a.Is4() {
		t = ctim.ObservableIP
	}
	s.add(from, to, t, a.String(), "")
}

// quotedName finds file names with spaces in quotation marks.
func (s *scan) quotedName(m []int) int {
	from, to := group(m, 1, 2, 3)
	name := s.text[from:to]
	if before, _ := utf8.DecodeLastRune(s.text[:m[0]]); isWord(before) || !strings.Contains(string(name), " ") || strings.TrimSpace(string(name)) != string(name) ||
		!isFileName(string(name)) || proseIn(name) != -1 || isProse(strings.Fields(string(name))[0]) || strings.ContainsAny(string(name), ",;=\ufffd") {
		return 0
	}
	s.add(from, to, ctim.ObservableFileName, string(name), "")
	return m[1]
}

// name finds file names and domains, and the relative paths that must not become file names.
func (s *scan) name(m []int) int {
	from, to := s.unwrapped(m[0], m[1])
	token := string(s.text[from:to])
	if before, size := utf8.DecodeLastRune(s.text[:m[0]]); before == '–' || before == '\'' {
		if r, _ := utf8.DecodeLastRune(s.text[:m[0]-size]); isWord(r) {
			return 0 // more of "report–final.exe" or "O'Brien.exe"
		}
	}
	switch {
	case !strings.Contains(token, "."):
		return 0
	case strings.HasPrefix(token, "./") && !strings.Contains(token[2:], "/"):
		from, token = from+2, token[2:]
	case strings.Contains(token, "&&"):
		for part := range strings.SplitSeq(token, "&&") {
			s.single(from, from+len(part))
			from += len(part) + 2
		}
		return m[1]
	}
	if host, _, ok := strings.Cut(token, "/"); ok {
		return s.slashed(from, to, host, m[1])
	}
	if i := strings.IndexAny(token, "?#"); i > 0 { // a URL's query, unless it is a wildcard
		if _, _, ok := s.domainName(from, from+i, false); ok && !isFileName(token[:i]) {
			to, token = from+i, token[:i]
		}
	}
	if placeholder.MatchString(token) && hasFileEnding([]byte(token)) {
		s.skip(from, to, reasonPlaceholder)
		return m[1]
	}
	if i := strings.IndexByte(token, '('); i > 0 && hasFileEnding([]byte(token[:i])) { // bad.exe(malicious)
		to = from + i
	} else if i > 0 && !strings.Contains(token[:i], ".") && strings.HasSuffix(token, ")") { // C2(evil.example)
		from, to = s.unwrapped(from+i, to)
	}
	s.single(from, to)
	return s.urlRest(m[1])
}

// slashed reads a URL without a scheme, names joined by slashes, or a relative path.
func (s *scan) slashed(from, to int, host string, claim int) int {
	if s.isDomain(from, from+len(host)) {
		s.domain(from, from+len(host), false)
		if rest := from + len(host) + 1; s.isDomain(rest, to) {
			s.domain(rest, to, false)
		}
		return s.until(to, "\"<>`|")
	}
	parts, all := strings.Split(string(s.text[from:to]), "/"), true
	for _, part := range parts {
		all = all && isFileName(part)
	}
	if all {
		for _, part := range parts {
			s.single(from, from+len(part))
			from += len(part) + 1
		}
	} else if hasFileEnding([]byte(parts[len(parts)-1])) {
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
	case isFileName(name) && !(s.defanged(from, to) && !in(fileEndings, ending(name))):
		if placeholder.MatchString(name) || strings.HasPrefix(name, "(") {
			s.skip(from, to, reasonPlaceholder)
			return
		}
		s.add(from, to, ctim.ObservableFileName, name, "")
	default:
		s.domain(from, to, false)
	}
}

// domain adds the domain at [from, to). A URL says that it is one, whatever its ending.
func (s *scan) domain(from, to int, inURL bool) {
	value, note, ok := s.domainName(from, to, inURL)
	switch {
	case ok:
		s.add(from, to, ctim.ObservableDomain, value, note)
	case strings.ContainsAny(string(s.text[from:to]), "*<>{}[]%$"):
		if _, tail, _ := strings.Cut(strings.TrimLeft(string(s.text[from:to]), "*.<>{}[]%$"), "."); tail != "" || inURL {
			if inURL || strings.Contains(tail, ".") && knownEnding(tail) || knownEnding("x."+tail) {
				s.skip(from, to, reasonPlaceholder)
			}
		}
	}
}

var anyLabel = regexp.MustCompile(`^(?:\*|%|<[^<>]+>|\{[^{}]+\}|\[[^\[\]]+\])?\.`)

// domainName reads a fully qualified name. Its ending is a public suffix or kept for special use, unless it is certain to be a name: in a URL, or
// defanged.
func (s *scan) domainName(from, to int, certain bool) (value, note string, ok bool) {
	name := string(s.text[from:to])
	any := anyLabel.FindString(name)
	name = strings.TrimSuffix(name[len(any):], ".")
	if i := strings.LastIndexByte(name, '_'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" { // evil.example_443
		name = name[:i]
	}
	if !certain && !s.defanged(from, to) && (glued(name) || !knownEnding(strings.ToLower(name))) {
		return "", "", false
	}
	if !strings.Contains(name, ".") || strings.Trim(ending(name), "0123456789") == "" || len(ending(name)) < 2 {
		return "", "", false
	}
	value, note, ok = asciiName(strings.ToLower(name))
	if any != "" && note == "" {
		note = NoteSubdomains
	}
	return value, note, ok
}

// asciiName is a name of one or more labels in its A-label form, marked where a label mixes scripts.
func asciiName(name string) (value, note string, ok bool) {
	unicodeName, err := idna.Punycode.ToUnicode(name)
	if err == nil && mixesScripts(unicodeName) {
		note = NoteMixedScripts
	}
	value = name
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		if value, err = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)).ToASCII(name); err != nil {
			return "", "", false
		}
	}
	if len(value) > 253 {
		return "", "", false
	}
	for label := range strings.SplitSeq(value, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", "", false
		}
	}
	return value, note, true
}

// mixesScripts reports whether a label of a name holds letters of more than one script.
func mixesScripts(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		script := ""
		for _, r := range label {
			if now := scriptOf(r); now != "" && script != "" && now != script {
				return true
			} else if now != "" {
				script = now
			}
		}
	}
	return false
}

// scriptOf names the script of a letter; those that are written together count as one.
func scriptOf(r rune) string {
	switch {
	case !unicode.IsLetter(r):
		return ""
	case unicode.Is(unicode.Latin, r):
		return "Latin"
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo):
		return "CJK"
	}
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// knownEnding reports whether a name ends in a public suffix, or outside the public DNS in a name that reports and networks use (RFC 2606, 6762,
// 7686 and custom).
func knownEnding(name string) bool {
	if in(specialEndings, ending(name)) {
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

// trimEnd cuts the punctuation off the end of a value that belongs to the sentence. A closing bracket or quotation mark belongs to the value where
// the value opened it.
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
		i := strings.IndexByte("([{<", first)
		switch {
		case i >= 0 && last == ")]}>"[i] && strings.IndexByte(token, last) == len(token)-1, first == '*' && last == '*' && len(token) > 2:
			from, to = from+1, to-1
		case i >= 0 && strings.IndexByte(token, ")]}>"[i]) < 0, first == '\'', first == '#', first == '+', first == '~', first == '@', first == '-', first == '_' && last == '_':
			from++
		default:
			return from, to
		}
	}
	return from, from
}
