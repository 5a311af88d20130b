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

func (s *scan) windowsPath(m []int) int {
	from, start, folder, note := m[0], m[1], "", ""
	switch {
	case m[2] >= 0:
		if from = m[2]; from > 1 && s.text[from-1] == '/' && s.text[from-2] != '/' { // "/tmp/c:/tmp/d"
			return 0
		}
	case m[4] >= 0:
		variable := string(s.text[m[4]:m[5]])
		if folder = fixedFolder(variable); folder == "" {
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

// takePath adds the path at [from, end), or skips it for the reason, and returns the end of what is
// claimed.
func (s *scan) takePath(from, end, claim int, value, note, reason string) int {
	if end < len(s.text) && s.text[end] == '*' && !hasFileEnding(s.text[from:end]) &&
		(from == 0 || s.text[from-1] != '*') {
		claim = end + 1 // a wildcard, not the end of Markdown's *path*
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
	case !strings.ContainsAny(value[min(2, len(value)):], `\/`): // a root alone
	default:
		s.add(from, end, ctim.ObservableFilePath, value, note)
	}
	return claim
}

// pathEnd finds where the path that begins at from ends, and the end of what must not be looked at again.
// Its names begin at start, after the root. The reason, if any, is why the path cannot be asked.
func (s *scan) pathEnd(from, start int, windows bool) (end, claim int, reason string) {
	limit, closed := s.pathRegion(from, start, windows)
	region := s.text[start:limit]
	switch {
	case limit-from >= maxLength:
		return from, s.until(limit, ""), reasonTooLong
	case closed:
		return start + len(bytes.TrimRight(region, " ")), limit, ""
	}
	name := 0 // where the name that is looked at begins
	for i := range len(region) + 1 {
		switch {
		case i < len(region) && (region[i] == '\\' || region[i] == '/') && windows:
			if proseIn(region[name:i]) != -1 && bytes.IndexByte(region[name:i], '<') < 0 {
				return limit, limit, reasonUnclear
			}
			name = i + 1
		case i < len(region) && region[i] == '/':
			name = i + 1
		case (i == len(region) || region[i] == ' ') && hasFileEnding(trimEnd(region[name:i])):
			if at := proseIn(region[name:i]); at >= 0 {
				i = name + at
			} else if at == unclear {
				reason = reasonUnclear
			}
			end = s.trimmed(from, start+i)
			return end, end, reason
		}
	}
	// The last name has no ending: it is a folder, or a file without one.
	last := region[name:]
	first, rest, more := bytes.Cut(last, []byte(" "))
	length := len(first)
	switch at := proseIn(last); {
	case at >= 0:
		length = at
	case bytes.HasSuffix(first, []byte("'s")):
	case more: // say it with the next word
		next, _, _ := bytes.Cut(rest, []byte(" "))
		length, reason = len(first)+1+len(next), reasonUnclear
	case !windows && s.goesOnAfterSpace(limit):
		limit = s.until(limit+1, "")
		return limit, limit, reasonUnclear
	}
	end = s.trimmed(from, start+name+length)
	return end, end, reason
}

// pathRegion finds how far a path could reach at most. One in quotation marks on a line is closed: it is
// whole.
func (s *scan) pathRegion(from, start int, windows bool) (limit int, closed bool) {
	line := s.text[:min(len(s.text), from+maxLength)]
	if end := bytes.IndexAny(line[start:], "\r\n\t\x00"); end >= 0 {
		line = line[:start+end]
	}
	if from > 0 && strings.IndexByte("\"'`", s.text[from-1]) >= 0 {
		n := bytes.IndexByte(line[start:], s.text[from-1])
		if n >= 0 && (start+n+1 == len(line) || !isWord(rune(line[start+n+1]))) {
			line, closed = line[:start+n], true
		}
	}
	for i := start; i < len(line); {
		c, size := utf8.DecodeRune(line[i:])
		if c == '<' && !bytes.HasPrefix(line[i:], []byte("</")) && !hasFileEnding(line[start:i]) {
			if n := bytes.IndexByte(line[i:min(len(line), i+64)], '>'); n > 1 { // <user name>
				i += n + 1
				continue
			}
		}
		if s.stopsPath(line, from, i, c, windows, closed) {
			if c == ':' && i-2 >= start && strings.IndexByte(" ,;&", line[i-2]) >= 0 {
				i -= 2 // the drive of the next path
			}
			return i, false
		}
		i += size
	}
	return len(line), closed
}

// stopsPath reports whether the character c at line[i] cannot belong to the path that begins at from.
func (s *scan) stopsPath(line []byte, from, i int, c rune, windows, quoted bool) bool {
	rest := line[i+utf8.RuneLen(c):]
	next, _ := utf8.DecodeRune(rest)
	ends := len(rest) == 0 || strings.ContainsRune(" \"'`)]}", next) // a value ends here, or a clause
	isFile := func() bool { return hasFileEnding(line[from:i]) }
	switch c {
	case '"', '|', '<', '>', ':', '`', '\ufffd', '•', '‣', '▪', '●', '—', '→':
		return true
	case '*': // not where it is Markdown
		return next == '*' || ends && from > 0 && s.text[from-1] == '*' || isFile() && !isWord(next)
	case '?': // not at the end of a question
		return ends || isFile() && !isWord(next)
	case ',', ';':
		return !quoted && (ends || next == '/') || isFile()
	case '.', '!':
		return !quoted && ends
	case '–':
		return isFile()
	case '&':
		return next == '&' || !quoted && line[i-1] == ' ' && next == ' '
	case '\'':
		return !quoted && (ends || isFile())
	case '(':
		return !quoted && isFile() || !windows && next != ' ' && bytes.IndexByte(rest, ')') < 0
	case '\\':
		return windows && next == '\\' && line[i-1] == ' '
	case ' ':
		option := strings.ContainsRune("/%$\\~", next) || next == '-' && len(rest) > 1 && rest[1] != ' '
		switch {
		case quoted:
			return option && isFile()
		case !windows:
			const mac = "/Application Support/"
			before, after := min(len("/Application"), i), min(len(" Support/"), len(line)-i)
			return line[i-1] != '\\' && string(line[i-before:i+after]) != mac
		}
		return option || next == ' ' || next == '(' && bytes.IndexByte(rest[:min(len(rest), 32)], ')') < 0
	}
	return false
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
	return ok && len(name) > 0 && !isProse(string(name)) && !in(joining, string(name)) &&
		!s.isDomain(at+1, at+1+len(name))
}
