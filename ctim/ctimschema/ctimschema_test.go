package ctimschema_test

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim/ctimschema"
)

//go:embed testdata/observe.json
var observe string

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name, def, doc, want string // want "" is valid
	}{
		{"a full answer is valid", "ObserveResponse", observe, ""},
		{"an empty answer is valid", "ObserveResponse", `{"data":{}}`, ""},
		{"a health answer is valid", "HealthResponse", `{"data":{"status":"ok"}}`, ""},
		{"an error alone is valid", "ReferResponse", `{"errors":[{"type":"fatal","code":"unknown","message":"m"}]}`,
			""},
		{"a verdict is no health answer", "HealthResponse", `{"data":{"status":"fine"}}`,
			"not a CTIM HealthResponse: /data/status: value must be one of 'ok', 'error', 'unknown'"},
		{"an answer with neither data nor errors says both", "ObserveResponse", `{}`,
			"not a CTIM ObserveResponse: the document: missing property 'data'\nthe document: missing property 'errors'"},
		{"an unknown key is named", "observable", `{"type":"ip","value":"192.0.2.1","x":1}`,
			"not a CTIM observable: the document: additional properties 'x' not allowed"},
		{"a missing key is named with its place", "ObserveResponse", strings.Replace(observe, `"producer": "Qualys",`, "", 1),
			"not a CTIM ObserveResponse: /data/indicators/docs/0: missing property 'producer'"},
		{"an unknown definition is an error", "Nothing", `{}`,
			`the CTIM schema has no definition "Nothing"`},
		{"what is not JSON is an error", "ObserveResponse", `{"data":`, "not JSON: "},
		{"two values are not one document", "ObserveResponse", `{"data":{}} {}`, "not JSON: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ctimschema.Validate(tt.def, []byte(tt.doc))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestValidateAssertsFormats(t *testing.T) {
	// The pattern lets 30 February pass; only the format knows better.
	doc := strings.ReplaceAll(observe, "2020-03-17T12:19:31.000Z", "2020-02-30T12:19:31.000Z")
	require.ErrorContains(t, ctimschema.Validate("ObserveResponse", []byte(doc)), "date-time")
}

func TestValidateKeepsItsErrorShort(t *testing.T) {
	for def, doc := range map[string]string{
		"ObservablesRequest": "[" + strings.Repeat(`{"type":"ip"},`, 500) + `{"type":"ip"}]`,
		"observable":         `{"type":"ip","value":"1","` + strings.Repeat("x", 100_000) + `":1}`,
	} {
		err := ctimschema.Validate(def, []byte(doc))
		require.ErrorContains(t, err, "…")
		assert.Less(t, len(err.Error()), 4000)
	}
}
