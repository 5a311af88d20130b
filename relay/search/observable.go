package search

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// ErrTooLong says that an observable's query would not fit into a URL that gateways take.
var ErrTooLong = errors.New("search: value too long for a query")

// maxFilter is the most bytes of a query's filter in the URL; servers take 8 KiB for the request line.
const maxFilter = 6 << 10

// kind is where values of a type are searched: in the fields of events of some types.
type kind struct {
	events string
	fields []qualys.Field // one, or two
}

var kinds = map[ctim.ObservableType]kind{
	ctim.ObservableIP:          {"NETWORK", []qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}},
	ctim.ObservableIPv6:        {"NETWORK", []qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}},
	ctim.ObservableDomain:      {"NETWORK", []qualys.Field{qualys.FieldRemoteFQDN}},
	ctim.ObservableHostname:    {"NETWORK", []qualys.Field{qualys.FieldRemoteFQDN}},
	ctim.ObservableFileName:    {"FILE", []qualys.Field{qualys.FieldFileName}},
	ctim.ObservableFilePath:    {"FILE", []qualys.Field{qualys.FieldFilePath}},
	ctim.ObservableMutex:       {"MUTEX", []qualys.Field{qualys.FieldMutex}},
	ctim.ObservableMD5:         {"FILE PROCESS", []qualys.Field{qualys.FieldMD5}},
	ctim.ObservableSHA256:      {"FILE PROCESS", []qualys.Field{qualys.FieldSHA256}},
	ctim.ObservableProcessName: {"PROCESS NETWORK MUTEX REGISTRY", []qualys.Field{qualys.FieldProcessName}},
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
	kind   // without fields: every event that is found is wanted
	typ    ctim.ObservableType
	value  string // normalised
	key    string // equal for all spellings of the value
	filter qualys.Filter
	alone  bool // never joined with others
}

func newTarget(o ctim.Observable) (target, error) {
	if !Supported(o.Type) {
		return target{}, fmt.Errorf("search: observables of type %q are not supported", o.Type)
	}
	t := target{kind: kinds[o.Type], typ: o.Type, value: normal(o)}
	for _, field := range t.fields {
		term, err := qualys.Match(field, t.value, spelledOut(o.Type, t.value))
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
	t.alone = strings.Contains(t.value, `"`)
	if t.key = t.value; !t.alone {
		t.key = strings.ToLower(t.value)
	}
	return t, nil
}

// normal is the normal value, in which the observable is searched and compared without regard to case. An
// address or a hash that is none is taken as it is.
func normal(o ctim.Observable) string {
	switch o.Type {
	case ctim.ObservableIP, ctim.ObservableIPv6, ctim.ObservableMD5, ctim.ObservableSHA256:
		return cmp.Or(o.Normal(), strings.ToLower(strings.TrimSpace(o.Value)))
	}
	return o.Normal()
}

// spelledOut is the other form in which events may show a normal value: a name in Unicode, and all eight
// groups of an IPv6 address, as Java writes it. Where there is none it is the value.
func spelledOut(t ctim.ObservableType, value string) string {
	switch t {
	case ctim.ObservableDomain, ctim.ObservableHostname:
		if name, err := idna.Lookup.ToUnicode(value); err == nil {
			return name
		}
	case ctim.ObservableIP, ctim.ObservableIPv6:
		if a, err := netip.ParseAddr(value); err == nil && a.Is6() {
			groups := strings.Split(a.StringExpanded(), ":")
			for i, group := range groups {
				groups[i] = strings.TrimLeft(group[:3], "0") + group[3:]
			}
			return strings.Join(groups, ":")
		}
	}
	return value
}

// shown reads an event's own values of the target's fields, normalised; "" where it does not show one.
func (t *target) shown(e *qualys.Event) (values [2]string) {
	file, process := cmp.Or(e.File, &qualys.File{}), cmp.Or(e.Process, &qualys.Process{})
	network := cmp.Or(e.Network, &qualys.Network{})
	switch cmp.Or(t.fields...) { // no published event shows where it holds the name of a mutex
	case qualys.FieldLocalIP:
		values = [2]string{network.LocalIP, network.RemoteIP}
	case qualys.FieldRemoteFQDN:
		values[0] = network.RemoteDNS
	case qualys.FieldFileName:
		values[0] = file.Name
	case qualys.FieldFilePath:
		values[0] = file.FullPath
	case qualys.FieldMD5:
		values = [2]string{file.MD5, process.MD5}
	case qualys.FieldSHA256:
		values = [2]string{file.SHA256, process.SHA256}
	case qualys.FieldProcessName:
		values[0] = process.Name
	}
	for i, value := range values {
		values[i] = normal(ctim.Observable{Type: t.typ, Value: value})
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
func (t *target) match(shown [2]string) match {
	if t.fields == nil {
		return yes
	}
	for _, value := range shown {
		n := len(t.value)
		if t.fields[0] == qualys.FieldFilePath && len(value) > n && (value[n] == '\\' || value[n] == '/') {
			value = value[:n] // a path also means the files below it
		}
		if value != "" && strings.EqualFold(value, t.value) {
			return yes
		}
	}
	// Where one end of a connection is hidden, the address may be there, unless the other end was the reason
	// for the hit since it begins with the address.
	other := cmp.Or(shown[:]...)
	hidden := len(t.fields) == 2 && slices.Contains(shown[:], "") && !strings.HasPrefix(other, t.value)
	if other == "" || hidden {
		return unknown
	}
	return no
}

// searches tells whether a search for the target looks at events like e. It may at those of an unknown type,
// and nobody says whether the process that caused a file event counts as its process.
func (t *target) searches(e *qualys.Event) bool {
	const known = "FILE PROCESS NETWORK MUTEX REGISTRY"
	actor := t.fields[0] == qualys.FieldProcessName && e.Actor != nil
	return actor || strings.Contains(t.events, e.Type) || !strings.Contains(known, e.Type)
}

// share tells which events of a query's answer are about each of its lookups, and for which that is
// uncertain, so that only a search with fewer others can tell. A single lookup gets all events that may be
// about it. In a joined query it is certain where an event
//   - shows another value than the target's;
//   - shows the target's, and either the target's search looks at such events, or all targets are of one
//     kind, so that no other field can have been the reason for the hit;
//   - shows nothing, the target's search does not look at such events, and another target explains it: its
//     value is shown, or it is searched again because its search does look at them.
func share(lookups []*lookup, events []*qualys.Event) (shares [][]*qualys.Event, uncertain []bool) {
	shares, uncertain = make([][]*qualys.Event, len(lookups)), make([]bool, len(lookups))
	matches, shown := make([]match, len(lookups)), make([][2]string, len(lookups))
	like := make([]int, len(lookups)) // the first of the same kind
	for i, l := range lookups {
		like[i] = slices.IndexFunc(lookups, func(other *lookup) bool {
			return slices.Equal(other.target.fields, l.target.fields)
		})
	}
	alone, oneKind := len(lookups) == 1, slices.Max(like) == 0
	for _, e := range events {
		explained := false
		for i, l := range lookups {
			if like[i] == i {
				shown[i] = l.target.shown(e)
			}
			matches[i] = l.target.match(shown[like[i]])
			explained = explained || matches[i] == yes || matches[i] == unknown && l.target.searches(e)
		}
		for i, l := range lookups {
			switch {
			case matches[i] == yes:
				shares[i] = append(shares[i], e)
				uncertain[i] = uncertain[i] || !oneKind && !l.target.searches(e)
			case matches[i] == unknown && alone:
				shares[i] = append(shares[i], e)
			case matches[i] == unknown:
				uncertain[i] = uncertain[i] || !explained || l.target.searches(e)
			}
		}
	}
	return shares, uncertain
}
