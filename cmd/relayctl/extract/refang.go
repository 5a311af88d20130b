package extract

import "regexp"

// Reports disarm addresses so that nobody clicks on them; these are the ways in which it is done.
var (
	fangedScheme = regexp.MustCompile(`(?i)\bhxxp(s?)\b`)
	fangedSlash  = regexp.MustCompile(`\[://\]|\[:\]//`)
	fangedDot    = regexp.MustCompile(`(?i)[ \t]?(?:\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\{dot\})[ \t]?`)
	fangedOpen   = regexp.MustCompile(`\[\.([\pL\pN])`) // evil[.example
	fangedColon  = regexp.MustCompile(`\[:\]`)
	fangedAt     = regexp.MustCompile(`(?i)[ \t]?(?:\[at\]|\(at\)|\{at\}|\[@\])[ \t]?`)
)

// Refang undoes what reports do to addresses: hxxps://evil[.]example becomes https://evil.example.
func Refang(s string) string {
	s = fangedScheme.ReplaceAllString(s, "http$1")
	s = fangedSlash.ReplaceAllLiteralString(s, "://")
	s = fangedDot.ReplaceAllLiteralString(s, ".")
	s = fangedOpen.ReplaceAllString(s, ".$1")
	s = fangedColon.ReplaceAllLiteralString(s, ":")
	return fangedAt.ReplaceAllLiteralString(s, "@")
}
