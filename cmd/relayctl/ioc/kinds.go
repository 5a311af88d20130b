package ioc

import (
	"net/netip"
	"regexp"
	"strings"

	"qualysrelay.example/ctim"
)

// kind is one way in which observables are written.
type kind struct {
	pattern *regexp.Regexp

	// notAfter, unless nil, matches the end of a text behind which a match is a part of something else.
	notAfter *regexp.Regexp

	// read looks at a match, as FindSubmatchIndex gives it, adds what it finds to the scan, and returns
	// where to go on; where the match begins, or before, if it is not what it seemed.
	read func(s *scan, m []int) int
}

// kinds lists the kinds in the order in which they are tried. Group 1 of a path is its root, group 2 the host
// of a share.
var kinds = []kind{
	// TYPE:VALUE, with the type in group 1; the label of a mutex; the folder of one among Windows' objects.
	{begins(`(?i)(domain|hostname|file_name|file_path|process_name):|` +
		`mut(?:ex|ant)(?:es)?(?:[ _-]?names?)?[ \t]{0,8}(?:[:=]|named |called |[ \t])[ \t]{0,8}|` +
		`\\(?:Sessions\\\d{1,9}\\)?BaseNamedObjects\\|(?:Global|Local)\\`), nil, (*scan).labelled},
	{begins(`(?i)((?:HKLM|HKCU|HKCR|HKU|HKCC|HKEY_[A-Z_]{1,30}):?\\)`), nil,
		path("the registry cannot be searched")},
	{begins(`(?i)(?:\\\\[?.]\\|\\\?\?\\|(?:file:)?/{1,3})?([a-z]:[\\/])`),
		regexp.MustCompile(`[\pL\pN\pM_./\\]$`), path("")},
	// The host of a URL, or of bash's /dev/tcp/HOST/PORT, is group 1 or, without its brackets, 2.
	{begins(`(?i)(?:[a-z][a-z0-9+.*-]{1,20}://|/dev/(?:tcp|udp)/)` + "(?:[^\\s/?#\"'<>,;|\\\\`@]*@)*" +
		"(?:\\[([0-9a-f:.]+)[]%]|([^\\s/?#\"',;&|\\\\`\ufffd:@]+))"), nil, (*scan).url},
	{begins(`(\\\\[.?]\\)`), nil, path("a device or a pipe, not a file")},
	{begins(`(\\\\([^\s\\/"'|@]+)(?:@[^\s\\/"'|]+)?\\)`), partOfWord, path("")},
	{begins(`(?i)((?:%[a-z_][\w()]{0,30}%|\$env:\w{1,30}|~|\$HOME|\$\{HOME\})[\\/])`), nil,
		path("begins with a variable; give the whole path, or search for the file name")},
	{begins(`(?:file://)?(/(?:Applications|Library|System|Users|Volumes|bin|boot|data|dev|etc|home|lib|` +
		`lib64|media|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)/)`),
		regexp.MustCompile(`[\pL\pN\pM_.\\/~*%})\]]$|\w>$`), path("")},

	{begins(`(?i)(?:v|(?:` + oneOf("version words") + `)[ \t:=/v.-]{1,3})` + quad +
		`(?:(?:,|;| and| or| to| through|-|–){0,3} ?v?` + quad + `){0,30}`), nil,
		skipAs("reads as a version number")},
	{begins(`[\pL\pN][\pL\pN\pM_.-]{31,}`), nil, (*scan).hashes},
	{begins(quad + `/(?:[12]?\d|3[01])\b|` +
		`(?i)[0-9a-f]{3,4}:[0-9a-f:]*:[0-9a-f:]*/(?:1[01]\d|12[0-8]|\d\d?)\b|` +
		`\d{1,3}(?:\.\d{1,3}){0,2}\.(?:[*xX]|\[[\d-]+\]|\{[\d,.-]+\})(?:\.(?:\d{1,3}|[*xX]))*`), nil,
		skipAs("networks cannot be searched, only addresses")},
	{begins(quad + `(?:[-–]|\.{2,3})(?:` + quad + `|\d{1,3}\b)|` +
		`(?i)[0-9a-f]{3,4}:[0-9a-f:]*(?:[-–]|\.{2,3})[0-9a-f]{3,4}:[0-9a-f:]+`), nil,
		skipAs("ranges cannot be searched, only addresses")},
	{begins(`(?i)[0-9a-f]{1,4}:[0-9a-f:]*(?:[0-9a-f]|::)(?:(?:\.\d{1,3}){3})?|::(?:1|ffff:` + quad + `)`),
		partOfWord, (*scan).address},
	{begins(quad), nil, (*scan).address},
	{begins("\"" + fileWithSpaces + "\"|'" + fileWithSpaces + "'|`" + fileWithSpaces + "`"),
		regexp.MustCompile(`[\pL\pN\pM_]$`), (*scan).quotedName},
	{begins(`[\pL\pN_][\pL\pN_-]*(?: \x{2024} [\pL\pN_-]+)+`), nil, skipAs("has spaces around its dots")},
	{namePattern, nil, (*scan).name},
	{begins(`((?:` + nameStart + inName + `*)?[\\/])`), regexp.MustCompile("[^\\s\"'`(=,;:|]$"),
		path(reasonRelative)},
}

var partOfWord = regexp.MustCompile(`[\pL\pN\pM_.:]$`)

const quad = `\d{1,3}(?:\.\d{1,3}){3}`

func begins(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)`) }

// skipAs is how a kind is read that is never searched.
func skipAs(reason string) func(*scan, []int) int {
	return func(s *scan, m []int) int {
		if !s.endsWord(m[1]) {
			return m[0]
		}
		s.skip(m[0], m[1], reason)
		return m[1]
	}
}

var (
	mutexName = regexp.MustCompile(`^(?i:(?:Global|Local)\\)?[^\\/:]+$`)
	// unlikeWord matches what the word behind the label of a mutex has if it is a name.
	unlikeWord = regexp.MustCompile(`[_{!\d<>*]|.\p{Lu}`)
)

// labelled believes what a label says, except where the value has not the form that its type has. A path has
// to be in quotation marks, or is read as elsewhere.
func (s *scan) labelled(m []int) int {
	t, stops, last := ctim.ObservableMutex, ",;|", s.text[m[1]-1]
	if last == ':' { // TYPE:VALUE
		stops = ""
	}
	switch {
	case m[2] >= 0:
		t = ctim.ObservableType(strings.ToLower(s.text[m[2]:m[3]]))
	case last == '\\' && s.text[m[0]] != '\\':
		m[1] = m[0] // Global\ and Local\ are of the name
	}
	from, to, quoted := s.value(m[1], stops)
	value, note := s.text[from:to], ""
	ok := value != "" && !strings.Contains(value, "\xff")
	switch t {
	case ctim.ObservableDomain, ctim.ObservableHostname:
		value, note, ok = asciiName(strings.ToLower(strings.TrimSuffix(value, ".")))
		ok = ok && strings.Trim(value, "0123456789.") != ""
	case ctim.ObservableFilePath:
		ok = ok && quoted
	case ctim.ObservableMutex:
		isName := last == ':' || last == '\\' || len(value) > 3 && unlikeWord.MatchString(value)
		ok = ok && (quoted || isName && mutexName.MatchString(value) && !hasFileEnding(value))
	}
	switch {
	case !ok:
		return m[0]
	case placeholder.MatchString(value):
		s.skip(from, to, reasonPlaceholder)
	default:
		s.add(from, to, t, value, note)
	}
	if to-from > maxLength {
		to += len(untilSpace.FindString(s.text[to:]))
	}
	return to
}

// value is what stands behind a label: what is in quotation marks, or a word that ends before white space, a
// quotation mark and what is in stops.
func (s *scan) value(at int, stops string) (from, to int, quoted bool) {
	line := s.text[at:min(len(s.text), at+maxLength+1)]
	if strings.ContainsAny(line[:min(1, len(line))], "\"'`") {
		inside, _, closed := strings.Cut(line[1:], line[:1])
		return at + 1, at + 1 + len(inside), closed && !strings.ContainsAny(inside, "\r\n")
	}
	if i := strings.IndexAny(line, " \t\r\n\"'`"+stops); i >= 0 {
		line = line[:i]
	}
	return at, at + len(trimEnd(line)), false
}

// url finds the host of a URL.
func (s *scan) url(m []int) int {
	s.host(max(m[2], m[4]), max(m[3], m[5]))
	return s.afterHost(m[1])
}

// host adds the host of a URL or a share.
func (s *scan) host(from, to int) {
	to = from + len(trimEnd(s.text[from:to]))
	if a, err := netip.ParseAddr(s.text[from:to]); err == nil {
		s.addAddress(from, to, a)
		return
	}
	s.readName(from, to, true)
}

// afterHost is where to go on behind a host: its port and path are nothing to ask, but for a URL in them.
func (s *scan) afterHost(at int) int {
	m := afterHost.FindStringSubmatchIndex(s.text[at:])
	if m[2] >= 0 {
		return at + m[2]
	}
	return at + m[1]
}

// afterHost is a port and the rest of a URL, up to another URL in it, which is group 1.
var afterHost = regexp.MustCompile("^(?:[:_]\\d{1,5}\\b)?(?:[/?#][^\\s\"'<>`|]*?" +
	"(?:((?i:[a-z][a-z0-9+.*-]{1,20}://))|[\\s\"'<>`|]|$))?")

var (
	hexDigits  = regexp.MustCompile(`(?:^|[_.]-?)([0-9A-Fa-f]{32,})`)
	moreOfHash = regexp.MustCompile(`^-?[\pL\pN\pM]`)
	// otherHash matches the label of what has the form of a hash and is not that of a file's content.
	otherHash = regexp.MustCompile(`(?i)(?:imp ?hash|ja3s?|hassh|vhash|authentihash|` +
		`rich(?: pe)?(?: header)?(?: hash)?|thumbprint|fingerprint|serial(?: number)?|etag|` +
		`trace.?id|guid|tlsh)["']?[\s:=]{1,4}["']?$`)
)

// hashes finds MD5 and SHA-256, also those that dots and underscores join to other words: a hash with an
// ending is the name of a file as well, and is read again as such.
func (s *scan) hashes(m []int) int {
	for _, digits := range hexDigits.FindAllStringSubmatchIndex(s.text[m[0]:m[1]], -1) {
		from, to := m[0]+digits[2], m[0]+digits[3]
		value := strings.ToLower(s.text[from:to])
		switch length := to - from; {
		case moreOfHash.MatchString(s.text[to:]):
		case otherHash.MatchString(s.text[max(0, from-32):from]):
			s.skip(from, to, "not the hash of a file's content")
		case length == 32:
			s.add(from, to, ctim.ObservableMD5, value, "")
		case length == 64:
			s.add(from, to, ctim.ObservableSHA256, value, "")
		case length == 40:
			s.skip(from, to, "Qualys has no SHA-1 of files")
		case length == 56, length == 96, length == 128: // SHA-224, SHA-384, SHA-512
			s.skip(from, to, "Qualys has only the MD5 and the SHA-256 of files")
		}
	}
	return m[0]
}

// otherAddress matches what follows in "203.0.113.5/203.0.113.6".
var otherAddress = regexp.MustCompile(`^/` + quad)

// address finds an address before a port and a path, or before another address behind a slash.
func (s *scan) address(m []int) int {
	from, to := m[0], m[1]
	text := s.text[from:to]
	a, err := netip.ParseAddr(text)
	if colon := strings.IndexByte(text, ':'); err != nil || colon == 1 || colon == 2 {
		return from + strings.LastIndexByte(text, ':') + 1 // no part of 12:30:45 or a::b is one either
	}
	end := to + 1
	if !otherAddress.MatchString(s.text[to:]) {
		end = s.afterHost(to)
	}
	if end == to && !s.endsWord(to) {
		return from
	}
	s.addAddress(from, to, a)
	return end
}

// addAddress adds an address that packets can be routed to; the others are skipped.
func (s *scan) addAddress(from, to int, a netip.Addr) {
	a = a.Unmap()
	t := ctim.ObservableIPv6
	if a.Is4() {
		t = ctim.ObservableIP
	}
	reserved := a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240)
	if reserved || a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		s.skip(from, to, "loopback, link-local, multicast or reserved: the same everywhere")
		return
	}
	s.add(from, to, t, a.WithZone("").String(), "")
}
