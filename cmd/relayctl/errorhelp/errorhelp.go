// Package errorhelp says what each error of the relay, and each thing that "relayctl check" sees, means and
// how it is fixed. The words are in help.txt, and nowhere else.
package errorhelp

import (
	_ "embed" // help.txt
	"fmt"
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

	match []string // any of them in the message selects the entry; none: every message
}

// entries are those of help.txt, in their order.
var entries = sync.OnceValue(func() []Entry {
	var list []Entry
	var last *string // that an indented line continues
	for line := range strings.Lines(source) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
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
			e.match = append(e.match, value)
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
	for _, e := range entries() {
		if e.Code == code && e.Type != "" && (len(e.match) == 0 || e.matches(message)) {
			help = e.copy()
			break
		}
	}
	if local {
		help.Fix = withoutCloud(help.Fix)
	}
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

// copy lets a caller append to the steps.
func (e Entry) copy() Help { return Help{Means: e.Means, Fix: slices.Clone(e.Fix)} }

func (e Entry) matches(message string) bool {
	return slices.ContainsFunc(e.match, func(part string) bool { return strings.Contains(message, part) })
}

// Cause explains what "relayctl check" sees. A name that help.txt does not have is a mistake in the program.
func Cause(name string) Help {
	i := slices.IndexFunc(entries(), func(e Entry) bool { return e.Code == name && e.Type == "" })
	if i < 0 {
		panic("errorhelp: no cause " + name)
	}
	return entries()[i].copy()
}

// tokenError tells the errors that lie in the token from those that Qualys answers with.
func tokenError(e Entry) bool { return e.Code == "authorization error" && len(e.match) > 0 }

// Table is the Markdown table of the relay's errors, for the documents; those that lie in the token are in
// TokenTable.
func Table() string {
	var b strings.Builder
	b.WriteString("| code | type | message | meaning | what to do |\n|---|---|---|---|---|\n")
	for _, e := range entries() {
		if e.Type != "" && !tokenError(e) {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", e.Code, e.Type, e.Message, e.Means,
				markdown(e.Fix))
		}
	}
	return b.String()
}

// TokenTable is the Markdown table of the errors that lie in a token, whose messages begin with
// "Authorization failed: ".
func TokenTable() string {
	var b strings.Builder
	b.WriteString("| message | cause | what to do |\n|---|---|---|\n")
	for _, e := range entries() {
		if tokenError(e) {
			_, cause, _ := strings.Cut(e.Means, ": ")
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Message, cause, markdown(e.Fix))
		}
	}
	return b.String()
}

// markdown puts the steps of a fix on one line.
func markdown(fix []string) string {
	var parts []string
	for _, step := range fix {
		if command, ok := strings.CutPrefix(step, "$ "); ok {
			step = "`" + command + "`"
		}
		parts = append(parts, step)
	}
	return strings.Join(parts, " ")
}
