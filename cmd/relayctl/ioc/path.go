package ioc

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"qualysrelay.example/ctim"
)

var (
	// The groups of a Windows path are its drive, its variable, or the host of its share.
	windowsPattern = regexp.MustCompile(`(?i)(?:\\\\[?.]\\|\\\?\?\\)?([a-z]:[\\/])|` +
		`(%[a-z_][a-z0-9_()]*%|\$env:[a-z_]+|~)\\|\\\\([^\s\\/"'|\x00]+)\\`)
	unixPattern = regexp.MustCompile(`(?:~[a-z]*|\$HOME|\$\{HOME\})/|/(?:` +
		`Applications|Library|System|Users|Volumes|bin|boot|data|dev|etc|home|lib|lib64|media|mnt|` +
		`opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)/`)
	shellPattern    = regexp.MustCompile(`/dev/(?:tcp|udp)/([^\s/"'<>|;&\x00]+)(?:/\d+)?`)
	registryPattern = regexp.MustCompile(`(?i)(?:HKLM|HKCU|HKCR|HKU|HKCC|HKEY_[A-Z_]+):?\\`)
	relativePattern = regexp.MustCompile("[^\\s\"'`|<>=,;:\\\\/\\x00\ufffd]*\\\\")
	doubled         = regexp.MustCompile(`\\{2,}`)
)

// What may end a path. Group 1 is a placeholder, which does not where it is part of a name; group 2 an
// ending, which does where files have it.
const (
	pathStops = `(<[^/<>][^<>]{0,61}>)|["|<>:` + "`" + `•‣▪●—→]|\x{fffd}|&&`
	// of a path that is not in quotation marks
	openStops = pathStops + `|(\.[A-Za-z0-9]{1,8})(?:[ ,;–'()\]}]|[*?](?:[^\pL\pN_]|$))|` +
		`[ ,;&][A-Za-z]:| & |[,;]/|[?,;.!'](?:[ "')\]}` + "`" + `]|$)`
)

var (
	quotedStops = regexp.MustCompile(pathStops +
		`|(\.[A-Za-z0-9]{1,8})(?:[,;–]|[*?](?:[^\pL\pN_]|$)| [/%$~\\]| -[^ ])`)
	unixStops = regexp.MustCompile(openStops + `| `)
	// On Windows, names with spaces go on up to an option, another path or a bracket that is not closed.
	windowsStops = regexp.MustCompile(openStops + `|  | [/%$~\\]| -[^ ]| \([^)]{31}| \([^)]*$`)
)

func (s *scan) windowsPath(m []int) int {
	from, start, folder, note := m[0], m[1], "", ""
	switch {
	case m[2] >= 0:
		if from = m[2]; from > 1 && s.text[from-1] == '/' && s.text[from-2] != '/' { // "/tmp/c:/tmp/d"
			return 0
		}
	case m[4] >= 0:
		variable := string(s.text[m[4]:m[5]])
		if folder = fixedFolders()[strings.ToLower(variable)]; folder == "" {
			return s.skipPath(from, start, reasonVariable)
		}
		note = variable + " is read as " + folder
	default:
		host, _, _ := strings.Cut(string(s.text[m[6]:m[7]]), "@") // host@port: WebDAV
		if host == "." || host == "?" {
			return s.skipPath(from, start, reasonDevice)
		}
		if !placeholder.MatchString(host) {
			s.host(from+2, host)
		}
	}
	end, claim, reason := s.pathEnd(from, start, true)
	value := string(s.text[from:max(from, end)])
	if folder != "" {
		value = folder + string(s.text[start-1:max(start-1, end)])
	}
	if len(value) > 2 {
		value = value[:2] + doubled.ReplaceAllLiteralString(value[2:], `\`)
	}
	return s.takePath(from, end, claim, strings.TrimRight(value, `\/`), note, reason)
}

func (s *scan) unixPath(m []int) int {
	if s.text[m[0]] != '/' {
		return s.skipPath(m[0], m[1], reasonVariable)
	}
	end, claim, reason := s.pathEnd(m[0], m[1], false)
	value := strings.ReplaceAll(string(s.text[m[0]:max(m[0], end)]), `\ `, " ")
	return s.takePath(m[0], end, claim, strings.TrimRight(value, "/"), "", reason)
}

// relativePath claims what is no whole path, so that its last name is not asked alone; .\x.exe is no more
// than that.
func (s *scan) relativePath(m []int) int {
	if near := s.text[m[1]:min(len(s.text), m[1]+260)]; bytes.IndexByte(near, '.') < 0 { // names end sooner
		return 0
	}
	end, claim, _ := s.pathEnd(m[0], m[1], true)
	switch {
	case !hasFileEnding(s.text[m[0]:end]): // CORP\jdoe
		return 0
	case string(s.text[m[0]:m[1]]) == `.\` && !bytes.ContainsAny(s.text[m[1]:end], `\ `):
		s.single(m[1], end)
	default:
		s.skip(m[0], claim, reasonRelative)
	}
	return claim
}

// shellConnection finds the peer in /dev/tcp/HOST/PORT, which is no file.
func (s *scan) shellConnection(m []int) int {
	s.host(m[2], string(s.text[m[2]:m[3]]))
	return m[1]
}

func (s *scan) registryKey(m []int) int { return s.skipPath(m[0], m[1], reasonRegistry) }

// skipPath skips the path that begins at from and whose first name begins at start.
func (s *scan) skipPath(from, start int, reason string) int {
	_, claim, _ := s.pathEnd(from, start, s.text[start-1] == '\\')
	s.skip(from, claim, reason)
	return claim
}

// takePath adds the path at [from, end), or skips it for the reason, and returns the end of what is claimed.
func (s *scan) takePath(from, end, claim int, value, note, reason string) int {
	if end < len(s.text) && s.text[end] == '*' && !hasFileEnding(s.text[from:end]) {
		claim = end + 1 // a wildcard
	}
	switch {
	case placeholder.MatchString(value) || placeholder.Match(s.text[end:claim]):
		s.skip(from, claim, reasonPlaceholder)
	case reason == "" && s.goesOn(end):
		claim = s.until(end, "")
		s.skip(from, claim, reasonUnclear)
	case reason != "":
		s.skip(from, claim, reason)
	case commonFolder.MatchString(value):
		s.skip(from, end, reasonCommon)
	case strings.ContainsAny(value[min(2, len(value)):], `\/`): // more than a root
		s.add(from, end, ctim.ObservableFilePath, value, note)
	}
	return claim
}

// pathEnd finds where the path that begins at from ends, and the end of what must not be looked at again.
// Its names begin at start, after the root. The reason, if any, is why the path cannot be asked.
func (s *scan) pathEnd(from, start int, windows bool) (end, claim int, reason string) {
	limit, closed := s.pathLimit(from, start, windows)
	region := s.text[start:limit]
	switch {
	case limit-from >= maxLength:
		return from, s.until(limit, ""), reasonTooLong
	case closed:
		return start + len(bytes.TrimRight(region, " ")), limit, ""
	}
	separators := "/"
	if windows {
		separators = `\/`
		for name := range bytes.FieldsFuncSeq(region[:bytes.LastIndexAny(region, separators)+1],
			func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if proseIn(name) != -1 && bytes.IndexByte(name, '<') < 0 {
				return limit, limit, reasonUnclear
			}
		}
	}
	last := region[bytes.LastIndexAny(region, separators)+1:]
	length := len(last)
	first, rest, more := bytes.Cut(last, []byte(" "))
	prose := proseIn(last)
	switch {
	case prose >= 0:
		length = prose
	case hasFileEnding(trimEnd(last)):
		if prose == unclear {
			reason = reasonUnclear
		}
	case bytes.HasSuffix(first, []byte("'s")):
		length = len(first)
	case more: // say it with the next word
		next, _, _ := bytes.Cut(rest, []byte(" "))
		length, reason = len(first)+1+len(next), reasonUnclear
	case !windows && s.goesOnAfterSpace(limit):
		limit = s.until(limit+1, "")
		return limit, limit, reasonUnclear
	}
	end = s.trimmed(from, limit-len(last)+length)
	return end, end, reason
}

// pathLimit finds how far a path could reach at most. One in quotation marks on a line is closed: it is
// whole.
func (s *scan) pathLimit(from, start int, windows bool) (limit int, closed bool) {
	line := s.text[start:min(len(s.text), from+maxLength)]
	if end := bytes.IndexAny(line, "\r\n\t\x00"); end >= 0 {
		line = line[:end]
	}
	stops := unixStops
	if windows {
		stops = windowsStops
	}
	if from > 0 && strings.IndexByte("\"'`", s.text[from-1]) >= 0 {
		n := bytes.IndexByte(line, s.text[from-1])
		if n >= 0 && (n+1 == len(line) || !isWord(rune(line[n+1]))) {
			line, closed, stops = line[:n], true, quotedStops
		}
	}
	for i := 0; i < len(line); {
		m := stops.FindSubmatchIndex(line[i:])
		if m == nil {
			break
		}
		at := i + m[0]
		switch {
		case m[2] >= 0 && !hasFileEnding(line[:at]): // a placeholder in a name
			i += m[3]
		case m[4] >= 0 && hasFileEnding(line[:i+m[5]]):
			return start + i + m[5], false
		case bytes.HasPrefix(line[at:], []byte(" & ")): // two commands, or more of a name
			return start + at + 1, false
		case m[4] >= 0, line[at] == ' ' && !windows && inUnixName(line, at):
			i = at + 1
		default:
			return start + at, false
		}
	}
	return start + len(line), closed
}

// inUnixName reports whether a space does not end a Unix path: it is escaped, or in a folder that every Mac
// has.
func inUnixName(line []byte, at int) bool {
	const folder, space = "/Application Support/", len("/Application")
	return at > 0 && line[at-1] == '\\' || at >= space && bytes.HasPrefix(line[at-space:], []byte(folder))
}

// goesOn reports whether a path goes on behind end in a way that cannot be read: with text that is claimed
// already, a placeholder that is not closed, a name in quotation marks, or in the next line.
func (s *scan) goesOn(end int) bool {
	rest := s.text[end:min(len(s.text), end+maxLength)]
	switch {
	case len(rest) < 2:
		return false
	case rest[0] == 0 || rest[0] == '<' && rest[1] != '/':
		return true
	case strings.IndexByte(`\/`, s.text[end-1]) < 0:
		return false
	case rest[0] == '\r' || rest[0] == '\n':
		words := bytes.Fields(bytes.TrimLeft(rest, "\r\n"))
		if len(words) == 0 || words[0][0] == '/' {
			return false
		}
		root := windowsPattern.FindIndex(words[0])
		return (root == nil || root[0] > 0) &&
			(bytes.IndexByte(words[0], s.text[end-1]) >= 0 || hasFileEnding(trimEnd(words[0])))
	}
	next, _ := utf8.DecodeRune(rest[1:])
	return strings.IndexByte(" \t),.;]}", rest[0]) < 0 && isWord(next)
}

// goesOnAfterSpace reports whether the word behind a space may be more of a Unix path.
func (s *scan) goesOnAfterSpace(at int) bool {
	if at >= len(s.text) || s.text[at] != ' ' {
		return false
	}
	name, _, ok := bytes.Cut(s.text[at+1:min(s.until(at+1, "\"':"), at+1+maxLength)], []byte("/"))
	return ok && len(name) > 0 && !isProse(string(name)) && !listed["joining"][string(name)] &&
		!s.isDomain(at+1, at+1+len(name))
}
