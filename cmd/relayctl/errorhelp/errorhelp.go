// Package errorhelp says what each error of the relay, and each thing that "relayctl check" sees, means and
// how it is fixed. The words are in help.txt, and nowhere else.
package errorhelp

import (
	"bufio"
	_ "embed" // help.txt
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

//go:embed help.txt
var source string

// Help is what somebody who met an error is told.
type Help struct {
	Means string   `json:"means,omitempty"`
	Fix   []string `json:"fix,omitempty"` // one thing to do each; a command begins with "$ "
}

// Entry is an error or a cause with its help.
type Entry struct {
	Code    string // the relay's code, such as "authorization error", or the name of a cause
	Type    string // fatal, error or warning, as the relay sends it with this code; empty for a cause
	Message string // how the relay's message begins or reads
	Help

	Match []string // any of them in the message selects the entry; none: every message
	cloud []string // the end of Fix, which is for a relay on Cloud Run only
}

// Entries are those of help.txt, in their order. The caller may change them.
func Entries() []Entry {
	var list []Entry
	for block := range strings.SplitSeq(strings.TrimSpace(source), "\n\n") {
		head, body, _ := strings.Cut(block, "\n")
		head, isEntry := strings.CutPrefix(head, "== ")
		if !isEntry { // a comment
			continue
		}
		// The lines have the form of a mail's header, continued lines too.
		fields, err := textproto.NewReader(bufio.NewReader(strings.NewReader(body + "\n\n"))).ReadMIMEHeader()
		if err != nil {
			panic(fmt.Sprintf("help.txt: %s: %v", head, err))
		}
		heads := append(strings.Split(head, " | "), "", "")
		list = append(list, Entry{Code: heads[0], Type: heads[1], Message: heads[2], Match: fields["Match"],
			Help:  Help{Means: fields.Get("means"), Fix: append(fields["Fix"], fields["Cloud"]...)},
			cloud: fields["Cloud"]})
	}
	return list
}

// For explains an error of the relay by its code and message. For a relay on this machine, what can be done
// with one on Cloud Run only is left out.
func For(code, message string, local bool) Help {
	said := func(part string) bool { return strings.Contains(message, part) }
	found := first(func(e Entry) bool {
		if e.Type == "" {
			return e.Code == "unknown error" // it comes after all errors of the relay
		}
		return e.Code == code && (len(e.Match) == 0 || slices.ContainsFunc(e.Match, said))
	})
	if local {
		found.Fix = found.Fix[:len(found.Fix)-len(found.cloud)]
	}
	return found.Help
}

// Cause explains what "relayctl check" sees. A name that help.txt does not have is a mistake in the program,
// and panics.
func Cause(name string) Help {
	return first(func(e Entry) bool { return e.Code == name && e.Type == "" }).Help
}

func first(wanted func(Entry) bool) Entry {
	entries := Entries()
	return entries[slices.IndexFunc(entries, wanted)]
}
