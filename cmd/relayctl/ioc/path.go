package ioc

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"qualysrelay.example/ctim"
)

var (
	windowsPattern = regexp.MustCompile(`(?i)(?:\\\\[?.]\\|\\\?\?\\)?[a-z]:[\\/]|%[a-z_][a-z0-9_()]*%[\\/]|\$env:[a-z_]+\\|~\\|\\\\[^\s\\/"'|\x00]+\\`)
	unixPattern    = regexp.MustCompile(`(?:~[a-z]*|\$HOME|\$\{HOME\})/|/(?:Applications|Library|System|Users|Volumes|bin|boot|data|dev|etc|home|lib|lib64|` +
		`media|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)/`)
	doubled         = regexp.MustCompile(`\\{2,}`)
	shellPattern    = regexp.MustCompile(`/dev/(?:tcp|udp)/([^\s/"'<>|;&\x00]+)(?:/\d+)?`)
	relativePattern = regexp.MustCompile("[^\\s\"'`|<>=,;:\\\\/\\x00\ufffd]*\\\\")
	registryPattern = regexp.MustCompile(`(?i)(?:HKLM|HKCU|HKCR|HKU|HKCC|HKEY_[A-Z_]+):?\\`)

	// placeholder is what writers put where a name differs: <user>, {random}, [a-z0-9], %USERNAME%, ${HOME}, ..., xxxx, and wildcards.
	placeholder = regexp.MustCompile(`[*?<>…]|\{[A-Za-z][A-Za-z _-]*\}|\[[A-Za-z][A-Za-z _-]*\]|\[\^?\w-\w|%[A-Za-z_][\w()]*%|\$\{|\$\(|\$env:|/\$\w|` +
		`\.\.\.|\bXXX+\b|[\\/]x{3,}(?:[\\/.]|$)|(?i:[\\/](?:username|redacted)[\\/])`)
)

// fixedFolder is the folder that a variable of Windows stands for on nearly every computer.
func fixedFolder(variable string) string {
	switch strings.ToLower(variable) {
	case "%systemroot%", "%windir%":
		return `C:\Windows`
	case "%systemdrive%":
		return `C:`
	case "%programfiles%", "%programw6432%":
		return `C:\Program Files`
	case "%programfiles(x86)%":
		return `C:\Program Files (x86)`
	case "%programdata%", "%allusersprofile%":
		return `C:\ProgramData`
	case "%public%":
		return `C:\Users\Public`
	}
	return ""
}

// commonFolder matches folders that are on every computer: everything below them would be found.
var commonFolder = regexp.MustCompile(`(?i)^(?:[a-z]:[\\/](?:windows(?:\\system32|\\syswow64|\\temp|\\tasks)?|users(?:\\public)?|program files(?: \(x86\))?|program|programdata|temp)?|` +
	`/(?:usr/(?:local/)?(?:s?bin|lib|share)|var/(?:log|tmp|www|www/html|lib|run)|etc|tmp|home|root|dev/(?:shm|null)|dev|bin|sbin|Users|Library|Applications|System|proc))$`)

func (s *scan) windowsPath(m []int) int {
	from, start := m[0], m[1]
	root := string(s.text[from:start])
	if strings.HasPrefix(root, `\\?\`) || strings.HasPrefix(root, `\\.\`) || strings.HasPrefix(root, `\??\`) {
		if root == `\\.\` { // no drive follows
			return s.skipPath(from, start, reasonDevice)
		}
		from, root = from+4, root[4:]
	}
	if root == `\\?\` || root == "" {
		return s.skipPath(m[0], start, reasonRelative)
	}
	prefix, note := "", ""
	switch {
	case root[0] == '%':
		variable := root[:len(root)-1]
		if prefix = fixedFolder(variable); prefix == "" {
			return s.skipPath(from, start, reasonVariable)
		}
		note = variable + " is read as " + prefix
	case root[0] == '$' || root[0] == '~':
		return s.skipPath(from, start, reasonVariable)
	case strings.HasPrefix(root, `\\`):
		if host, _, _ := strings.Cut(root[2:len(root)-1], "@"); !placeholder.MatchString(host) { // host@port: WebDAV
			s.host(from+2, host)
		}
	}
	end, claim, reason := s.pathEnd(from, start, true)
	value := prefix + string(s.text[start-1:max(end, start-1)])
	if prefix == "" {
		value = string(s.text[from:max(end, from)])
	}
	value = value[:2] + doubled.ReplaceAllLiteralString(value[2:], `\`)
	if note == "" && placeholder.MatchString(root) {
		reason = reasonPlaceholder
	}
	return s.takePath(from, start, end, claim, strings.TrimRight(value, `\/`), note, reason)
}

// relativePath claims what is no whole path, so that its last name is not asked alone; .\x.exe is no more than a name.
func (s *scan) relativePath(m []int) int {
	end, claim, _ := s.pathEnd(m[0], m[1], true)
	switch name := s.text[m[1]:max(end, m[1])]; {
	case !hasFileEnding(s.text[m[0]:end]):
	case string(s.text[m[0]:m[1]]) == `.\` && bytes.IndexByte(name, '\\') < 0 && bytes.IndexByte(name, ' ') < 0:
		s.single(m[1], end)
	default:
		s.skip(m[0], claim, reasonRelative)
	}
	return claim
}

func (s *scan) unixPath(m []int) int {
	if s.text[m[0]] != '/' {
		return s.skipPath(m[0], m[1], reasonVariable)
	}
	end, claim, reason := s.pathEnd(m[0], m[1], false)
	value := strings.ReplaceAll(string(s.text[m[0]:max(end, m[0])]), `\ `, " ")
	return s.takePath(m[0], m[1], end, claim, strings.TrimRight(value, "/"), "", reason)
}

// takePath adds the path at [from, end), or skips it, and returns the end of what is claimed.
func (s *scan) takePath(from, start, end, claim int, value, note, reason string) int {
	if end < len(s.text) && s.text[end] == '*' && !hasFileEnding(s.text[from:end]) && (from == 0 || s.text[from-1] != '*') {
		claim = end + 1 // a wildcard, not the end of Markdown's *path*
	}
	switch {
	case placeholder.Match(s.text[start-1 : max(claim, start)]):
		s.skip(from, claim, reasonPlaceholder)
	case reason == "" && s.goesOn(end):
		claim = s.until(end, "")
		s.skip(from, claim, reasonUnclear)
	case reason != "":
		s.skip(from, claim, reason)
	case commonFolder.MatchString(value):
		if len(value) > len(`C:\`) {
			s.skip(from, end, reasonCommon)
		}
	case strings.Count(value, `\`)+strings.Count(value, "/") == 0 || strings.HasPrefix(value, `\\`) && strings.Count(value, `\`) == 2: // a root alone
	default:
		s.add(from, end, ctim.ObservableFilePath, value, note)
	}
	return claim
}

// skipPath skips the path that begins at from and whose first name begins at start.
func (s *scan) skipPath(from, start int, reason string) int {
	_, claim, _ := s.pathEnd(from, start, s.text[start-1] == '\\')
	s.skip(from, claim, reason)
	return claim
}

func (s *scan) registryKey(m []int) int { return s.skipPath(m[0], m[1], reasonRegistry) }

// shellConnection finds the peer in /dev/tcp/HOST/PORT, which is no file.
func (s *scan) shellConnection(m []int) int {
	s.host(m[2], string(s.text[m[2]:m[3]]))
	return m[1]
}

// pathEnd finds where the path that begins at from ends, and the end of what must not be looked at again. Its names begin at start, after the
// root. The reason, if any, is why the path cannot be asked.
func (s *scan) pathEnd(from, start int, windows bool) (end, claim int, reason string) {
	limit, closed := s.pathRegion(from, start, windows)
	if limit-from >= maxLength {
		return from, s.until(limit, ""), reasonTooLong
	}
	region := s.text[start:limit]
	if closed {
		end = start + len(bytes.TrimRight(region, " "))
		return end, limit, ""
	}
	name := 0 // where the name that is looked at begins
	for i := range len(region) + 1 {
		switch {
		case i < len(region) && (region[i] == '\\' || region[i] == '/' && windows):
			if windows && proseIn(region[name:i]) != -1 && bytes.IndexByte(region[name:i], '<') < 0 {
				return limit, limit, reasonUnclear
			}
			name = i + 1
		case (i == len(region) || region[i] == ' ') && i > name && hasFileEnding(trimEnd(region[name:i])):
			end = s.trimmed(from, start+i)
			switch prose := proseIn(region[name:i]); {
			case prose >= 0:
				end = s.trimmed(from, start+name+prose)
				return end, end, ""
			case prose == unclear:
				return end, end, reasonUnclear
			}
			return end, end, ""
		}
	}
	// The last name has no ending: it is a folder, or a file without one.
	last := region[name:]
	first := len(last)
	if i := bytes.IndexByte(last, ' '); i >= 0 {
		first = i
	}
	prose := proseIn(last)
	switch {
	case prose >= 0:
		first = prose
	case bytes.HasSuffix(last[:first], []byte("'s")):
	case first < len(last):
		if reason = reasonUnclear; bytes.IndexByte(last[first+1:], ' ') >= 0 { // say it with the next word
			first += 1 + bytes.IndexByte(last[first+1:], ' ')
		} else {
			first = len(last)
		}
	case !windows && s.goesOnAfterSpace(limit):
		limit = s.until(limit+1, "")
		return limit, limit, reasonUnclear
	}
	end = s.trimmed(from, start+name+first)
	return end, end, reason
}

// pathRegion finds how far a path could reach at most. A path right behind a quotation mark that is closed on the same line is closed.
func (s *scan) pathRegion(from, start int, windows bool) (limit int, closed bool) {
	line := s.text[:min(len(s.text), from+maxLength)]
	if end := bytes.IndexAny(line[start:], "\r\n\t\x00"); end >= 0 {
		line = line[:start+end]
	}
	if from > 0 && strings.IndexByte("\"'`", s.text[from-1]) >= 0 {
		if n := bytes.IndexByte(line[start:], s.text[from-1]); n >= 0 && (start+n+1 == len(line) || !isWord(rune(line[start+n+1]))) {
			line, closed = line[:start+n], true
		}
	}
	for i := start; i < len(line); {
		c, size := utf8.DecodeRune(line[i:])
		if line[i] == '<' {
			if n := bytes.IndexByte(line[i:min(len(line), i+64)], '>'); n > 1 && line[i+1] != '/' && !hasFileEnding(line[start:i]) {
				i += n + 1 // a placeholder
				continue
			}
		}
		if s.stopsPath(line, from, i, c, windows, closed) {
			closed = false
			line = line[:i]
			if c == ':' && i-2 >= start && strings.IndexByte(" ,;&", line[i-2]) >= 0 { // the drive of the next path
				line = line[:i-2]
			}
			break
		}
		i += size
	}
	return len(line), closed
}

// stopsPath reports whether the character c at line[i] cannot belong to a path.
func (s *scan) stopsPath(line []byte, from, i int, c rune, windows, quoted bool) bool {
	rest := line[i+utf8.RuneLen(c):]
	next, _ := utf8.DecodeRune(rest)
	ends := len(rest) == 0 || next == ' ' || strings.ContainsRune("\"'`)]}", next)
	ending := hasFileEnding(line[from:i])
	switch c {
	case '"', '|', '>', ':', '`', '\ufffd', '•', '‣', '▪', '●', '—', '→':
		return true
	case '<':
		return true
	case '*', '?': // not where it is Markdown, or the end of a question
		return next == '*' || c == '?' && ends || ending && !isWord(next) || c == '*' && ends && from > 0 && s.text[from-1] == '*'
	case ',', ';':
		return !quoted && ends || ending
	case '.', '!':
		return !quoted && ends
	case '–':
		return ending
	case '&':
		return next == '&' || !quoted && line[i-1] == ' ' && next == ' '
	case '\'':
		return !quoted && (ending || ends)
	case '(':
		return ending && !quoted || !windows && next != ' ' && bytes.IndexByte(rest, ')') < 0
	case '\\':
		return windows && next == '\\' && line[i-1] == ' '
	case ' ':
		if !windows && !quoted {
			return !(line[i-1] == '\\' || bytes.HasSuffix(line[:i], []byte("/Application")) && bytes.HasPrefix(rest, []byte("Support")))
		}
		option := strings.ContainsRune("/%$\\~", next) || next == '-' && len(rest) > 1 && rest[1] != ' '
		if quoted {
			return ending && option
		}
		return option || next == ' ' || next == '(' && bytes.IndexByte(rest[:min(len(rest), 32)], ')') < 0
	}
	return false
}

// goesOn reports whether a path goes on behind end in a way that cannot be read: with a placeholder that is not closed, a quoted name, or on the next
// line.
func (s *scan) goesOn(end int) bool {
	rest := s.text[end:min(len(s.text), end+maxLength)]
	if len(rest) > 1 && (rest[0] == 0 || rest[0] == '<' && rest[1] != '/') {
		return true
	}
	if end == 0 || strings.IndexByte(`\/`, s.text[end-1]) < 0 || len(rest) < 2 {
		return false
	}
	if strings.IndexByte("\r\n", rest[0]) >= 0 {
		words := bytes.Fields(bytes.TrimLeft(rest, "\r\n"))
		if len(words) == 0 {
			return false
		}
		at := windowsPattern.FindIndex(words[0])
		return (at == nil || at[0] > 0) && words[0][0] != '/' && (bytes.IndexByte(words[0], s.text[end-1]) >= 0 || hasFileEnding(trimEnd(words[0])))
	}
	next, _ := utf8.DecodeRune(rest[1:])
	return strings.IndexByte(" \t),.;]}", rest[0]) < 0 && isWord(next)
}

// goesOnAfterSpace reports whether the word behind a space could be more of a Unix path: it holds a slash and is no path of its own.
func (s *scan) goesOnAfterSpace(at int) bool {
	if at >= len(s.text) || s.text[at] != ' ' {
		return false
	}
	word := s.text[at+1 : min(s.until(at+1, "\"'"), at+1+maxLength)]
	slash := bytes.IndexByte(word, '/')
	first := string(word[:max(slash, 0)])
	return slash > 0 && !isProse(first) && !joins(first) && !bytes.Contains(word, []byte("://")) && !s.isDomain(at+1, at+1+slash)
}

// unclear is proseIn's answer where words may be a name or prose.
const unclear = -2

// proseIn finds where prose begins behind a name that may hold spaces: "Upd was created", "stage and then". It is -1 where all is name, and unclear
// for "Terms and Conditions.exe", which may be one file or two.
func proseIn(name []byte) int {
	words := strings.Split(string(name), " ")
	at := len(words[0])
	for i, word := range words[1:] {
		next := ""
		if i+2 < len(words) {
			next = words[i+2]
		}
		first, _ := utf8.DecodeRuneInString(next)
		switch {
		case isProse(word), strings.HasPrefix(word, "(") && !strings.Contains(word, ")"):
			return at
		case !joins(word):
		case next == "" || isProse(next) || unicode.IsLower(first) && !hasFileEnding([]byte(next)):
			return at
		case word != "-" && hasFileEnding([]byte(next)):
			return unclear
		}
		at += 1 + len(word)
	}
	return -1
}

// otherValue matches words that are observables or settings of their own.
var otherValue = regexp.MustCompile(`^[0-9A-Fa-f]{32,}|[=@]|^[\[{]|://`)

// isProse reports whether a word behind a path shows that the path has ended. They are words that reports use and names hardly hold.
func isProse(word string) bool {
	switch strings.TrimRight(word, ".,;:!?)") {
	case "MD5", "SHA1", "SHA256", "SHA-1", "SHA-256", "was", "were", "is", "are", "be", "been", "has", "have", "had", "the", "a", "an", "this", "that", "these", "which", "who", "it", "its", "they",
		"then", "when", "where", "while", "after", "before", "during", "via", "using", "into", "onto", "through", "between", "under", "within", "without",
		"because", "but", "not", "also", "so", "if", "as", "than", "per", "file", "files", "folder", "directory", "path", "binary", "process", "exists", "existed",
		"contains", "contained", "containing", "holds", "drops", "dropped", "dropping", "executes", "executed", "runs", "ran", "running", "launches", "launched",
		"loads", "loaded", "creates", "created", "writes", "wrote", "written", "deletes", "deleted", "starts", "started", "connects", "connected", "connecting", "contacted", "contacts",
		"downloads", "downloaded", "copies", "copied", "moved", "renamed", "found", "seen", "observed", "detected", "called", "calls", "appeared", "appears", "sha256", "sha1", "md5",
		"hash", "size", "signed", "unsigned", "executable", "came", "made", "spawned", "spawns", "opened", "opens", "beside", "alongside", "there", "we":
		return true
	}
	return otherValue.MatchString(word)
}

// joins reports whether a word joins the words of a name as well as the parts of a sentence.
func joins(word string) bool {
	switch word {
	case "and", "or", "to", "of", "for", "with", "in", "on", "from", "by", "at", "-", "–", "&", "+", "=":
		return true
	}
	return false
}
