package search

import (
	"net/netip"
	"slices"
	"strings"

	"qualysrelay.example/qualys"
)

// Match says whether an event is about an observable.
type Match int

// What Matches can tell.
const (
	No      Match = iota // the event's own field says something else
	Unknown              // the event does not show the field
	Yes                  // the event's own field is the observable's value
)

// matcher compares a searched value with an event's own fields.
type matcher func(value string, e *qualys.Event) Match

// Matches decides whether an event that Qualys returned is about the observable. It has to be asked, since a value in double quotes is a prefix
// to Qualys: a search for 10.1.1.1 returns the events of 10.1.1.10 too. Case is ignored.
func (o Observable) Matches(e *qualys.Event) Match {
	k, ok := kinds[o.Type]
	if !ok {
		return No
	}
	return k.match(o.searched(), e)
}

// settled tells whether an event of a joined query needs no search of o alone to be given to o or withheld from it. A search of o alone is needed
// where the event's type can hold the searched field and the document does not show it, and where the value is shown by a type of event that the
// search may not look at.
func (o Observable) settled(e *qualys.Event) bool {
	k := kinds[o.Type]
	known := slices.Contains(eventTypes[:], e.Type)
	carries := slices.Contains(k.carries, e.Type)
	switch o.Matches(e) {
	case No:
		return true
	case Yes:
		return carries || !known
	default:
		return known && !carries && (o.Type != "process_name" || e.Actor == nil)
	}
}

var eventTypes = [...]string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"}

// matchFields is Yes where one of the event's fields is the value, No where a field is there and none is, else Unknown.
func matchFields(value string, fields ...string) Match {
	result := Unknown
	for _, field := range fields {
		if field == "" {
			continue
		}
		if strings.EqualFold(field, value) {
			return Yes
		}
		result = No
	}
	return result
}

func matchIP(value string, e *qualys.Event) Match {
	if e.Network == nil {
		return Unknown
	}
	local, remote := e.Network.LocalIP, e.Network.RemoteIP
	if sameIP(value, local) || sameIP(value, remote) {
		return Yes
	}
	if local != "" && remote != "" {
		return No
	}
	// One end is not shown. Where the other end explains the hit by its prefix, that was the reason for it.
	if shown := local + remote; shown != "" && len(shown) > len(value) && strings.EqualFold(shown[:len(value)], value) {
		return No
	}
	return Unknown
}

func sameIP(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if strings.EqualFold(a, b) {
		return true
	}
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x.Unmap().WithZone("") == y.Unmap().WithZone("")
}

func matchDomain(value string, e *qualys.Event) Match {
	if e.Network == nil {
		return Unknown
	}
	return matchFields(value, strings.TrimSuffix(e.Network.RemoteDNS, "."))
}

func matchFileName(value string, e *qualys.Event) Match {
	if e.File == nil {
		return Unknown
	}
	return matchFields(value, e.File.Name)
}

// matchFilePath also takes a file below the path: whoever asks for a folder means what is in it.
func matchFilePath(value string, e *qualys.Event) Match {
	if e.File == nil || e.File.FullPath == "" {
		return Unknown
	}
	path := e.File.FullPath
	if strings.EqualFold(path, value) {
		return Yes
	}
	if len(path) > len(value) && strings.EqualFold(path[:len(value)], value) && (path[len(value)] == '\\' || path[len(value)] == '/') {
		return Yes
	}
	return No
}

// matchMutex never knows: no published event shows where it holds the handle's name.
func matchMutex(string, *qualys.Event) Match { return Unknown }

func matchMD5(value string, e *qualys.Event) Match {
	file, process := hashes(e)
	return matchFields(value, file.md5, process.md5)
}

func matchSHA256(value string, e *qualys.Event) Match {
	file, process := hashes(e)
	return matchFields(value, file.sha256, process.sha256)
}

type hashPair struct{ md5, sha256 string }

func hashes(e *qualys.Event) (file, process hashPair) {
	if e.File != nil {
		file = hashPair{e.File.MD5, e.File.SHA256}
	}
	if e.Process != nil {
		process = hashPair{e.Process.MD5, e.Process.SHA256}
	}
	return file, process
}

func matchProcessName(value string, e *qualys.Event) Match {
	if e.Process == nil {
		return Unknown
	}
	return matchFields(value, e.Process.Name)
}
