package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
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
	each(doc, "", func(path string, v any) {
		f := shownAt(path)
		if e.Type == "MUTEX" && !isKnown(path) {
			f = qualys.FieldMutex
		}
		if text, ok := v.(string); ok && f != "" {
			e.shown[f] = append(e.shown[f], text)
		}
	})
	return e
}

func eventTypes() []string { return []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} }

// searchFields are all that the relay searches by.
func searchFields() []qualys.Field {
	return []qualys.Field{
		qualys.FieldLocalIP, qualys.FieldRemoteIP, qualys.FieldRemoteFQDN, qualys.FieldFileName,
		qualys.FieldFilePath, qualys.FieldMD5, qualys.FieldSHA256, qualys.FieldMutex, qualys.FieldProcessName,
	}
}

// shownAt is the search field whose values events show at a path of keys; "" where there is none.
func shownAt(path string) qualys.Field {
	switch path {
	case "network.localIP":
		return qualys.FieldLocalIP
	case "network.remoteIP":
		return qualys.FieldRemoteIP
	case "network.remoteDns":
		return qualys.FieldRemoteFQDN
	case "file.fileName":
		return qualys.FieldFileName
	case "file.fullPath":
		return qualys.FieldFilePath
	case "file.md5", "process.md5", "process.processFile.md5":
		return qualys.FieldMD5
	case "file.sha256", "process.sha256", "process.processFile.sha256":
		return qualys.FieldSHA256
	case "process.processName":
		return qualys.FieldProcessName
	}
	return ""
}

// isKnown reports whether a path of keys begins with a key that is published.
func isKnown(path string) bool {
	top, _, _ := strings.Cut(path, ".")
	return slices.Contains([]string{
		"action", "actor", "amsi", "antiphishing", "asset", "dateTime", "eventMetadata",
		"eventProcessedTime", "eventSource", "file", "id", "indicator2", "network", "process", "registry",
		"score", "timeSeriesId", "type",
	}, strings.TrimSuffix(top, "[]"))
}

func (e *event) has(f qualys.Field, value string) bool {
	return slices.ContainsFunc(e.shown[f], func(v string) bool { return strings.EqualFold(v, value) })
}

// sameAs reports whether two events are of one occurrence, by what they say.
func (e *event) sameAs(o *event) bool {
	differs := func(f qualys.Field) bool { return !slices.Equal(e.shown[f], o.shown[f]) }
	return e.Time.Equal(o.Time) && e.Type == o.Type && e.Asset.AgentID == o.Asset.AgentID &&
		!slices.ContainsFunc(searchFields(), differs)
}

// sighted is a value that an event shows.
type sighted struct {
	*event
	value string
}

// pick returns the value of a field that fits and that the fewest events have, so that a search for it
// finds few.
func (p *prober) pick(ctx context.Context, f qualys.Field, fits func(string) bool) (sighted, bool) {
	odd := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune("\"`'\ufffd", r) }
	ordinary := func(v string) bool {
		return len(v) >= 3 && len(v) <= 300 && !strings.ContainsFunc(v, odd) && !strings.HasSuffix(v, `\`)
	}
	seen := make(map[string]int)
	var all []sighted
	for _, e := range p.sample(ctx) {
		for _, v := range e.shown[f] {
			if ordinary(v) && fits(v) {
				seen[v]++
				all = append(all, sighted{e, v})
			}
		}
	}
	if len(all) == 0 {
		return sighted{}, false
	}
	return slices.MinFunc(all, func(a, b sighted) int { return cmp.Compare(seen[a.value], seen[b.value]) }), true
}

func anyValue(string) bool { return true }

// sample is the newest events of both datasets, and a few of each type that those lack.
func (p *prober) sample(ctx context.Context) []*event {
	if p.sampled {
		return p.events
	}
	p.sampled = true
	p.events = slices.Concat(p.firstPage(ctx, true).events, p.firstPage(ctx, false).events)
	for _, kind := range eventTypes() {
		ofKind, _ := qualys.EventType(kind)
		for _, active := range [...]bool{true, false} {
			if !slices.ContainsFunc(p.events, func(e *event) bool { return e.Type == kind }) {
				p.events = append(p.events, p.search(ctx, active, ofKind.String(), 20, 0).events...)
			}
		}
	}
	return p.events
}

// firstPage is the largest page that is served, of the sizes that are tried.
func (p *prober) firstPage(ctx context.Context, active bool) (a *answer) {
	for _, size := range [...]int{largestPage, 500, 200, 100, 10} {
		a = p.search(ctx, active, "", size, 0)
		if a.asked = size; a.status != http.StatusBadRequest {
			break
		}
	}
	return a
}

// shapes are the keys of JSON documents, with dots between the levels.
type shapes map[string]*shape

// shape says what the values of a key are like: how many there are of each type, and the lengths of texts.
type shape struct {
	Types    map[string]int `json:"types"`
	Shortest int            `json:"shortest,omitempty"`
	Longest  int            `json:"longest,omitempty"`
}

const maxShapes = 1000 // an answer can hold any number of keys

func (s shapes) add(doc any) {
	each(doc, "", func(path string, v any) {
		one := s[path]
		if one == nil && len(s) == maxShapes {
			return
		} else if one == nil {
			one = &shape{Types: make(map[string]int)}
			s[path] = one
		}
		if text, ok := v.(string); ok {
			n := utf8.RuneCountInString(text)
			one.Longest = max(one.Longest, n)
			if one.Types["string"] == 0 || n < one.Shortest {
				one.Shortest = n
			}
		}
		one.Types[typeOf(v)]++
	})
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case nil:
		return "null"
	case []any:
		return "empty list"
	}
	return "empty object"
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
