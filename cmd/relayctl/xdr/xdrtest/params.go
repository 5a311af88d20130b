package xdrtest

import (
	"fmt"
	"slices"
)

// param is a value that the API accepts: of a JSON type, or an object or a list of objects with these keys.
type param struct {
	kind     string // string, boolean, integer, any, object, list
	required bool
	nullable bool     // in a PATCH
	enum     []string // of a string
	keys     map[string]param
}

// moduleType is NewModuleTypeParams of the API, and PatchModuleTypeParams, as far as relays use them.
func moduleType() map[string]param {
	text := param{kind: "string"}
	nullable := param{kind: "string", nullable: true}
	must := param{kind: "string", required: true}
	boolean := param{kind: "boolean"}
	list := func(keys map[string]param) param { return param{kind: "list", nullable: true, keys: keys} }
	return map[string]param{
		"title": must, "default_name": must,
		"short_description": nullable, "description": nullable, "tips": nullable,
		"logo": nullable, "logo_dark": nullable,
		"enabled": {kind: "boolean", nullable: true}, "max_nb_instances": {kind: "integer", nullable: true},
		"properties": {kind: "any"}, "flags": list(nil),
		"capabilities": list(map[string]param{
			"id": {kind: "string", required: true, enum: []string{
				"health", "observe", "deliberate", "refer", "respond", "tiles", "assets", "automate",
			}},
			"description": must,
		}),
		"product_categories": list(map[string]param{
			"id":          {kind: "string", required: true, enum: []string{"edr", "siem", "ndr"}},
			"description": must,
		}),
		"external_references": list(map[string]param{
			"label": text, "link": text, "external_id": text, "class": text,
		}),
		"configuration_spec": list(map[string]param{
			"key": must, "label": must, "type": {kind: "string", required: true, enum: []string{
				"string", "password", "api_key", "integer", "boolean", "options", "file", "remote", "device",
			}},
			"required": boolean, "beta": boolean, "strict-options": boolean,
			"tooltip": text, "group": text, "subtype": text,
			"options": {kind: "any"}, "default_value": {kind: "any"},
		}),
	}
}

// moduleInstance is NewModuleInstanceParams of the API.
func moduleInstance() map[string]param {
	return map[string]param{
		"name": {kind: "string", required: true}, "module_type_id": {kind: "string", required: true},
		"visibility": {kind: "string", required: true, enum: []string{"global", "org", "user"}},
		"settings":   {kind: "any"}, "enabled": {kind: "boolean"},
		"parent_id": {kind: "string"}, "external_references": {kind: "any"},
	}
}

// check refuses an object that has other keys or values. A patch needs no key and may clear some.
func check(keys map[string]param, in object, patch bool) {
	for name, p := range keys {
		_, given := in[name]
		require(given || !p.required || patch, 400, name+" is missing")
	}
	for name, value := range in {
		p, known := keys[name]
		require(known, 400, "disallowed key "+name)
		if value == nil && patch && p.nullable {
			continue
		}
		var right bool
		switch p.kind {
		case "string":
			var text string
			text, right = value.(string)
			right = right && (p.enum == nil || slices.Contains(p.enum, text))
		case "boolean":
			_, right = value.(bool)
		case "integer":
			var n float64
			n, right = value.(float64)
			right = right && n == float64(int64(n))
		case "list":
			var list []any
			list, right = value.([]any)
			for _, element := range list {
				if o, ok := element.(object); ok && p.keys != nil {
					check(p.keys, o, false)
				} else if p.keys != nil {
					right = false
				}
			}
		default:
			right = value != nil
		}
		require(right, 400, fmt.Sprintf("%s is not what the API accepts", name))
	}
}
