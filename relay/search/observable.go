package search

import (
	"errors"
	"net/netip"
	"strings"

	"qualysrelay.example/qualys"
)

// Observable is what XDR asks about: a CTIM observable type and its value as it was sent.
type Observable struct {
	Type  string
	Value string
}

// ErrTooLong says that an observable's query would not fit into a URL that gateways take.
var ErrTooLong = errors.New("search: value too long for a query")

// kind is what the relay knows about one observable type.
type kind struct {
	fields []qualys.Field // a value is searched in each of them
	match  matcher
	// carries lists the event types whose documents can hold the searched field.
	carries []string
}

var kinds = map[string]kind{
	"ip":           {[]qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}, matchIP, []string{"NETWORK"}},
	"ipv6":         {[]qualys.Field{qualys.FieldLocalIP, qualys.FieldRemoteIP}, matchIP, []string{"NETWORK"}},
	"domain":       {[]qualys.Field{qualys.FieldRemoteFQDN}, matchDomain, []string{"NETWORK"}},
	"hostname":     {[]qualys.Field{qualys.FieldRemoteFQDN}, matchDomain, []string{"NETWORK"}},
	"file_name":    {[]qualys.Field{qualys.FieldFileName}, matchFileName, []string{"FILE"}},
	"file_path":    {[]qualys.Field{qualys.FieldFilePath}, matchFilePath, []string{"FILE"}},
	"mutex":        {[]qualys.Field{qualys.FieldMutex}, matchMutex, []string{"MUTEX"}},
	"md5":          {[]qualys.Field{qualys.FieldMD5}, matchMD5, []string{"FILE", "PROCESS"}},
	"sha256":       {[]qualys.Field{qualys.FieldSHA256}, matchSHA256, []string{"FILE", "PROCESS"}},
	"process_name": {[]qualys.Field{qualys.FieldProcessName}, matchProcessName, []string{"PROCESS", "NETWORK", "MUTEX", "REGISTRY"}},
}

// Supported tells whether Qualys can be searched for the observable's type. Others are skipped without an error.
func (o Observable) Supported() bool {
	_, ok := kinds[o.Type]
	return ok
}

// Filter is the query that finds the observable. Its errors are qualys.ErrUnquotable and ErrTooLong.
func (o Observable) Filter() (qualys.Filter, error) {
	fields := kinds[o.Type].fields
	parts := make([]qualys.Filter, len(fields))
	for i, field := range fields {
		part, err := qualys.Match(field, o.searched())
		if err != nil {
			return qualys.Filter{}, err
		}
		parts[i] = part
	}
	filter := qualys.Or(parts...)
	if filter.EncodedLen() > maxFilter {
		return qualys.Filter{}, ErrTooLong
	}
	return filter, nil
}

// searched is the value as it is searched and compared: without what cannot be part of it in an event.
func (o Observable) searched() string {
	value := strings.TrimSpace(o.Value)
	switch o.Type {
	case "domain", "hostname":
		return strings.TrimSuffix(value, ".")
	case "file_path":
		return strings.TrimRight(value, `\/`)
	case "ipv6", "ip":
		if addr, err := netip.ParseAddr(value); err == nil {
			return addr.WithZone("").String()
		}
	}
	return value
}

// key tells apart what is searched apart: two observables of one key have the same answer.
func (o Observable) key() Observable {
	return Observable{Type: o.Type, Value: strings.ToLower(o.searched())}
}

// alone tells whether the observable is never joined with others. A value that holds a double quote goes in other quotes, which match exactly and not
// by prefix, and nobody says whether they mind the case: what Matches finds in the events of others may not be what a search of its own finds.
func (o Observable) alone() bool { return strings.Contains(o.Value, `"`) }
