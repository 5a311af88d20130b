package ioc

import (
	"net/netip"
	"regexp"
	"strings"

	"qualysrelay.example/ctim"
)

const (
	quad    = `\d{1,3}(?:\.\d{1,3}){3}`
	quoted  = `"([^"\r\n]+)"|'([^'\r\n]+)'`
	urlRest = `(?:[:_]\d{1,5})?(?:[/?#][^\s"'<>` + "`" + `|,;\x00]*)?` // a port and a path

	differing = `<>*…` // in the name of a mutex, a placeholder
)

var (
	typedPattern = regexp.MustCompile(`(?i)(ip|ipv6|domain|hostname|file_name|file_path|process_name|` +
		`mutex):(?:` + quoted + `|([^\s"'\x00]+))`)
	// "Mutex: NAME", "a mutex named NAME" and Global\NAME; group 1 is the colon, the last two are bare names.
	mutexPattern = regexp.MustCompile(`(?i)mut(?:ex|ant)(?:es)?(?:[ _-]?names?)?` +
		`(?:[ \t]*([:=])[ \t]*|[ \t]+(?:(?:named|called)[ \t]+)?)` +
		"(?:" + quoted + "|`([^`\\r\\n]+)`|([^\\s\"'`,;/\\\\\\x00]+)(?:[\\s\"'`,;]|$))|" +
		`(?:\\(?:Sessions\\\d+\\)?BaseNamedObjects\\|\b)((?:Global|Local)\\[^\s"'|,;\x00]+)|` +
		`\\(?:Sessions\\\d+\\)?BaseNamedObjects\\([^\s"'|,;\x00]+)`)
	mutexName      = regexp.MustCompile(`[_{!\d` + differing + `]|.\p{Lu}`)
	versionPattern = regexp.MustCompile(`(?i)(?:v|(?:versions?|ver\.?|v\.?|release|build|firmware|` +
		`revision|rev\.?|patch|hotfix|openssl|openssh|libssl|nginx|apache|httpd|tomcat|chrome|` +
		`chromium|edge|firefox|safari|opera|java|jre|jdk|php|python|ruby|perl|curl|wget|putty|winrar|7-?zip|` +
		`\.net|framework|fortios|pan-os|exchange|mysql|postgresql|jenkins|` +
		`confluence|drupal|wordpress|kernel|dll|sdk)[ \t:=/v-]{1,3})` +
		quad + `(?:(?:,|;| and| or| to| through|-|–)* ?v?` + quad + `)*`)
	// The host of a URL, or of bash's /dev/tcp/HOST/PORT, is group 1 or, without its brackets, 2.
	urlPattern = regexp.MustCompile(`(?i)(?:[a-z][a-z0-9+.*-]{1,20}://|/dev/(?:tcp|udp)/)` +
		"(?:[^\\s/?#\"'<>,;|\\\\`\\x00@]*@)*" +
		"(?:\\[([0-9a-f:.]+)[]%]|([^\\s/?#\"',;&|\\\\`\\x00\ufffd:@]+))")
	mailPattern = regexp.MustCompile(`[\pL\pN_][\pL\pN._%+-]*@` +
		`((?:[\pL\pN_](?:[\pL\pN\pM_-]*[\pL\pN_])?\.)+[\pL\pN-]+)`)
	hashPattern = regexp.MustCompile(`[\pL\pN\pM_-]{32,}`)
	hexDigits   = regexp.MustCompile(`^-?([0-9A-Fa-f]{32,})-?$`)
	// otherHash matches the label of what has the form of a hash and is not that of a file's content.
	otherHash = regexp.MustCompile(`(?i)(?:imp ?hash|ja3s?|hassh|vhash|authentihash|` +
		`rich(?: pe)?(?: header)?(?: hash)?|thumbprint|fingerprint|serial(?: number)?|etag|` +
		`trace.?id|guid|tlsh)["']?[\s:=]{1,4}["']?$`)
	emptyFile = regexp.MustCompile(`^(?:d41d8cd98f00b204e9800998ecf8427e|e3b0c44298fc1c149afbf4c8996fb924` +
		`27ae41e4649b934ca495991b7852b855)$`)
	ipv6Pattern = regexp.MustCompile(
		`([0-9A-Fa-f]{3,4}:[0-9A-Fa-f:.]*(?:[0-9A-Fa-f]|::)|::1)(?:%\w+)?` + urlRest)
	ipv4Pattern = regexp.MustCompile(
		`(` + quad + `(?:(?:[-–/]|\.{2,3})` + quad + `)*(?:[-–]\d{1,3})?)` + urlRest)
	netPattern = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){0,2}\.(?:[*xX]|\[[\d-]+\]|\{[\d,.-]+\})` +
		`(?:\.(?:\d{1,3}|[*xX]))*`)
	rangePattern   = regexp.MustCompile(`\d(?:[-–]|\.{2,3})\d`)
	networkPattern = regexp.MustCompile(`^[0-9A-Fa-f:.]+/\d{1,3}\b`)
	onePattern     = regexp.MustCompile(quad + `|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`)
)

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

// group is the last of the groups of a match that is there.
func group(m []int) (from, to int) {
	i := len(m) - 2
	for m[i] < 0 {
		i -= 2
	}
	return m[i], m[i+1]
}

// typed believes TYPE:VALUE, except where the type has a form that the value has not. Paths are read as
// such.
func (s *scan) typed(m []int) int {
	from, to := group(m)
	if m[8] >= 0 { // not in quotation marks
		to = s.trimmed(from, to)
	}
	value, t := s.text[from:to], ctim.ObservableType(strings.ToLower(s.text[m[2]:m[3]]))
	note := ""
	switch t {
	case ctim.ObservableIP, ctim.ObservableIPv6:
		a, err := netip.ParseAddr(strings.Trim(value, "[]"))
		if err != nil {
			return 0
		}
		value, t = plainAddress(a)
	case ctim.ObservableDomain, ctim.ObservableHostname:
		var ok bool
		value, note, ok = asciiName(strings.ToLower(strings.TrimSuffix(value, ".")))
		if !ok || strings.Trim(value, "0123456789.") == "" {
			return 0
		}
	case ctim.ObservableFilePath:
		if wholePath.MatchString(value) {
			return 0
		}
	}
	switch {
	case value == "", strings.Contains(value, "\xff"),
		t == ctim.ObservableMutex && strings.ContainsAny(value, differing): // read by mutexPattern
		return 0
	case t != ctim.ObservableMutex && placeholder.MatchString(value):
		s.skip(m[0], m[1], reasonPlaceholder)
	default:
		s.add(from, to, t, value, note)
	}
	return m[1]
}

// mutex reads the name of a mutex. A bare word must look like a name. What goes on with a backslash or ends
// like a file is a path instead.
func (s *scan) mutex(m []int) int {
	from, to := group(m)
	word, labelled, object := m[10] >= 0, m[2] >= 0, max(m[12], m[14]) >= 0
	if word || object {
		to = s.trimmed(from, to)
		if to < m[1] && (s.text[to] == '!' || s.text[to] == '*') { // of the name: MSFTHISTORY!
			to++
		}
	}
	name := s.text[from:to]
	switch {
	case name == "", strings.ContainsAny(name, "\x00\ufffd"), // no text, or a path's
		word && (!mutexName.MatchString(name) || !labelled && len(name) < 4),
		object && (strings.Count(name, `\`) > 1 || hasFileEnding(name)):
		return 0
	case strings.ContainsAny(name, differing):
		s.skip(from, to, reasonPlaceholder)
	default:
		s.add(from, to, ctim.ObservableMutex, name, "")
	}
	return to
}

// url finds the host of a URL and those of the URLs in its query.
func (s *scan) url(m []int) int {
	end := s.until(m[1], "\"'<>`|")
	for _, u := range urlPattern.FindAllStringSubmatchIndex(s.text[m[0]:end], -1) {
		from, to := group(u)
		s.host(m[0]+from, m[0]+to)
	}
	return end
}

// host adds the host of a URL or a share.
func (s *scan) host(from, to int) {
	to = s.trimmed(from, to)
	if a, err := netip.ParseAddr(s.text[from:to]); err == nil {
		s.address(from, to, a)
		return
	}
	s.domain(from, to, true)
}

func (s *scan) mail(m []int) int {
	value, note, ok := s.domainName(m[2], m[3], false)
	if !ok || !s.endsWord(m[3]) {
		return 0
	}
	if isMailProvider(value) {
		note = noteMailProvider
	}
	s.add(m[0], m[3], ctim.ObservableDomain, value, note)
	return m[3]
}

// hash finds MD5 and SHA-256, also those that underscores join to other words. It claims nothing: a hash with
// an ending is the name of a file as well.
func (s *scan) hash(m []int) int {
	to := m[0]
	for part := range strings.SplitSeq(s.text[m[0]:m[1]], "_") {
		from := to
		to += len(part) + 1
		digits := hexDigits.FindStringSubmatchIndex(part)
		if digits == nil {
			continue
		}
		start, end := from+digits[2], from+digits[3]
		value, note := strings.ToLower(s.text[start:end]), ""
		if emptyFile.MatchString(value) {
			note = noteEmptyFile
		}
		switch length := end - start; {
		case otherHash.MatchString(s.text[max(0, start-32):start]):
			s.skip(start, end, reasonOtherHash)
		case length == 32:
			s.add(start, end, ctim.ObservableMD5, value, note)
		case length == 64:
			s.add(start, end, ctim.ObservableSHA256, value, note)
		case length == 40:
			s.skip(start, end, reasonSHA1)
		case length == 56, length == 96, length == 128: // SHA-224, SHA-384, SHA-512
			s.skip(start, end, reasonLongHash)
		}
	}
	return 0
}

// addresses finds one address, or those that a hyphen, dots or slashes join, before a port and a path.
func (s *scan) addresses(m []int) int {
	from, to := m[2], m[3]
	if to == m[1] && !s.endsWord(to) {
		return 0
	}
	network := networkPattern.FindString(s.text[from:m[1]])
	if p, err := netip.ParsePrefix(network); err == nil && !p.IsSingleIP() && s.endsWord(from+len(network)) {
		s.skip(from, from+len(network), reasonNetwork)
		return m[1]
	}
	claim := 0
	for _, one := range onePattern.FindAllStringIndex(s.text[from:to], -1) {
		if a, err := netip.ParseAddr(s.text[from+one[0] : from+one[1]]); err == nil {
			s.address(from+one[0], from+one[1], a)
			claim = m[1]
		}
	}
	if claim > 0 && rangePattern.MatchString(s.text[from:to]) {
		s.skip(from, to, reasonRange)
	}
	return claim
}

// address adds an address that packets can be routed to; the others are skipped.
func (s *scan) address(from, to int, a netip.Addr) {
	a = a.Unmap()
	value, t := plainAddress(a)
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
		s.add(from, to, t, value, "")
		return
	}
	s.skip(from, to, kind+" address, the same on every computer")
}

func plainAddress(a netip.Addr) (string, ctim.ObservableType) {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String(), ctim.ObservableIP
	}
	return a.String(), ctim.ObservableIPv6
}
