package ioc

import (
	"regexp"
	"strings"

	"qualysrelay.example/ctim"
)

var (
	separators = regexp.MustCompile(`[\\/]`)
	doubled    = regexp.MustCompile(`\\{2,}`)

	// What a path may be: words of all but what names cannot hold, and placeholders with spaces.
	pathWord    = "(?:<[^/<>][^<>\r\n]{0,61}>|[^\\s\"|<>:&,;`•‣▪●—→\ufffd])"
	windowsPath = regexp.MustCompile(`^` + pathWord + `*(?: ` + pathWord + `+){0,12} ?:?`)
	unixPath    = regexp.MustCompile(`^(?:/Application Support/|` + pathWord + `)*`)
	// remark is one in brackets, directly behind the name of a file.
	remark     = `\([^()\\/]*(?:\)?[.!?]*(?: |$))`
	unixRemark = regexp.MustCompile(fileEnding + `(` + remark + `)$`)
	// pathStop matches what ends a path: the ending of a file, in group 1, with what cannot go on with its
	// name; a word of prose, in group 2; an option or another path; the end of a sentence.
	pathStop = regexp.MustCompile(`(` + fileEnding + `)(?:[–')\]}:]|\*\*|` + remark + `|[.!?]*(?: |$))|` +
		` (` + prose + `)| (?:[/%$~\\]|-[^ ]|[A-Za-z]:)|(?:[.!?)\]}\\/]|'s) `)
	joins     = regexp.MustCompile(` (?:` + oneOf("joining") + `)(?: |$)`)
	joinsLast = regexp.MustCompile(` (?:` + oneOf("joining") + `)? ?$`)
	// deeper matches more of a path behind the prose.
	deeper     = regexp.MustCompile(`^[\\/]?[^\\/]*[^\\/ ][\\/]`)
	wordsBelow = regexp.MustCompile(`^(?: [\pL\pN(][^\s/\\"':,;]{0,63}){2,4}/`) // more of a folder's name
	firstTwo   = regexp.MustCompile(`^[^ ]* [^ ]*`)
	// goesOn matches what may be more of a path, though it cannot be read: a placeholder that is not closed,
	// an ampersand, a comma, a colon or a dash, or a word that ends like a path.
	goesOn = regexp.MustCompile(`^(?:'s|[.!?)\]}])*(?:<[^/]|\{| ?&(?:[^&]|$)|` +
		`[,;](?:[^\s/\\"'%A-Za-z]|[A-Za-z][^:]|\\[^\\])|` +
		`(?:[,;]?| [—→•]) [^\s/\\"':,]{1,255}(?:[\\/]|` + fileEnding + `\b)|:[^\s/\\"':,]{1,255}/)`)
	// moreThanPath matches what a path in quotation marks has only if it stands there with something else.
	moreThanPath = regexp.MustCompile(`["|<>:\r\n•‣▪●—→\x{fffd}]|&&|` + fileEnding + `[,;–]|` +
		` [/%$~\\]| -[^ ]`)
	untilSpace = regexp.MustCompile(`^\S*`)
	untilFile  = regexp.MustCompile(`^(?:[^"|<>:\r\n]{0,250}?` + fileEnding + `\b)?\S*`)
	// nextName matches it behind a separator: a name in quotation marks, or in the next line.
	nextName = regexp.MustCompile(`^[\\/](?:\r?\n[ \t]*[\pL\pN_.]|[^\s),.;\]}])[\pL\pN_.]`)

	// commonFolder matches folders that every computer has: all that is below them would be found.
	commonFolder = regexp.MustCompile(`(?i)^(?:[a-z]:\\(?:windows(?:\\system32|\\syswow64|\\temp|\\tasks)?|` +
		`users(?:\\public)?|program files(?: \(x86\))?|program|programdata|temp)|` +
		`/(?:usr/(?:local/)?(?:s?bin|lib|share)|var/(?:log|tmp|www|www/html|lib|run)|etc|tmp|home|root|` +
		`dev(?:/shm|/null)?|s?bin|proc|Users|Library|Applications))$`)
)

// path is how a kind of path is read. One with a reason is always skipped, so that its last name is not asked
// alone.
func path(reason string) func(*scan, []int) int {
	return func(s *scan, m []int) int {
		if len(m) > 4 && !placeholder.MatchString(s.text[m[4]:m[5]]) {
			s.host(m[4], m[5])
		}
		from := m[2]
		if reason == reasonRelative && from < s.noFile {
			return m[0]
		}
		end, certain := s.pathEnd(from, m[3])
		value := s.text[from:from+1] + doubled.ReplaceAllLiteralString(s.text[from+1:end], `\`)
		value = strings.TrimRight(value, `\/`)
		switch {
		case reason == reasonRelative && !hasFileEnding(value): // CORP\jdoe
			s.noFile = end
			return m[0]
		case reason != "":
			s.skip(m[0], end, reason)
		case placeholder.MatchString(value):
			s.skip(from, end, reasonPlaceholder)
		case !certain:
			s.skip(from, end, "it is not clear where this path ends; put it in quotation marks")
		case commonFolder.MatchString(value):
			s.skip(from, end, "a folder of every computer")
		case separators.MatchString(value[min(2, len(value)):]): // more than a root
			s.add(from, end, ctim.ObservableFilePath, value, "")
		}
		return end
	}
}

// pathEnd finds where the path ends whose root is [from, start), and whether that is certain. In quotation
// marks it is if nothing else stands there.
func (s *scan) pathEnd(from, start int) (end int, certain bool) {
	line := s.text[start:min(len(s.text), start+maxLength)]
	inside, closed := "", false
	if quote := s.text[max(0, from-1):from]; strings.ContainsAny(quote, "\"'`") {
		inside, _, closed = strings.Cut(line, quote)
		closed = closed && s.endsWord(start+len(inside)+1)
		if closed && !moreThanPath.MatchString(inside) {
			return start + len(strings.TrimRight(inside, " ")), true
		}
	}
	unix := s.text[start-1] == '/' && !strings.Contains(s.text[from:start], ":")
	length, certain := pathLength(line, unix)
	end = from + len(trimEnd(s.text[from:start+length]))
	isFile, more := hasFileEnding(s.text[from:end]), goesOn.FindString(s.text[end:])
	switch {
	case length == maxLength: // too long
	case more != "" && !isFile, nextName.MatchString(s.text[end-1:]):
		certain = false
	default:
		return end, certain && (isFile || !closed)
	}
	end += len(more)
	return end + len(untilFile.FindString(s.text[end:])), certain
}

// pathLength finds how much of a line is a path, and whether that is certain. Words behind the last separator
// belong to it up to the ending of a file or to prose, but one such as "and" may join two names.
func pathLength(line string, unix bool) (length int, certain bool) {
	if unix {
		path := unixPath.FindString(line)
		words := wordsBelow.FindString(line[len(path):])
		certain = words == "" || hasFileEnding(path) || aSentence.MatchString(words) || joins.MatchString(words)
		if m := unixRemark.FindStringSubmatchIndex(path); m != nil {
			path = path[:m[2]]
		}
		return len(path), certain
	}
	path := windowsPath.FindString(line)
	var isFile, isProse bool
	rest := ""
	if m := pathStop.FindStringSubmatchIndex(path); m != nil {
		isFile, isProse = m[2] >= 0, m[4] >= 0
		path, rest = path[:max(m[0], m[3])], path[max(m[0], m[3]):]
	}
	if !isFile {
		path = joinsLast.ReplaceAllString(path, "")
	}
	last := path[strings.LastIndexAny(path, `\/`)+1:]
	certain = !strings.Contains(last, " ") || (isFile || isProse) && !joins.MatchString(last)
	certain = certain && (isFile || !deeper.MatchString(rest))
	if !certain && !isFile { // say it with two words
		return len(path) - len(last) + len(firstTwo.FindString(last)), false
	}
	return len(path), certain
}
