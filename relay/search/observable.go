package search

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// ErrTooLong says that an observable's query would not fit into a URL that gateways take.
var ErrTooLong = errors.New("search: value too long for a query")

// maxFilter is the most bytes of a query's filter in the URL; servers take 8 KiB for the request line.
const maxFilter = 6 << 10

// kind is how values of one type are written, and where they are searched. Its first field tells kinds
// apart.
type kind struct {
	// spell normalises a value. The first spelling is compared, without regard to case; all are searched.
	spell  func(string) []string
	types  string // of the events that have the fields
	fields []qualys.Field
}

var kinds = map[ctim.ObservableType]kind{
	"ip":           {spellAddress, "NETWORK", []qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}},
	"ipv6":         {spellAddress, "NETWORK", []qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}},
	"domain":       {spellDomain, "NETWORK", []qualys.Field{qualys.FieldRemoteFQDN}},
	"hostname":     {spellDomain, "NETWORK", []qualys.Field{qualys.FieldRemoteFQDN}},
	"file_name":    {spellText, "FILE", []qualys.Field{qualys.FieldFileName}},
	"file_path":    {spellPath, "FILE", []qualys.Field{qualys.FieldFilePath}},
	"mutex":        {spellText, "MUTEX", []qualys.Field{qualys.FieldMutex}},
	"md5":          {spellHash, "FILE PROCESS", []qualys.Field{qualys.FieldMD5}},
	"sha256":       {spellHash, "FILE PROCESS", []qualys.Field{qualys.FieldSHA256}},
	"process_name": {spellText, "PROCESS NETWORK MUTEX REGISTRY", []qualys.Field{qualys.FieldProcessName}},
}

// Supported tells whether Qualys can be searched for observables of the type.
func Supported(t ctim.ObservableType) bool { return kinds[t].fields != nil }

// Filter is the query that finds the observable, which must be of a supported type. Its errors are
// qualys.ErrUnquotable and ErrTooLong.
func Filter(o ctim.Observable) (qualys.Filter, error) {
	t, err := newTarget(o)
	return t.filter, err
}

// target is what is searched for, and what events are compared with.
type target struct {
	kind
	value  string // normalised
	key    string // equal for all spellings of the value
	filter qualys.Filter
	alone  bool // never joined with others
}

func newTarget(o ctim.Observable) (target, error) {
	k, ok := kinds[o.Type]
	if !ok {
		return target{}, fmt.Errorf("search: observables of type %q are not supported", o.Type)
	}
	spellings := k.spell(o.Value)
	t := target{kind: k, value: spellings[0], key: strings.ToLower(spellings[0])}
	for _, field := range k.fields {
		term, err := qualys.MatchAny(field, spellings...)
		if err != nil {
			return target{}, err
		}
		t.filter = qualys.Or(t.filter, term)
	}
	if t.filter.EncodedLen() > maxFilter {
		return target{}, ErrTooLong
	}
	// A value with a double quote goes in other quotes, in which Qualys compares whole values and may mind
	// the case. What a joined query finds for it may not be what a search of its own finds.
	if strings.Contains(t.value, `"`) {
		t.key, t.alone = t.value, true
	}
	return t, nil
}

func spellText(value string) []string { return []string{norm.NFC.String(strings.TrimSpace(value))} }

func spellHash(value string) []string { return []string{strings.ToLower(strings.TrimSpace(value))} }

// spellDomain gives the A-label and the name in Unicode. A name that IDNA refuses, such as one with an
// underscore, is taken as it is.
func spellDomain(value string) []string {
	name := strings.ToLower(strings.TrimSuffix(spellText(value)[0], "."))
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return []string{name}
	}
	unicode, err := idna.Lookup.ToUnicode(ascii)
	if err != nil {
		return []string{ascii}
	}
	return slices.Compact([]string{ascii, unicode})
}

// spellAddress gives the shortest form, as IPv4 where the address is one, and for IPv6 the form in which
// Java writes it: all eight groups. A zone means nothing beyond its endpoint.
func spellAddress(value string) []string {
	value = strings.TrimSpace(value)
	a, err := netip.ParseAddr(value)
	if err != nil {
		return []string{value}
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return []string{a.String()}
	}
	groups := strings.Split(a.StringExpanded(), ":")
	for i, group := range groups {
		groups[i] = strings.TrimLeft(group[:3], "0") + group[3:]
	}
	return slices.Compact([]string{a.String(), strings.Join(groups, ":")})
}

// spellPath writes a Windows path with backslashes and without the prefixes of the object manager, and any
// path without a separator at its end.
func spellPath(value string) []string {
	p := spellText(value)[0]
	windows := len(p) > 1 && p[1] == ':' || strings.HasPrefix(p, "//?/")
	if !windows && (strings.HasPrefix(p, "/") || !strings.Contains(p, `\`)) {
		return []string{strings.TrimRight(p, "/")}
	}
	p = strings.TrimRight(strings.ReplaceAll(p, "/", `\`), `\`)
	if strings.HasPrefix(p, `\\?\`) || strings.HasPrefix(p, `\??\`) {
		if p = p[4:]; len(p) > 4 && strings.EqualFold(p[:4], `UNC\`) {
			p = `\\` + p[4:]
		}
	}
	return []string{p}
}

// shown reads an event's own values of the kind's fields, normalised; "" where it does not show one.
func (k kind) shown(e *qualys.Event) (values []string) {
	file, process := cmp.Or(e.File, &qualys.File{}), cmp.Or(e.Process, &qualys.Process{})
	network := cmp.Or(e.Network, &qualys.Network{})
	switch k.fields[0] { // no published event shows where it holds the name of a mutex
	case qualys.FieldLocalIP:
		values = []string{network.LocalIP, network.RemoteIP}
	case qualys.FieldRemoteFQDN:
		values = []string{network.RemoteDNS}
	case qualys.FieldFileName:
		values = []string{file.Name}
	case qualys.FieldFilePath:
		values = []string{file.FullPath}
	case qualys.FieldMD5:
		values = []string{file.MD5, process.MD5}
	case qualys.FieldSHA256:
		values = []string{file.SHA256, process.SHA256}
	case qualys.FieldProcessName:
		values = []string{process.Name}
	}
	for i, value := range values {
		values[i] = k.spell(value)[0]
	}
	return values
}

// match says whether an event is about a target.
type match int

const (
	no      match = iota // the event shows other values
	unknown              // the event does not show the searched fields
	yes
)

// match compares the target with what an event shows. It must be done for every event, since the double
// quotes of QQL match tokens: 10.1.1.1 finds 10.1.1.10, update.example finds cdn7-update.example.
func (t target) match(shown []string) match {
	other := ""
	for _, value := range shown {
		n := len(t.value)
		if t.fields[0] == qualys.FieldFilePath && len(value) > n && (value[n] == '\\' || value[n] == '/') {
			value = value[:n] // a path also means the files below it
		}
		if value != "" && strings.EqualFold(value, t.value) {
			return yes
		}
		other = cmp.Or(value, other)
	}
	// Where one end of a connection is hidden, the address may be there, unless the other end was the reason
	// for the hit since it begins with the address.
	hidden := len(t.fields) > 1 && slices.Contains(shown, "") && !strings.HasPrefix(other, t.value)
	if other == "" || hidden {
		return unknown
	}
	return no
}

// searches tells whether a search for the target looks at events like e. It may at those of an unknown type,
// and nobody says whether the process that caused a file event counts as its process.
func (t target) searches(e *qualys.Event) bool {
	switch e.Type {
	case "FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY":
		return strings.Contains(t.types, e.Type) || t.fields[0] == qualys.FieldProcessName && e.Actor != nil
	}
	return true
}

// share tells which events of a joined query's answer are about each of its targets, and for which targets
// that is uncertain, so that only a search with fewer others can tell. It is certain where an event
//   - shows another value than the target's;
//   - shows the target's, and either the target's search looks at such events, or all targets are of one
//     kind, so that no other field can have been the reason for the hit;
//   - shows nothing, the target's search does not look at such events, and another target explains it: its
//     value is shown, or it is searched again because its search does look at them.
func share(targets []target, events []*qualys.Event) (shares [][]*qualys.Event, uncertain []bool) {
	shares, uncertain = make([][]*qualys.Event, len(targets)), make([]bool, len(targets))
	others := func(t target) bool { return t.fields[0] != targets[0].fields[0] }
	oneKind := !slices.ContainsFunc(targets, others)
	matches := make([]match, len(targets))
	for _, e := range events {
		values, explained := make(map[qualys.Field][]string), false
		for i, t := range targets {
			if _, ok := values[t.fields[0]]; !ok {
				values[t.fields[0]] = t.shown(e)
			}
			matches[i] = t.match(values[t.fields[0]])
			explained = explained || matches[i] == yes || matches[i] == unknown && t.searches(e)
		}
		for i, t := range targets {
			switch matches[i] {
			case yes:
				shares[i] = append(shares[i], e)
				uncertain[i] = uncertain[i] || !oneKind && !t.searches(e)
			case unknown:
				uncertain[i] = uncertain[i] || !explained || t.searches(e)
			}
		}
	}
	return shares, uncertain
}
