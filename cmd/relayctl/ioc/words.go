package ioc

import (
	_ "embed" // words.txt
	"maps"
	"regexp"
	"slices"
	"strings"
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

// oneOf is the alternatives of a regular expression that match the words of a list.
func oneOf(list string) string {
	words := strings.Join(slices.Sorted(maps.Keys(listed[list])), "|")
	return strings.ReplaceAll(words, "+", `\+`)
}

var (
	// fileEnding matches all that files have, those included that domains have too.
	fileEnding   = `\.(?i:com|` + oneOf("file endings") + "|" + oneOf("shared endings") + `)`
	endsLikeFile = regexp.MustCompile(fileEnding + `$`)

	// placeholder is what writers put where a name differs: <user>, {random}, [a-z0-9], %USERNAME%, ${HOME},
	// ..., xxxx, and wildcards.
	placeholder = regexp.MustCompile(`[*?<>]|\{[A-Za-z][A-Za-z _-]*\}|\[[A-Za-z][A-Za-z _-]*\]|\[\^?\w-\w|` +
		`%[A-Za-z_][\w()]*%|\$[{(]|\$env:|/\$\w|\.\.\.|\bX{3,}\b|` +
		`[\\/]x{3,}(?:[\\/.]|$)|(?i:[\\/](?:username|redacted)[\\/])`)

	// prose matches a word that hardly belongs to a name: it is of a sentence, a value of its own, or a
	// bracket that is not closed.
	prose = `(?:` + oneOf("prose") + `)(?:[ .:!?)\\/]|$)|[0-9A-Fa-f]{32}|[\[{]|[^ \\/]*[=@]|\([^) ]*(?: |$)`
)

// ending is what stands behind the last dot, in lower case and without a wildcard.
func ending(name string) string {
	return strings.ToLower(strings.TrimRight(name[strings.LastIndexByte(name, '.')+1:], "*"))
}

// hasFileEnding reports whether a path or a name ends like a file, whatever stands before.
func hasFileEnding(s string) bool {
	return endsLikeFile.MatchString(s[max(0, len(s)-12):]) // none is longer
}
