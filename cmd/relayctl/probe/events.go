package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"qualysrelay.example/qualys"
)

// event is an event as it came, and as the client reads it.
type event struct {
	qualys.Event
	doc   map[string]any
	shown map[qualys.Field][]string // the values that it can be found by
}

// newEvent returns nil for what the client does not take for an event. Nobody knows where the name of a
// mutex is: any text under a key that is not known may be it.
func newEvent(doc map[string]any) *event {
	e := &event{doc: doc, shown: make(map[qualys.Field][]string)}
	raw, err := json.Marshal(doc)
	if doc == nil || err != nil || json.Unmarshal(raw, &e.Event) != nil {
		return nil
	}
	e.Type = strings.ToUpper(e.Type)
	each(doc, "", func(path string, v any) {
		text, isText := v.(string)
		for _, f := range searchFields() {
			isMutex := f.Field == qualys.FieldMutex && e.Type == "MUTEX" && !publishedKey.MatchString(path)
			if isText && (isMutex || slices.Contains(f.keys, path)) {
				e.shown[f.Field] = append(e.shown[f.Field], text)
			}
		}
	})
	return e
}

// searchField is one that the relay searches by, and the keys under which events show its values.
type searchField struct {
	qualys.Field
	keys []string
}

func searchFields() []searchField {
	return []searchField{
		{qualys.FieldLocalIP, []string{"network.localIP"}},
		{qualys.FieldRemoteIP, []string{"network.remoteIP"}},
		{qualys.FieldRemoteFQDN, []string{"network.remoteDns"}},
		{qualys.FieldFileName, []string{"file.fileName"}},
		{qualys.FieldFilePath, []string{"file.fullPath"}},
		{qualys.FieldMD5, []string{"file.md5", "process.md5", "process.processFile.md5"}},
		{qualys.FieldSHA256, []string{"file.sha256", "process.sha256", "process.processFile.sha256"}},
		{qualys.FieldMutex, nil},
		{qualys.FieldProcessName, []string{"process.processName"}},
	}
}

// publishedKey is the beginning of a path of keys that is published.
var publishedKey = regexp.MustCompile(`^(action|actor|amsi|antiphishing|asset|dateTime|eventMetadata|` +
	`eventProcessedTime|eventSource|file|id|indicator2|network|process|registry|score|timeSeriesId|` +
	`type)(\.|\[|$)`)

// those are the events that are as is says.
func those(events []*event, is func(*event) bool) []*event {
	return slices.DeleteFunc(slices.Clone(events), func(e *event) bool { return !is(e) })
}

func hasTime(e *event) bool { return !e.Time.IsZero() }

func ofType(kind string) func(*event) bool { return func(e *event) bool { return e.Type == kind } }

// sighted is the value of a field that an event shows.
type sighted struct {
	*event
	field qualys.Field
	value string
}

// in reports whether an event shows the value.
func (s *sighted) in(e *event) bool {
	return slices.ContainsFunc(e.shown[s.field], func(v string) bool { return strings.EqualFold(v, s.value) })
}

// ordinary values have no quotes, and nothing else that QQL may need to have escaped.
var ordinary = regexp.MustCompile("^[^\\pC\\x{FFFD}\"'`]{2,299}[^\\pC\\x{FFFD}\"'`\\\\]$")

// pick returns the value of a field that fits the regular expression and that the fewest events have, so
// that a search for it finds few; nil where there is none.
func (p *prober) pick(f qualys.Field, fits string) (rarest *sighted) {
	pattern := regexp.MustCompile(fits)
	seen := make(map[string]int)
	for _, e := range p.events {
		for _, v := range e.shown[f] {
			seen[v]++
		}
	}
	for _, e := range p.events {
		for _, v := range e.shown[f] {
			isRarer := rarest == nil || seen[v] < seen[rarest.value]
			if isRarer && ordinary.MatchString(v) && pattern.MatchString(v) {
				rarest = &sighted{e, f, v}
			}
		}
	}
	return rarest
}

// sample gets the newest events of both datasets, and a few of each type that those lack.
func (p *prober) sample(ctx context.Context) {
	for _, p.pageSize = range [...]int{largestPage, 500, 200, 100, 10} {
		p.current = p.search(ctx, true, "", p.pageSize, 0)
		if p.current.Status != http.StatusBadRequest {
			break
		}
	}
	p.history = p.search(ctx, false, "", p.pageSize, 0)
	if p.larger, p.active = p.history, false; len(p.current.events) >= len(p.history.events) {
		p.larger, p.active = p.current, true
	}
	p.events = slices.Concat(p.current.events, p.history.events)
	for _, kind := range [...]string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} {
		for _, active := range [...]bool{true, false} {
			if !slices.ContainsFunc(p.events, ofType(kind)) {
				found := p.search(ctx, active, typeFilter(kind).String(), 20, 0).events
				p.events = append(p.events, those(found, ofType(kind))...)
			}
		}
		p.keys[kind] = make(shapes)
	}
	p.keys["other"] = make(shapes)
	for _, e := range p.events {
		kind := e.Type
		if p.keys[kind] == nil {
			kind = "other"
		}
		p.keys[kind].add(e.doc)
	}
}

// shapes are the keys of JSON documents, with dots between the levels, and what values they have: how many
// of each type and, of texts, of each length.
type shapes map[string]map[string]int

const (
	maxShapes  = 1000 // an answer can hold any number of keys
	maxLengths = 20   // and texts of any length
)

func (s shapes) add(doc any) {
	each(doc, "", func(path string, v any) {
		kind := typeOf(v)
		switch types := s[path]; {
		case types == nil && len(s) < maxShapes:
			s[path] = map[string]int{kind: 1}
		case types != nil && types[kind] == 0 && len(types) >= maxLengths:
			types["others"]++
		case types != nil:
			types[kind]++
		}
	})
}

func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("string of %d", utf8.RuneCountInString(v))
	case float64:
		return "number"
	case bool:
		return "boolean"
	case nil:
		return "null"
	}
	return "empty"
}

// each calls visit for every value that holds no others, with the keys that lead to it.
func each(v any, path string, visit func(path string, v any)) {
	object, _ := v.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		each(object[key], strings.TrimPrefix(path+"."+keyName(key), "."), visit)
	}
	elements, _ := v.([]any)
	for _, element := range elements {
		each(element, path+"[]", visit)
	}
	if len(object)+len(elements) == 0 {
		visit(path, v)
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,39}$`)

// keyName keeps a key out that may be a value: an object can have paths or addresses for keys.
func keyName(key string) string {
	if identifier.MatchString(key) {
		return key
	}
	return "(other)"
}

// list joins names, and says how many there are more than fit.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
