package xdr

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"qualysrelay.example/cmd/relayctl/plain"
)

// visibilityOrg is the visibility of what belongs to the organisation; Cisco's own module types are global.
const visibilityOrg = "org"

// ModuleType is a module type as XDR stores it.
type ModuleType struct {
	ID, Title, Visibility string
	Enabled               bool
	DefaultName           string         `json:"default_name"`
	UpdatedAt             string         `json:"updated_at"`
	CreatedAt             string         `json:"created_at"`
	Properties            map[string]any // url and how XDR proves who it is, among others
	Form                  []struct {     // what an integration of this type has to be told
		Key, Label string
		Required   bool
	} `json:"configuration_spec"`

	fields map[string]any // everything
}

// UnmarshalJSON reads a module type and keeps what the struct has no field for.
func (t *ModuleType) UnmarshalJSON(doc []byte) error {
	type typed ModuleType
	if err := json.Unmarshal(doc, (*typed)(t)); err != nil {
		return err
	}
	return json.Unmarshal(doc, &t.fields)
}

// Property is a property that is a string, or nothing.
func (t *ModuleType) Property(name string) string {
	value, _ := t.Properties[name].(string)
	return value
}

// ModuleTypes are the organisation's module types, without Cisco's own.
func (c *Client) ModuleTypes(ctx context.Context) ([]*ModuleType, error) {
	all, err := list(ctx, c, "list the module types", modulePath, url.Values{},
		func(t *ModuleType) string { return t.ID })
	return slices.DeleteFunc(all, func(t *ModuleType) bool { return t.Visibility != visibilityOrg }), err
}

// FindModuleType is the organisation's module type with the id, or else with the title; nil where none has
// the title. Two with the same title, and a type of Cisco's, are errors.
func (c *Client) FindModuleType(ctx context.Context, id, title string) (*ModuleType, error) {
	if id != "" {
		t := new(ModuleType)
		err := c.Send(ctx, Request{
			Purpose: "read the module type " + id, Method: http.MethodGet, Path: moduleAt(id),
		}, t)
		if err == nil && t.Visibility != visibilityOrg {
			err = fmt.Errorf("the module type %s (%s) is Cisco's, not your organisation's", id, t.Title)
		}
		return t, err
	}
	found, err := c.ModuleTypes(ctx)
	found = slices.DeleteFunc(found, func(t *ModuleType) bool { return t.Title != title })
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, fmt.Errorf("%d module types have the title %q; choose one with --id "+
			"(\"relayctl module list\" shows them)", len(found), title)
	}
	return found[0], nil
}

func moduleAt(id string) string { return modulePath + "/" + url.PathEscape(id) }

// Delete is the request that deletes the module type.
func (t *ModuleType) Delete() Request {
	return Request{Purpose: "delete the module type", Method: http.MethodDelete, Path: moduleAt(t.ID)}
}

// secretProperty is HS256's shared key, which package moduletype can put into a module type.
const secretProperty = "configuration-token-key"

// authentication are the properties that say how XDR proves who it is. A push removes those that the new
// way does not have, and leaves other properties that it does not know alone.
func authentication() []string {
	return []string{
		"configuration-token-alg", "configuration-token-audience", secretProperty, "custom_jwks_host",
	}
}

// Push is the request that makes XDR's module type like the document, which package moduletype rendered,
// and what it changes, as lines for people: the name of each field that differs, then its lines or elements
// that go, and those that come. Where there is no module type yet (nil), the request creates it. Without
// changes there is nothing to send.
//
// The request holds the fields that differ, each of them whole: a PATCH replaces lists. Properties it merges
// by their names, with null for what goes, says the API's schema; all of them are sent, which is right also
// where they are replaced.
func Push(t *ModuleType, doc []byte) (Request, []string, error) {
	if t == nil {
		return Request{
			Purpose: "create the module type",
			Method:  http.MethodPost, Path: modulePath, Body: json.RawMessage(doc),
		}, nil, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(doc, &fields); err != nil {
		return Request{}, nil, err
	}
	properties, _ := fields["properties"].(map[string]any)
	for _, name := range authentication() {
		if _, stays := properties[name]; !stays && t.Properties[name] != nil {
			properties[name] = nil
		}
	}
	stored, wanted := flat(t.fields), flat(fields)
	patch := make(map[string]any)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if reflect.DeepEqual(stored[name], wanted[name]) {
			continue
		}
		field, _, _ := strings.Cut(name, ".")
		patch[field] = fields[field]
		before, after := lines(name, stored[name]), lines(name, wanted[name])
		gone, come := without(before, after, "-"), without(after, before, "+")
		if len(gone)+len(come) == 0 {
			come = []string{"    + (the same in another order)"}
		}
		changes = slices.Concat(changes, []string{"  " + name}, gone, come)
	}
	return Request{
		Purpose: "update the module type", Method: http.MethodPatch, Path: moduleAt(t.ID), Body: patch,
	}, changes, nil
}

// flat are the fields, with the properties among them.
func flat(fields map[string]any) map[string]any {
	all := maps.Clone(fields)
	properties, _ := fields["properties"].(map[string]any)
	delete(all, "properties")
	for name, value := range properties {
		all["properties."+name] = value
	}
	return all
}

// lines are a value for people: the lines of a text, the elements of a list.
func lines(name string, value any) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if name == "properties."+secretProperty {
			return []string{"(a key, not shown)"}
		}
		if strings.HasPrefix(v, "data:") {
			sum := sha256.Sum256([]byte(v))
			return []string{fmt.Sprintf("(an image of %d bytes, SHA-256 %x…)", len(v), sum[:4])}
		}
		return strings.Split(v, "\n")
	case []any:
		var list []string
		for _, element := range v {
			list = append(list, lines("", element)...)
		}
		return list
	default:
		doc, _ := json.Marshal(v) // it came from JSON
		return []string{string(doc)}
	}
}

// without are the lines that the others do not have, as often as they have them less, behind the sign.
func without(lines, others []string, sign string) (left []string) {
	others = slices.Clone(others)
	for _, line := range lines {
		if i := slices.Index(others, line); i >= 0 {
			others = slices.Delete(others, i, i+1)
			continue
		}
		left = append(left, "    "+sign+" "+plain.Short(line, 500))
	}
	return left
}
