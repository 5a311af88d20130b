// Package errorhelp says what each error of the relay, and each thing that "relayctl check" sees, means and
// how it is fixed. The words are in help.txt, and nowhere else.
package errorhelp

import (
	_ "embed" // help.txt
	"slices"
	"strings"
	"sync"
)

//go:embed help.txt
var source string

// Help is what somebody who met an error is told.
type Help struct {
	Means string   `json:"means"`
	Fix   []string `json:"fix"` // one thing to do each; a command begins with "$ "
}

// Entry is an error or a cause with its help.
type Entry struct {
	Code    string // the relay's code, such as "authorization error", or the name of a cause
	Type    string // fatal, error or warning, as the relay sends it with this code; empty for a cause
	Message string // how the relay's message begins or reads
	Help

	Match []string // any of them in the message selects the entry; none: every message
}

// Entries are those of help.txt, in their order.
var Entries = sync.OnceValue(func() []Entry {
	var list []Entry
	var last *string // that an indented line continues
	for line := range strings.Lines(source) {
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		if head, ok := strings.CutPrefix(text, "== "); ok {
			fields := append(strings.Split(head, " | "), "", "")
			list = append(list, Entry{Code: fields[0], Type: fields[1], Message: fields[2]})
			continue
		}
		if line[0] == ' ' {
			*last += " " + text
			continue
		}
		e := &list[len(list)-1]
		switch key, value, _ := strings.Cut(text, ": "); key {
		case "match":
			e.Match = append(e.Match, value)
		case "means":
			e.Means, last = value, &e.Means
		case "fix":
			e.Fix = append(e.Fix, value)
			last = &e.Fix[len(e.Fix)-1]
		default:
			panic("help.txt: " + line)
		}
	}
	return list
})

// For explains an error of the relay by its code and message. For a relay on this machine, what can be done
// with one on Cloud Run only is left out.
func For(code, message string, local bool) Help {
	help := Cause("unknown error")
	said := func(part string) bool { return strings.Contains(message, part) }
	i := slices.IndexFunc(Entries(), func(e Entry) bool {
		return e.Code == code && e.Type != "" && (len(e.Match) == 0 || slices.ContainsFunc(e.Match, said))
	})
	if i >= 0 {
		help = Entries()[i].Help
	}
	if local {
		help.Fix = withoutCloud(help.Fix)
	}
	help.Fix = slices.Clone(help.Fix)
	return help
}

// withoutCloud leaves out the commands that are for a relay on Cloud Run, and what led to them.
func withoutCloud(fix []string) []string {
	var here []string
	for i, step := range fix {
		if i+1 < len(fix) && strings.HasPrefix(fix[i+1], "$ gcloud ") {
			if i > 0 {
				continue
			}
			step = strings.TrimSuffix(step, ":") + "."
		}
		if !strings.HasPrefix(step, "$ gcloud ") {
			here = append(here, step)
		}
	}
	return here
}

// Cause explains what "relayctl check" sees. A name that help.txt does not have is a mistake in the program.
func Cause(name string) Help {
	i := slices.IndexFunc(Entries(), func(e Entry) bool { return e.Code == name && e.Type == "" })
	if i < 0 {
		panic("errorhelp: no cause " + name)
	}
	help := Entries()[i].Help
	help.Fix = slices.Clone(help.Fix) // callers append to it
	return help
}
