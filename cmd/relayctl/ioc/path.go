package ioc

import (
	"regexp"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
)

var (
	// The roots of paths; group 1 is what belongs to the path, group 2 the host of a share.
	registryPattern = regexp.MustCompile(`(?i)(?:HKLM|HKCU|HKCR|HKU|HKCC|HKEY_[A-Z_]+):?\\`)
	drivePattern    = regexp.MustCompile(`(?i)(?:\\\\[?.]\\|\\\?\?\\|(?:file:)?/{1,3})?([a-z]:[\\/])`)
	devicePattern   = regexp.MustCompile(`\\\\[.?]\\`)
	sharePattern    = regexp.MustCompile(`(\\\\([^\s\\/"'|@\x00]+)(?:@[^\s\\/"'|\x00]+)?\\)`)
	fixedPattern    = regexp.MustCompile(`(?i)(%(?:systemdrive|systemroot|windir|public|programdata|` +
		`programfiles(?:\(x86\))?|allusersprofile)%\\)`)
	userPattern = regexp.MustCompile(
		`(?i:%[a-z_][a-z0-9_()]*%|\$env:[a-z_]+|~)\\|(?:~[a-z]*|\$HOME|\$\{HOME\})/`)
	unixPattern = regexp.MustCompile(`(?:file://)?(/(?:Applications|Library|System|Users|Volumes|bin|boot|` +
		`data|dev|etc|home|lib|lib64|media|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)/)`)
	relativePattern = regexp.MustCompile("[^\\s\"'`|<>=,;:\\\\/\\x00\ufffd]*\\\\")
	wholePath       = regexp.MustCompile(drivePattern.String() + "|" + sharePattern.String() + "|" +
		fixedPattern.String() + "|" + userPattern.String() + "|" + unixPattern.String())
	separators = regexp.MustCompile(`[\\/]`)
	doubled    = regexp.MustCompile(`\\{2,}`)
)

// The characters of paths: all but those that no name has. They hold placeholders with spaces and a single
// ampersand.
const (
	noPath        = "\"|<>:&`•‣▪●—→\ufffd\\r\\n\\t\\x00"
	pathCharacter = `<[^/<>][^<>\r\n\x00]{0,61}>|&[^` + noPath + `]|[^` + noPath
	// Behind the ending of a file, these end a path; so do another path and the end of a sentence.
	behindFile = `[,;–<]|[*?](?:[^\pL\pN_]|$)`
	openStops  = `[ '()\]}]|` + behindFile + `)|( )& |[ ,;&][A-Za-z]:|:|[,;]/|` +
		`[?,;.!'](?:[ "')\]}` + "`" + `]|$)`
)

var (
	windowsNames = regexp.MustCompile("^(?:" + pathCharacter + "])*:?")
	unixNames    = regexp.MustCompile(`^(?:\\ |/Application Support/|` + pathCharacter + " ])*:?")

	// Group 1 of the stops is the ending of a file.
	fileEnding  = `(\.(?i:` + strings.Join(fileEndings(), "|") + `))(?:`
	quotedStops = regexp.MustCompile(fileEnding + behindFile + `| [/%$~\\]| -[^ ])|:`)
	unixStops   = regexp.MustCompile(fileEnding + openStops)
	// On Windows, names with spaces go on up to an option, another path or a bracket that is not closed.
	windowsStops = regexp.MustCompile(fileEnding + openStops +
		`|  | [/%$~\\]| -[^ ]| \([^)]{31}| \([^)]*$`)

	// A path goes on where one of these stands behind it, and behind its last separator a name.
	openEnd  = regexp.MustCompile(`^(?:\x00|<[^/]|&[^&\s]|\{)`)
	openName = regexp.MustCompile(`^[^\s),.;\]}][\pL\pN_]`)
	nextLine = regexp.MustCompile(`^[\r\n]+[ \t]*([^\s/]\S*)`)
	nextWord = regexp.MustCompile(`^ ([^\s/"':\x00]{1,255})/`)
)

// skipPath is how a kind of path is read that is never searched.
func skipPath(reason string) func(*scan, []int) int {
	return func(s *scan, m []int) int {
		end, _ := s.pathEnd(m[0], m[1])
		s.skip(m[0], end, reason)
		return end
	}
}

// relativePath claims what is no whole path, so that its last name is not asked alone; .\x.exe is no more
// than that.
func (s *scan) relativePath(m []int) int {
	if !strings.Contains(s.text[m[1]:min(len(s.text), m[1]+260)], ".") { // names end sooner
		return 0
	}
	end, _ := s.pathEnd(m[0], m[1])
	switch {
	case !hasFileEnding(s.text[m[0]:end]): // CORP\jdoe
		return 0
	case s.text[m[0]:m[1]] == `.\` && !strings.ContainsAny(s.text[m[1]:end], `\ `):
		s.single(m[1], end)
	default:
		s.skip(m[0], end, reasonRelative)
	}
	return end
}

// path adds a path or skips it. A variable at its root is read as the folder that it stands for.
func (s *scan) path(m []int) int {
	from, start := m[2], m[3]
	if len(m) > 4 && !placeholder.MatchString(s.text[m[4]:m[5]]) {
		s.host(m[4], m[5])
	}
	end, reason := s.pathEnd(from, start)
	value, note := s.text[from:end], ""
	if folder := fixedFolders[strings.ToLower(s.text[from:start-1])]; folder != "" {
		value, note = folder+s.text[start-1:end], s.text[from:start-1]+" is read as "+folder
	}
	if value[0] == '/' {
		value = strings.ReplaceAll(value, `\ `, " ")
	} else {
		value = value[:2] + doubled.ReplaceAllLiteralString(value[2:], `\`)
	}
	value = strings.TrimRight(value, `\/`)
	wildcard := end < len(s.text) && s.text[end] == '*' && !hasFileEnding(s.text[from:end])
	switch {
	case wildcard:
		end++
		s.skip(from, end, reasonPlaceholder)
	case placeholder.MatchString(value):
		s.skip(from, end, reasonPlaceholder)
	case reason != "":
		s.skip(from, end, reason)
	case s.goesOn(end):
		end = s.until(end, "")
		s.skip(from, end, reasonUnclear)
	case commonFolder.MatchString(value):
		s.skip(from, end, reasonCommon)
	case strings.ContainsAny(value[min(2, len(value)):], `\/`): // more than a root
		s.add(from, end, ctim.ObservableFilePath, value, note)
	}
	return end
}

// pathEnd finds where the path ends whose root is [from, start), and why it cannot be asked, if it cannot.
func (s *scan) pathEnd(from, start int) (end int, reason string) {
	windows := s.text[start-1] == '\\' || s.text[start-2] == ':'
	limit, closed := s.pathLimit(from, start, windows)
	names := s.text[start:limit]
	switch {
	case limit-from >= maxLength:
		return s.until(limit, ""), reasonTooLong
	case closed:
		return start + len(strings.TrimRight(names, " ")), ""
	}
	last := names[strings.LastIndexAny(names, `\/`)+1:]
	for _, folder := range separators.Split(strings.TrimSuffix(names, last), -1) {
		if proseIn(folder) != -1 && !strings.Contains(folder, "<") {
			return limit, reasonUnclear
		}
	}
	length, prose := len(last), proseIn(last)
	first, rest, more := strings.Cut(last, " ")
	switch {
	case prose >= 0:
		length = prose
	case hasFileEnding(trimEnd(last)):
		if prose == unclear {
			reason = reasonUnclear
		}
	case strings.HasSuffix(first, "'s"):
		length = len(first)
	case more: // say it with the next word
		next, _, _ := strings.Cut(rest, " ")
		length, reason = len(first)+1+len(next), reasonUnclear
	case !windows && s.goesOnAfterSpace(limit):
		return s.until(limit+1, ""), reasonUnclear
	}
	return s.trimmed(from, limit-len(last)+length), reason
}

// pathLimit finds how far a path could reach at most. One in quotation marks on a line is closed: it is
// whole.
func (s *scan) pathLimit(from, start int, windows bool) (limit int, closed bool) {
	line := s.text[start:min(len(s.text), max(start, from+maxLength))]
	names, stops := unixNames, unixStops
	if windows {
		names, stops = windowsNames, windowsStops
	}
	if from > 0 && strings.IndexByte("\"'`", s.text[from-1]) >= 0 {
		quoted, _, ok := strings.Cut(line, s.text[from-1:from])
		if closed = ok && s.endsWord(start+len(quoted)+1) && !strings.ContainsAny(quoted, "\r\n"); closed {
			line, names, stops = quoted, windowsNames, quotedStops
		}
	}
	length := len(names.FindString(line))
	closed = closed && length == len(line)
	if m := stops.FindStringSubmatchIndex(line[:length]); m != nil {
		length, closed = max(m[0], slices.Max(m[2:])), false
	}
	return start + length, closed
}

// goesOn reports whether a path goes on behind end in a way that cannot be read: with text that is claimed
// already, a placeholder that is not closed, a name in quotation marks, or in the next line.
func (s *scan) goesOn(end int) bool {
	rest, separator := s.text[end:min(len(s.text), end+maxLength)], s.text[end-1:end]
	if !separators.MatchString(separator) {
		return openEnd.MatchString(rest)
	}
	if next := nextLine.FindStringSubmatch(rest); next != nil {
		root := drivePattern.FindStringIndex(next[1])
		return (root == nil || root[0] > 0) &&
			(strings.Contains(next[1], separator) || hasFileEnding(trimEnd(next[1])))
	}
	return openEnd.MatchString(rest) || openName.MatchString(rest)
}

// goesOnAfterSpace reports whether the word behind a space may be more of a Unix path.
func (s *scan) goesOnAfterSpace(at int) bool {
	m := nextWord.FindStringSubmatch(s.text[at:min(len(s.text), at+maxLength)])
	return m != nil && !isProse(m[1]) && !listed["joining"][m[1]] && !s.isDomain(at+1, at+1+len(m[1]))
}
