package probe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// event is an element of a list of events. One that is none has no type.
type event struct {
	values
	active  bool // it is of the current state
	wrapped bool // it came inside of another object
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

// text is the first of the texts, if any.
func (e *event) text(keys string) string { return append(e.texts(keys), "")[0] }

func count(events []*event, is func(*event) bool) (n int) {
	for _, e := range events {
		if is(e) {
			n++
		}
	}
	return n
}

// shows tests whether an event has a value under any of the keys.
func shows(keys, value string) func(*event) bool {
	return func(e *event) bool {
		return slices.ContainsFunc(e.texts(keys), func(v string) bool { return strings.EqualFold(v, value) })
	}
}

// fits tests whether the first value that it has there fits the regular expression.
func fits(keys, like string) func(*event) bool {
	pattern := regexp.MustCompile(like)
	return func(e *event) bool { return pattern.MatchString(e.text(keys)) }
}

func has(keys string) func(*event) bool { return fits(keys, ".") }

// types are those of events that there are; a new one may be a value.
func types() []string { return []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"} }

// hasKey tests whether one of its keys fits the regular expression.
func hasKey(like string) func(*event) bool {
	pattern := regexp.MustCompile(like)
	return func(e *event) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(e.values)), pattern.MatchString)
	}
}

func not(is func(*event) bool) func(*event) bool { return func(e *event) bool { return !is(e) } }

// ordinary values have no quotes, and nothing else that QQL may need to have escaped.
var ordinary = regexp.MustCompile("^[^\\pC\\x{FFFD}\"'`]{0,299}[^\\pC\\x{FFFD}\"'`\\\\]$")

// pick returns a value under the keys that fits the regular expression, and the event that has it, if any.
func (p *prober) pick(keys, fits string) (*event, string) {
	pattern := regexp.MustCompile(fits)
	for _, e := range p.events {
		for _, v := range e.texts(keys) {
			if ordinary.MatchString(v) && pattern.MatchString(v) {
				return e, v
			}
		}
	}
	return nil, ""
}

// values are those of JSON documents by the keys that lead to them, as "indicator2[].score".
type values map[string][]any

const (
	maxPath  = 400  // bytes of such keys: documents can be thousands of levels deep
	maxKeys  = 1000 // in the report: an answer can hold any number
	maxKinds = 20   // of the values of a key
)

// add adds the values of what is at the path.
func (all values) add(path string, v any) values {
	object, _ := v.(map[string]any)
	elements, _ := v.([]any)
	if len(object)+len(elements) == 0 || len(path) > maxPath {
		all[path] = append(all[path], v)
		return all
	}
	for key, inner := range object {
		all.add(strings.TrimPrefix(path+"."+keyName(key), "."), inner)
	}
	for _, inner := range elements {
		all.add(path+"[]", inner)
	}
	return all
}

// MarshalJSON writes how many values of each type there are and, of texts, of each length: no value itself.
func (all values) MarshalJSON() ([]byte, error) {
	kinds := make(map[string]map[string]int)
	for _, key := range slices.Sorted(maps.Keys(all))[:min(len(all), maxKeys)] {
		kinds[key] = make(map[string]int)
		for _, v := range all[key] {
			kind := strings.Trim(fmt.Sprintf("%T", v), "<>")
			if text, isText := v.(string); isText {
				kind += fmt.Sprintf(" of %d", utf8.RuneCountInString(text))
			}
			if kinds[key][kind] > 0 || len(kinds[key]) < maxKinds {
				kinds[key][kind]++
			}
		}
	}
	return json.Marshal(kinds)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,39}$`)

// keyName keeps a key out that may be a value: an object can have paths or addresses for keys.
func keyName(key string) string { return cmp.Or(identifier.FindString(key), "(other)") }

// list joins the first names.
func list(names []string) string { return strings.Join(names[:min(len(names), 8)], ", ") }
