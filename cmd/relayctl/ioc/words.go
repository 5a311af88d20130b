package ioc

import (
	_ "embed" // words.txt
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed words.txt
var wordLists string

// listed has the lists of words.txt by their names.
var listed = readLists()

func readLists() map[string]map[string]bool {
	lists := make(map[string]map[string]bool)
	for section := range strings.SplitSeq(wordLists, "\n== ") {
		name, words, _ := strings.Cut(section, "\n")
		words, _, _ = strings.Cut(words, "#") // what the next section is about
		lists[name] = make(map[string]bool)
		for word := range strings.FieldsSeq(words) {
			lists[name][word] = true
		}
	}
	return lists
}

var (
	// product matches names of software that look like domains or files.
	product = regexp.MustCompile(`^(?i:(?:asp|ado|vb|ml|paint)\.net|socket\.io|` +
		`(?:node|vue|next|nuxt|react|angular|three|express|chart|d3|backbone|ember)\.js)$|` +
		`^(?:System|Microsoft|Windows)\.[A-Z]`)

	// placeholder is what writers put where a name differs: <user>, {random}, [a-z0-9], %USERNAME%, ${HOME},
	// ..., xxxx, and wildcards.
	placeholder = regexp.MustCompile(`[*?<>…]|\{[A-Za-z][A-Za-z _-]*\}|\[[A-Za-z][A-Za-z _-]*\]|\[\^?\w-\w|` +
		`%[A-Za-z_][\w()]*%|\$[{(]|\$env:|/\$\w|\.\.\.|\bX{3,}\b|` +
		`[\\/]x{3,}(?:[\\/.]|$)|(?i:[\\/](?:username|redacted)[\\/])`)

	// commonFolder matches folders that every computer has: all that is below them would be found.
	commonFolder = regexp.MustCompile(`(?i)^(?:[a-z]:\\(?:windows(?:\\system32|\\syswow64|\\temp|\\tasks)?|` +
		`users(?:\\public)?|program files(?: \(x86\))?|program|programdata|temp)|` +
		`/(?:usr/(?:local/)?(?:s?bin|lib|share)|var/(?:log|tmp|www|www/html|lib|run)|etc|tmp|home|root|` +
		`dev(?:/shm|/null)?|s?bin|proc|Users|Library|Applications))$`)

	// otherValue matches words that are observables or settings of their own.
	otherValue = regexp.MustCompile(`^[0-9A-Fa-f]{32,}|[=@]|^[\[{]|://`)
)

// fixedFolders are the folders that variables of Windows stand for on nearly every computer.
var fixedFolders = map[string]string{
	"%systemdrive%": `C:`, "%systemroot%": `C:\Windows`, "%windir%": `C:\Windows`,
	"%public%": `C:\Users\Public`, "%programfiles%": `C:\Program Files`,
	"%programfiles(x86)%": `C:\Program Files (x86)`,
	"%programdata%":       `C:\ProgramData`, "%allusersprofile%": `C:\ProgramData`,
}

func isProse(word string) bool {
	return listed["prose"][strings.TrimRight(word, ".,;:!?)")] || otherValue.MatchString(word)
}

// unclear is proseIn's answer where words may be a name or prose.
const unclear = -2

// proseIn finds where prose begins behind a name that may hold spaces: "Upd was created", "stage and then".
// It is -1 where all is name, and unclear for "Terms and Conditions.exe", which may be one file or two.
func proseIn(name string) int {
	words := append(strings.Split(name, " "), "")
	at := len(words[0])
	for i, word := range words[1 : len(words)-1] {
		next := words[i+2]
		first, _ := utf8.DecodeRuneInString(next)
		isFile := hasFileEnding(next)
		switch {
		case isProse(word), strings.HasPrefix(word, "(") && !strings.Contains(word, ")"):
			return at
		case !listed["joining"][word]:
		case next == "" || isProse(next) || unicode.IsLower(first) && !isFile:
			return at
		case word != "-" && isFile:
			return unclear
		}
		at += 1 + len(word)
	}
	return -1
}

// ending is what stands behind the last dot, in lower case.
func ending(name string) string { return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:]) }

// fileEndings are all that files have, those included that domains have too.
func fileEndings() []string {
	return slices.Concat([]string{"com"}, slices.Collect(maps.Keys(listed["file endings"])),
		slices.Collect(maps.Keys(listed["shared endings"])))
}

var endsLikeFile = regexp.MustCompile(`(?i)\.(?:` + strings.Join(fileEndings(), "|") + `)$`)

// hasFileEnding reports whether a path or a name ends like a file, whatever stands before.
func hasFileEnding(s string) bool {
	return endsLikeFile.MatchString(s[max(0, len(s)-12):]) // none is longer
}

// isFileName reports whether s reads as the name of a file: something before a known ending, and nothing
// that a file name cannot hold. A shared ending makes a file of a name with one dot: install.sh, not
// get.evil.sh.
func isFileName(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	return dot > 0 && strings.Trim(s[:dot], ". ") != "" && !strings.ContainsAny(s, "\\/:*?\"<>|\ufffd\x00") &&
		(listed["file endings"][ending(s)] || listed["shared endings"][ending(s)] && strings.Count(s, ".") == 1)
}
