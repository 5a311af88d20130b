package xdrtest

import (
	"reflect"
	"strings"
)

// moduleType is NewModuleTypeParams of the API, and PatchModuleTypeParams, as far as relays use them: the
// reflect.Kind of each value. Those that are marked with ! must be there. What is in the lists is held against the
// API's schema by the tests of package moduletype.
func moduleType() map[string]string {
	return map[string]string{
		"title": "string!", "default_name": "string!", "short_description": "string", "description": "string",
		"tips": "string", "logo": "string", "logo_dark": "string", "enabled": "bool",
		"max_nb_instances": "float64", "properties": "map", "flags": "slice", "capabilities": "slice",
		"product_categories": "slice", "external_references": "slice", "configuration_spec": "slice",
	}
}

// moduleInstance is NewModuleInstanceParams of the API.
func moduleInstance() map[string]string {
	return map[string]string{
		"name": "string!", "module_type_id": "string!", "visibility": "string!", "settings": "map",
		"enabled": "bool", "parent_id": "string", "external_references": "slice",
	}
}

// check refuses an object that has other keys or values. A patch needs no key, and clears with null what need
// not be there.
func check(params map[string]string, in object, patch bool) {
	for name, kind := range params {
		require(patch || in[name] != nil || !strings.HasSuffix(kind, "!"), 400, name+" is missing")
	}
	for name, value := range in {
		kind, must := strings.CutSuffix(params[name], "!")
		require(kind != "", 400, "disallowed key "+name)
		require(kind == reflect.ValueOf(value).Kind().String() || value == nil && patch && !must, 400,
			name+" is not what the API accepts")
	}
}
