package probe

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"qualysrelay.example/qualys"
)

// event is an event as the client reads it, with all values of its JSON.
type event struct {
	qualys.Event
	values values
}

// newEvent returns nil for what the client does not take for an event.
func newEvent(doc any) *event {
	e := &event{values: valuesOf(doc)}
	raw, err := json.Marshal(doc)
	if err != nil || json.Unmarshal(raw, &e.Event) != nil {
		return nil
	}
	e.Type = strings.ToUpper(e.Type)
	return e
}

// texts are the values under the keys, of which there may be several with spaces between.
func (e *event) texts(keys string) (texts []string) {
	for _, key := range strings.Fields(keys) {
		for _, v := range e.values[key] {
			switch v.(type) {
			case string, float64:
				texts = append(texts, fmt.Sprint(v))
			}
		}
	}
	return texts
}

// overlap counts the events of one list that are in another one, too.
func overlap(a, b []*event) int {
	keys := make(map[string]bool)
	for _, e := range a {
		keys[e.Key] = true
	}
	return count(b, func(e *event) bool { return keys[e.Key] })
}

func count(events []*event, is func(*event) bool) (n int) {
	for _, e := range events {
		if is(e) {
			n++
		}
	}
	return n
}

// sighted is a value that an event shows.
type sighted struct {
	*event
	keys  string // under which events show such values
	value string
}

// in reports whether an event shows the value.
func (s sighted) in(e *event) bool {
	return slices.ContainsFunc(e.texts(s.keys), func(v string) bool { return strings.EqualFold(v, s.value) })
}

// ordinary values have no quotes, and nothing else that QQL may need to have escaped.
var ordinary = regexp.MustCompile("^[^\\pC\\x{FFFD}\"'`]{0,299}[^\\pC\\x{FFFD}\"'`\\\\]$")

// pick returns the value under the keys that fits the regular expression and that the fewest events have, so
// that a search for it finds few.
func (p *prober) pick(keys, fits string) (rarest sighted, found bool) {
	pattern := regexp.MustCompile(fits)
	seen := make(map[string]int)
	var all []sighted
	for _, e := range p.events {
		for _, v := range e.texts(keys) {
			seen[v]++
			if ordinary.MatchString(v) && pattern.MatchString(v) {
				all = append(all, sighted{e, keys, v})
			}
		}
	}
	if len(all) == 0 {
		return sighted{}, false
	}
	return slices.MinFunc(all, func(a, b sighted) int { return seen[a.value] - seen[b.value] }), true
}

// values are those of a JSON document by the keys that lead to them, as "indicator2[].score".
type values map[string][]any

const maxPath = 400 // bytes of such keys: documents can be thousands of levels deep

func valuesOf(doc any) values {
	all := make(values)
	all.add("", doc)
	return all
}

func (all values) add(path string, v any) {
	object, _ := v.(map[string]any)
	elements, _ := v.([]any)
	if len(object)+len(elements) == 0 || len(path) > maxPath {
		all[path] = append(all[path], v)
		return
	}
	for key, inner := range object {
		all.add(strings.TrimPrefix(path+"."+keyName(key), "."), inner)
	}
	for _, inner := range elements {
		all.add(path+"[]", inner)
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

// shapes are the keys of JSON documents and what their values look like.
type shapes map[string]*shape

type shape struct {
	Types    map[string]int `json:"types"` // how many values are of each
	Shortest int            `json:"shortest,omitempty"`
	Longest  int            `json:"longest,omitempty"` // of the texts, in characters
}

const maxKeys = 1000 // an answer can hold any number

func (s shapes) add(all values) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if s[key] == nil && len(s) < maxKeys {
			s[key] = &shape{Types: make(map[string]int)}
		}
		for _, v := range all[key] {
			if s[key] != nil {
				s[key].add(v)
			}
		}
	}
}

func (s *shape) add(v any) {
	kind := "empty"
	switch v := v.(type) {
	case string:
		kind = "string"
		n := utf8.RuneCountInString(v)
		if s.Types[kind] == 0 {
			s.Shortest = n
		}
		s.Shortest, s.Longest = min(s.Shortest, n), max(s.Longest, n)
	case float64:
		kind = "number"
	case bool:
		kind = "boolean"
	case nil:
		kind = "null"
	}
	s.Types[kind]++
}

func (s shapes) names() []string { return slices.Sorted(maps.Keys(s)) }

// list joins names, and says how many there are more than fit.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
