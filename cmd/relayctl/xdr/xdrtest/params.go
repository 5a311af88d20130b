package xdrtest

import (
	"math"
	"slices"
	"strings"
)

// moduleType is NewModuleTypeParams of the API, and PatchModuleTypeParams, as far as relays use them: the
// kind of each value, or the texts that it may be. Those that are marked with ! must be there.
func moduleType() map[string]string {
	return map[string]string{
		"title": "text!", "default_name": "text!", "short_description": "text", "description": "text",
		"tips": "text", "logo": "text", "logo_dark": "text", "enabled": "boolean",
		"max_nb_instances": "integer", "properties": "object", "flags": "texts",

		"capabilities":             "objects",
		"capabilities.id":          "health|observe|deliberate|refer|respond|tiles|assets|automate!",
		"capabilities.description": "text!",

		"product_categories":             "objects",
		"product_categories.id":          "edr|siem|ndr!",
		"product_categories.description": "text!",

		"external_references":       "objects",
		"external_references.label": "text", "external_references.link": "text",
		"external_references.external_id": "text", "external_references.class": "text",

		"configuration_spec":      "objects",
		"configuration_spec.type": "string|password|api_key|integer|boolean|options|file|remote|device!",
		"configuration_spec.key":  "text!", "configuration_spec.label": "text!",
		"configuration_spec.required": "boolean", "configuration_spec.beta": "boolean",
		"configuration_spec.tooltip": "text", "configuration_spec.group": "text",
		"configuration_spec.options": "any", "configuration_spec.default_value": "any",
	}
}

// moduleInstance is NewModuleInstanceParams of the API.
func moduleInstance() map[string]string {
	return map[string]string{
		"name": "text!", "module_type_id": "text!", "visibility": "global|org|user!",
		"settings": "object", "enabled": "boolean", "parent_id": "text", "external_references": "any",
	}
}

// check refuses an object that has other keys or values. prefix is the way to it, with a dot at its end. A
// patch needs no key, and clears with null what need not be there.
func check(params map[string]string, prefix string, in object, patch bool) {
	for path, kind := range params {
		name, here := strings.CutPrefix(path, prefix)
		if here && !patch && !strings.Contains(name, ".") && strings.HasSuffix(kind, "!") {
			require(in[name] != nil, 400, path+" is missing")
		}
	}
	for name, value := range in {
		path := prefix + name
		require(params[path] != "", 400, "disallowed key "+path)
		kind, must := strings.CutSuffix(params[path], "!")
		right := kind == "any"
		switch v := value.(type) {
		case nil:
			right = patch && !must
		case string:
			right = right || kind == "text" || slices.Contains(strings.Split(kind, "|"), v)
		case bool:
			right = right || kind == "boolean"
		case float64:
			right = right || kind == "integer" && v == math.Trunc(v)
		case object:
			right = right || kind == "object"
		case []any:
			right = right || kind == "texts" || kind == "objects"
			for _, element := range v {
				if o, isObject := element.(object); isObject && kind == "objects" {
					check(params, path+".", o, false)
				} else if kind == "objects" {
					right = false
				}
			}
		}
		require(right, 400, path+" is not what the API accepts")
	}
}
