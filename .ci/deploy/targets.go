package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Places where a text names a function that shall run: the framework's and the buildpack's variable, gcloud's flags, and the
// service:function pairs of _FUNCTIONS.
var targets = []*regexp.Regexp{
	regexp.MustCompile(`FUNCTION_TARGET=["']?([A-Za-z][\w/.-]*)`),
	regexp.MustCompile(`--(?:function|entry-point)[= ]["']?([A-Za-z][\w/.-]*)`),
	regexp.MustCompile(`(?:^|[\s='"])relay[a-z-]*:([A-Za-z][\w/.-]*)`),
}

// CheckTargets says which functions a text names that are not registered.
func CheckTargets(name, text string, functions []string) []error {
	var problems []error
	for i, line := range strings.Split(text, "\n") {
		for _, re := range targets {
			// Matches may share the blank between them, so each search begins where the last name ended.
			for rest := line; ; {
				m := re.FindStringSubmatchIndex(rest)
				if m == nil {
					break
				}
				target := rest[m[2]:m[3]]
				if target != "latest" && !slices.Contains(functions, target) { // latest: of a secret or an image
					problems = append(problems, fmt.Errorf("%s:%d: the function %q is not registered", name, i+1, target))
				}
				rest = rest[m[3]:]
			}
		}
	}
	return problems
}
