package ioc

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"qualysrelay.example/ctim"
)

const quad = `\d{1,3}(?:\.\d{1,3}){3}`

var (
	typedPattern = regexp.MustCompile(`(?i)(ip|ipv6|domain|hostname|file_name|file_path|process_name|` +
		`mutex):(?:"([^"\r\n]+)"|'([^'\r\n]+)'|([^\s"'\x00]+))`)
	mutexPattern = regexp.MustCompile(`(?i)mut(?:ex|ant)(?:es)?(?:[ _-]?names?)?` +
		`([ \t]*[:=][ \t]*|[ \t]+(?:named|called)[ \t]+|[ \t]+)` +
		"(?:\"([^\"\\r\\n]+)\"|'([^'\\r\\n]+)'|`([^`\\r\\n]+)`|([^\\s\"'`,;]+))")
	kernelPattern = regexp.MustCompile(`(?i)(?:\\Sessions\\\d+)?\\BaseNamedObjects\\` +
		`((?:Global\\|Local\\)?[^\s"'|,;\x00]+)|((?:Global|Local)\\[^\s"'|,;\x00]+)`)
	versionPattern = regexp.MustCompile(`(?i)(?:v|(?:versions?|ver\.?|v\.?|release|build|firmware|revision|rev\.?|` +
		`patch|hotfix|openssl|openssh|libssl|nginx|apache|httpd|tomcat|chrome|chromium|edge|firefox|safari|` +
		`opera|java|jre|jdk|php|python|ruby|perl|curl|wget|putty|winrar|7-?zip|\.net|framework|fortios|` +
		`pan-os|exchange|mysql|postgresql|jenkins|confluence|drupal|wordpress|kernel|dll|sdk)[ \t:=/v-]{1,3})` +
		quad + `(?:(?:,|;| and| or| to| through|-|–)* ?v?` + quad + `)*`)
	urlPattern = regexp.MustCompile(`(?i)(?:[a-z][a-z0-9+.*-]{1,20}://|h..ps?:\\\\)` +
		"([^\\s/?#\"'<>,;|\\\\`\\x00\ufffd]+)")
	mailPattern = regexp.MustCompile(`[\pL\pN_][\pL\pN._%+-]*@` +
		`((?:[\pL\pN_](?:[\pL\pN\pM_-]*[\pL\pN_])?\.)+[\pL\pN-]+)`)
	hashPattern = regexp.MustCompile(`[0-9A-Fa-f]{32,}`)
	// otherHash matches the label of what has the form of a hash and is not that of a file's content.
	otherHash = regexp.MustCompile(`(?i)(?:imp ?hash|ja3s?|hassh|vhash|authentihash|` +
		`rich(?: pe)?(?: header)?(?: hash)?|thumbprint|fingerprint|serial(?: number)?|etag|` +
		`trace.?id|guid|tlsh)["']?[\s:=]{1,4}["']?$`)
	ipv6Pattern = regexp.MustCompile(`([0-9A-Fa-f]{3,4}:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*[0-9A-Fa-f:]|::1)` +
		`(?:%\w+)?(/\d{1,3})?`)
	netPattern = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){0,2}\.(?:[*xX]|\[[\d-]+\]|\{[\d,.-]+\})` +
		`(?:\.(?:\d{1,3}|[*xX]))*`)
	quadPattern = regexp.MustCompile(quad)
	ipv4Pattern = regexp.MustCompile(quad + `((?:(?:[-–/]|\.{2,3})` + quad + `)+|/\d{1,5}|[-–]\d{1,3})?`)
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

// skipAs is how a kind is read that is never searched.
func skipAs(reason string) func(*scan, []int) int {
	return func(s *scan, m []int) int {
		if !s.endsWord(m[1]) {
			return 0
		}
		s.skip(m[0], m[1], reason)
		return m[1]
	}
}

// typed believes TYPE:VALUE, except where the type has a form that the value has not. Paths are read as
// such.
func (s *scan) typed(m []int) int {
	from, to := group(m, 2, 3, 4)
	if m[8] >= 0 { // not in quotation marks
		to = s.trimmed(from, to)
	}
	value, t := string(s.text[from:to]), ctim.ObservableType(strings.ToLower(string(s.text[m[2]:m[3]])))
	switch {
	case value == "" || strings.Contains(value, "\ufffd"):
		return 0
	case t == ctim.ObservableIP || t == ctim.ObservableIPv6:
		a, err := netip.ParseAddr(strings.Trim(value, "[]"))
		if err != nil {
			return 0
		}
		s.addAddress(from, to, a)
	case t == ctim.ObservableDomain || t == ctim.ObservableHostname:
		name, note, ok := asciiName(strings.ToLower(strings.TrimSuffix(value, ".")))
		if !ok || strings.Trim(name, "0123456789.") == "" {
			return 0
		}
		s.add(from, to, t, name, note)
	case t == ctim.ObservableFilePath && windowsPattern.MatchString(value),
		t == ctim.ObservableFilePath && unixPattern.MatchString(value):
		return 0
	case t == ctim.ObservableMutex:
		s.mutex(from, to)
	case placeholder.MatchString(value):
		s.skip(m[0], m[1], reasonPlaceholder)
	default:
		s.add(from, to, t, value, "")
	}
	return m[1]
}

// labelledMutex reads "Mutex: NAME" and "a mutex named NAME". A bare word must look like a name.
func (s *scan) labelledMutex(m []int) int {
	from, to := group(m, 2, 3, 4, 5)
	if m[10] < 0 { // in quotation marks
		return s.mutex(from, to)
	}
	if to = s.trimmed(from, to); to < m[11] && s.text[to] == '!' { // of the name: MSFTHISTORY!
		to++
	}
	name, labelled := string(s.text[from:to]), strings.TrimSpace(string(s.text[m[2]:m[3]])) != ""
	special := strings.ContainsAny(name, "_{0123456789") && (labelled || len(name) > 3) ||
		labelled && (strings.HasSuffix(name, "!") || strings.IndexFunc(name, unicode.IsUpper) > 0)
	if !special || strings.ContainsAny(name, `/\`) { // Global\NAME is read as such
		return 0
	}
	return s.mutex(from, to)
}

// kernelObject reads Global\NAME. What goes on with a backslash or ends like a file is a path instead.
func (s *scan) kernelObject(m []int) int {
	from, to := group(m, 1, 2)
	to = s.trimmed(from, to)
	if name := s.text[from:to]; strings.Count(string(name), `\`) > 1 || hasFileEnding(name) {
		return 0
	}
	return s.mutex(from, to)
}

func (s *scan) mutex(from, to int) int {
	switch name := string(s.text[from:to]); {
	case name == "" || strings.ContainsAny(name, "\x00\ufffd"): // no text, or a path's
		return 0
	case strings.ContainsAny(name, "<>*…"):
		s.skip(from, to, reasonPlaceholder)
	default:
		s.add(from, to, ctim.ObservableMutex, name, "")
	}
	return to
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

// hash finds MD5 and SHA-256, also glued to an ending: then the file name is found beside it.
func (s *scan) hash(m []int) int {
	from, to := m[0], m[1]
	before, _ := utf8.DecodeLastRune(s.text[:from])
	after, size := utf8.DecodeRune(s.text[to:])
	next, _ := utf8.DecodeRune(s.text[to+size:])
	joined := before == '-' && !s.startsWord(from, "-") || after == '-' && isWord(next)
	if joined || before != '_' && isWord(before) || after != '_' && isWord(after) {
		return 0
	}
	value, note := strings.ToLower(string(s.text[from:to])), ""
	if value == "d41d8cd98f00b204e9800998ecf8427e" ||
		value == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		note = NoteEmptyFile
	}
	switch length := len(value); {
	case otherHash.Match(s.text[max(0, from-32):from]):
		s.skip(from, to, reasonOtherHash)
		return to
	case length == 32:
		s.add(from, to, ctim.ObservableMD5, value, note)
	case length == 64:
		s.add(from, to, ctim.ObservableSHA256, value, note)
	case length == 40:
		s.skip(from, to, reasonSHA1)
	case length == 56, length == 96, length == 128: // SHA-224, SHA-384, SHA-512
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

// ipv4 finds addresses: alone, with a port (also 203.0.113.5_443), two joined by a hyphen or a slash, and
// in URLs without a scheme.
func (s *scan) ipv4(m []int) int {
	port := m[1]+1 < len(s.text) && s.text[m[1]] == '_' && s.text[m[1]+1]-'0' <= 9
	if !port && !s.endsWord(m[1]) {
		return 0
	}
	more := string(s.text[max(m[2], 0):max(m[3], 0)])
	number, slash := strings.CutPrefix(more, "/")
	if bits, err := strconv.Atoi(number); err == nil && slash && bits < 32 { // else a port
		s.skip(m[0], m[1], reasonNetwork)
		return m[1]
	}
	for _, q := range quadPattern.FindAllIndex(s.text[m[0]:m[1]], -1) {
		if a, err := netip.ParseAddr(string(s.text[m[0]+q[0] : m[0]+q[1]])); err == nil {
			s.address(m[0]+q[0], m[0]+q[1], a)
		}
	}
	if more != "" && !slash {
		s.skip(m[0], m[1], reasonRange)
	}
	return s.urlRest(m[1])
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
