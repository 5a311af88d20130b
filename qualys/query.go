package qualys

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Field is a search token of the events API.
type Field string

// The tokens that the relay searches by. They come from integrations in production, except
// FieldProcessName, which is seen in public queries only.
const (
	FieldLocalIP     Field = "network.local.address.ip"
	FieldRemoteIP    Field = "network.remote.address.ip"
	FieldRemoteFQDN  Field = "network.remote.address.fqdn"
	FieldFileName    Field = "file.name"
	FieldFilePath    Field = "file.fullPath"
	FieldMD5         Field = "file.hash.md5"
	FieldSHA256      Field = "file.hash.sha256"
	FieldMutex       Field = "handle.name"
	FieldProcessName Field = "process.name"
)

// ErrUnquotable is returned by Match for a value that no QQL query can hold: it has all three kinds of
// quotes, a control character or a byte that is not UTF-8, or nothing of it is left to search for.
var ErrUnquotable = errors.New("value cannot be quoted in a Qualys query")

// Filter is a query in QQL, the Qualys Query Language. Its zero value is empty and finds every event.
// Only this package can make one, so that no value ever leaves its quotes.
type Filter struct {
	qql    string
	joined string // "or", "and": what joins its terms; "" for a single term
}

// Match returns the query for events whose field has the value, in any of its spellings. QQL's double quotes
// find more than that: they cut values into tokens, and all of the query's must be there, in any order, the
// last one as a prefix. So the caller has to look at the events again. A value that holds double quotes goes
// into backticks, one that holds both into single quotes; those two match exactly. Trailing backslashes are
// dropped, since one would swallow the closing quote. A value that cannot be quoted gives ErrUnquotable.
func Match(f Field, spellings ...string) (Filter, error) {
	switch f { // one that was made of foreign text stays out of the query
	case FieldLocalIP, FieldRemoteIP, FieldRemoteFQDN, FieldFileName, FieldFilePath, FieldMD5, FieldSHA256,
		FieldMutex, FieldProcessName:
	default:
		return Filter{}, fmt.Errorf("unknown search field %q", string(f))
	}
	var terms []Filter
	for _, value := range spellings {
		quoted, err := quote(value)
		if err != nil {
			return Filter{}, err
		}
		if term := (Filter{qql: string(f) + ": " + quoted}); !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	}
	return Or(terms...), nil
}

// quote puts a value into quotes that it lacks: how Qualys escapes one inside of a value is not published.
func quote(value string) (string, error) {
	value = strings.TrimRight(value, `\`)
	canStand := utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
	for _, mark := range [...]string{`"`, "`", `'`} {
		if canStand && strings.TrimSpace(value) != "" && !strings.Contains(value, mark) {
			return mark + value + mark, nil
		}
	}
	return "", ErrUnquotable
}

// Between returns the query for events that happened on their endpoints from one time to another, both
// included, to the millisecond. Qualys documents the form with Fetch Event Details.
func Between(from, to time.Time) Filter {
	const layout = `"2006-01-02T15:04:05.000Z"`
	return Filter{qql: "event.datetime: [" + from.UTC().Format(layout) + " .. " + to.UTC().Format(layout) + "]"}
}

// ScoreRange returns the query for events that Qualys scored from low to high, both included.
// Integrations search by indicator.score; that it takes the ranges that QQL documents for numbers is
// assumed, and so is that events without a score are not found by any. No token for a verdict is
// published.
func ScoreRange(low, high int) Filter {
	return Filter{qql: fmt.Sprintf("indicator.score: [%d .. %d]", low, high)}
}

// EventType returns the query for events of a type (FILE, PROCESS, NETWORK, MUTEX or REGISTRY, in any
// case), in the form that integrations use: lower case in single quotes. That DeviceControl and
// UserControl, which events have too, can be searched for is not published.
func EventType(t string) (Filter, error) {
	switch t = strings.ToLower(t); t {
	case "file", "process", "network", "mutex", "registry":
		return Filter{qql: "type: '" + t + "'"}, nil
	}
	return Filter{}, fmt.Errorf("unknown event type %q", t)
}

// Or returns the query for events that any of the filters finds. Empty filters are left out.
func Or(fs ...Filter) Filter { return join("or", fs) }

// And returns the query for events that all of the filters find. Empty filters are left out.
func And(fs ...Filter) Filter { return join("and", fs) }

func join(word string, fs []Filter) (all Filter) {
	for _, f := range fs {
		switch {
		case all.qql == "":
			all = f
		case f.qql != "":
			all = Filter{all.within(word) + " " + word + " " + f.within(word), word}
		}
	}
	return all
}

// within is the filter as a part of one that the word joins: in parentheses where the other word joins its
// own parts, so that nobody has to know which one binds closer.
func (f Filter) within(word string) string {
	if f.joined == "" || f.joined == word {
		return f.qql
	}
	return "(" + f.qql + ")"
}

// String returns the QQL, "" for the empty filter.
func (f Filter) String() string { return f.qql }

// EncodedLen returns the length that the filter takes in the URL of a search, in bytes.
func (f Filter) EncodedLen() int { return len(f.encode()) }

// HuntingURL returns the link that opens the filter on the hunting page of the Qualys UI at platformURL
// ("https://qualysguard.qualys.com", without a slash behind it), or "" without a platform. All but RFC 3986's
// unreserved characters are percent-encoded: the query stands behind a "#", where a "+" is not a space, and
// CTIM's URIs forbid quotes, braces, backslashes and the like.
func HuntingURL(platformURL string, f Filter) string {
	if platformURL == "" {
		return ""
	}
	return platformURL + "/ioc/#/hunting?search=" + strings.ReplaceAll(f.encode(), "+", "%20")
}

// encode is the form of the filter in a search's URL. It leaves no "+" but for a space.
func (f Filter) encode() string { return url.QueryEscape(f.qql) }
