package xdr

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
)

// ModuleType is a module type as XDR stores it, with all its fields.
type ModuleType map[string]any

// Text is the text in a field or, by the name "properties.NAME", in a property; empty where there is none.
func (t ModuleType) Text(name string) string {
	text, _ := flat(t)[name].(string)
	return text
}

// ModuleTypes are the organisation's module types, without Cisco's own, which are global.
func (c *Client) ModuleTypes(ctx context.Context) ([]ModuleType, error) {
	all, err := list[ModuleType](ctx, c, "list the module types", modulePath, url.Values{})
	return slices.DeleteFunc(all, func(t ModuleType) bool { return t["visibility"] != "org" }), err
}

// ErrNoModuleType is what FindModuleType's error wraps where there is none.
var ErrNoModuleType = errors.New("no module type")

// FindModuleType is the organisation's module type with the id or, where that is empty, with the title. None,
// and two with the same title, are errors.
func (c *Client) FindModuleType(ctx context.Context, id, title string) (ModuleType, error) {
	all, err := c.ModuleTypes(ctx)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(t ModuleType) bool {
		return id != "" && t.Text("id") != id || id == "" && t.Text("title") != title
	})
	switch len(found) {
	case 0:
		return nil, fmt.Errorf(`your organisation has %w %q in this region (--region); "relayctl module list" `+
			`shows those that there are, "relayctl module push" creates it`, ErrNoModuleType, cmp.Or(id, title))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d module types have the title %q; choose one with --id "+
		`("relayctl module list" shows them)`, len(found), title)
}

func (t ModuleType) path() string { return modulePath + "/" + url.PathEscape(t.Text("id")) }

// Delete is the request that deletes the module type.
func (t ModuleType) Delete() Request {
	return Request{Purpose: "delete the module type", Method: http.MethodDelete, Path: t.path()}
}

// Push is the request that makes XDR's module type like the document, which package moduletype rendered,
// and what it changes, for people: each field that differs, and from where on. Where there is no module type
// yet (nil), the request creates it. Without changes there is nothing to send.
//
// The request holds the fields that differ, each of them whole: a PATCH replaces lists. Properties it merges
// by their names, and null removes one. Of those that the document does not have, the ones that say how XDR
// proves who it is are removed, and others stay.
func Push(t ModuleType, doc []byte) (r Request, changes []string, err error) {
	var fields map[string]any
	if err := json.Unmarshal(doc, &fields); err != nil {
		return Request{}, nil, err
	}
	stored := flat(t)
	properties, _ := fields["properties"].(map[string]any)
	for _, name := range []string{
		"configuration-token-alg", "configuration-token-audience", "configuration-token-key", "custom_jwks_host",
	} {
		if _, stays := properties[name]; !stays && stored["properties."+name] != nil {
			properties[name] = nil
		}
	}
	wanted := flat(fields)
	patch := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if reflect.DeepEqual(stored[name], wanted[name]) {
			continue
		}
		field, _, _ := strings.Cut(name, ".")
		patch[field] = fields[field]
		before, after := difference(stored[name], wanted[name])
		changes = append(changes, "  "+name, "    - "+before, "    + "+after)
	}
	r = Request{Purpose: "create the module type", Method: http.MethodPost, Path: modulePath, Body: patch}
	if t != nil {
		r = Request{Purpose: "update the module type", Method: http.MethodPatch, Path: t.path(), Body: patch}
	}
	return r, changes, nil
}

// flat are the fields, with the properties among them, and HS256's shared key as a secret.
func flat(fields map[string]any) map[string]any {
	all := maps.Clone(fields)
	properties, _ := fields["properties"].(map[string]any)
	delete(all, "properties")
	for name, value := range properties {
		if key, ok := value.(string); ok && name == "configuration-token-key" {
			value = secret.Value(key)
		}
		all["properties."+name] = value
	}
	return all
}

// difference is the JSON of two values, from shortly before where they begin to differ.
func difference(a, b any) (before, after string) {
	x, _ := json.Marshal(a) // both came from JSON
	y, _ := json.Marshal(b)
	same := 0
	for same < min(len(x), len(y)) && x[same] == y[same] {
		same++
	}
	begin := max(0, same-40)
	return plain.Short(string(x[begin:]), 200), plain.Short(string(y[begin:]), 200)
}
