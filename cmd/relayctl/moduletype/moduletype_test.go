package moduletype

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/secret"
)

var update = flag.Bool("update", false, "write the golden files")

const testKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func moduleVariants() map[string]Options {
	variant := func(alg string, key secret.Value) Options {
		const url = "https://relay.example"
		return Options{Title: "Qualys EDR", URL: url, Audience: url, Region: "us", ByXDR: alg == "RS256",
			Key: key}
	}
	return map[string]Options{
		"rs256":          variant("RS256", ""),
		"hs256_token":    variant("HS256", ""),
		"hs256_embedded": variant("HS256", testKey),
	}
}

func TestModuleTypesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for name, m := range moduleVariants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := m.Render()
			require.NoError(t, err)
			require.NoError(t, validate(got))
			file := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, got, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
}

func TestEveryCapabilityHasItsAPI(t *testing.T) {
	t.Parallel()
	for name, m := range moduleVariants() {
		var ids []string
		var module struct {
			Capabilities []struct{ ID string }
			Properties   struct {
				APIs []string `json:"supported-apis"`
			}
		}
		doc, err := m.Render()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(doc, &module))
		for _, capability := range module.Capabilities {
			ids = append(ids, capability.ID)
		}
		var apis []string
		for _, api := range module.Properties.APIs {
			api, _, _ = strings.Cut(api, "/")
			if !slices.Contains(apis, api) {
				apis = append(apis, api)
			}
		}
		assert.ElementsMatch(t, ids, apis, name)
	}
}

func TestTheLogoIsASmallDrawingWithoutScript(t *testing.T) {
	t.Parallel()
	svg, err := files.ReadFile("logo.svg")
	require.NoError(t, err)
	assert.Less(t, len(svg), 2048)
	var root struct {
		XMLName xml.Name
		Shapes  []struct {
			XMLName xml.Name
			Attrs   []xml.Attr `xml:",any,attr"`
		} `xml:",any"`
	}
	require.NoError(t, xml.Unmarshal(svg, &root))
	assert.Equal(t, "svg", root.XMLName.Local)
	for _, shape := range root.Shapes {
		assert.Contains(t, []string{"rect", "path", "circle"}, shape.XMLName.Local)
		for _, attr := range shape.Attrs {
			assert.False(t, strings.HasPrefix(attr.Name.Local, "on") || attr.Name.Local == "href",
				attr.Name.Local)
		}
	}
}

// TestTheSchemaRefuses changes one thing in a good module type and expects it to be refused, at that place.
func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	properties := func(m object) object { return m["properties"].(object) }
	field := func(m object, i int) object { return m["configuration_spec"].([]any)[i].(object) }
	for name, c := range map[string]struct {
		of     string
		change func(m object)
		place  string
	}{
		"no title": {"rs256", func(m object) { delete(m, "title") },
			"/ (required)"},
		"no default name": {"rs256", func(m object) { delete(m, "default_name") },
			"/ (required)"},
		"an empty title": {"rs256", func(m object) { m["title"] = "" }, "/title"},
		"a key that the API does not know": {"rs256", func(m object) { m["colour"] = "red" },
			"/ (additionalProperties)"},
		"a capability that XDR does not know": {"rs256",
			func(m object) { m["capabilities"].([]any)[0].(object)["id"] = "observes" },
			"/capabilities/0/id"},
		"a capability without description": {"rs256",
			func(m object) { delete(m["capabilities"].([]any)[1].(object), "description") },
			"/capabilities/1"},
		"a capability with more": {"rs256",
			func(m object) { m["capabilities"].([]any)[1].(object)["x"] = 1 }, "/capabilities/1"},
		"a field type that XDR does not know": {"rs256", func(m object) { field(m, 0)["type"] = "text" },
			"/configuration_spec/0/type"},
		"a field without label": {"rs256", func(m object) { delete(field(m, 0), "label") },
			"/configuration_spec/0"},
		"a field of an odd name": {"rs256", func(m object) { field(m, 0)["key"] = "user" },
			"/configuration_spec/0/key"},
		"a password that is shown": {"rs256", func(m object) { field(m, 1)["type"] = "string" },
			"/configuration_spec/1/type"},
		"a password with a default": {"rs256",
			func(m object) { field(m, 1)["default_value"] = "x" }, "/configuration_spec/1/default_value"},
		"a token that is shown": {"hs256_token",
			func(m object) { field(m, 1)["type"] = "string" }, "/configuration_spec/1/type"},
		"an integer whose default is text": {"rs256",
			func(m object) { field(m, 4)["default_value"] = "100" }, "/configuration_spec/4/default_value"},
		"a flag that was never seen": {"rs256",
			func(m object) { m["flags"] = []any{"first-party"} }, "/flags/0"},
		"a category that is none": {"rs256",
			func(m object) { m["product_categories"].([]any)[0].(object)["id"] = "xdr" },
			"/product_categories/0/id"},
		"a logo from elsewhere": {"rs256",
			func(m object) { m["logo"] = "https://relay.example/logo.svg" }, "/logo"},
		"a link that is none": {"rs256",
			func(m object) { m["external_references"].([]any)[0].(object)["link"] = "not a link" },
			"/external_references/0/link"},
		"plain http": {"rs256",
			func(m object) { properties(m)["url"] = "http://relay.example" }, "/properties/url"},
		"a trailing slash": {"rs256",
			func(m object) { properties(m)["url"] = "https://relay.example/" }, "/properties/url"},
		"an endpoint that XDR does not call": {"rs256",
			func(m object) { properties(m)["supported-apis"] = []any{"version"} },
			"/properties/supported-apis/0"},
		"RS256 without a key host": {"rs256",
			func(m object) { delete(properties(m), "custom_jwks_host") }, "/properties"},
		"a key host that is not Cisco's": {"rs256",
			func(m object) { properties(m)["custom_jwks_host"] = "keys.example" },
			"/properties/custom_jwks_host"},
		"RS256 with a shared key": {"rs256",
			func(m object) { properties(m)["configuration-token-key"] = testKey }, "/properties"},
		"HS256 without its key": {"hs256_embedded",
			func(m object) { delete(properties(m), "configuration-token-key") }, "/properties"},
		"HS256 with a short key": {"hs256_embedded",
			func(m object) { properties(m)["configuration-token-key"] = "short" },
			"/properties/configuration-token-key"},
		"a token given before, and a key": {"hs256_token",
			func(m object) { properties(m)["configuration-token-key"] = testKey }, "/properties"},
		"a way to sign that XDR does not know": {"rs256",
			func(m object) { properties(m)["configuration-token-alg"] = "none" },
			"/properties/configuration-token-alg"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := moduleVariants()[c.of].Render()
			require.NoError(t, err)
			var m object
			require.NoError(t, json.Unmarshal(doc, &m))
			c.change(m)
			doc, err = json.Marshal(m)
			require.NoError(t, err)
			err = validate(doc)
			require.ErrorContains(t, err, c.place)
			assert.NotContains(t, err.Error(), testKey)
		})
	}
}

func TestEveryRegionHasItsOwnHost(t *testing.T) {
	t.Parallel()
	for region, host := range map[string]string{
		"us": "visibility.amp.cisco.com", "eu": "visibility.eu.amp.cisco.com",
		"apjc": "visibility.apjc.amp.cisco.com",
	} {
		m := Options{Title: "Q", URL: "https://relay.example", Audience: "https://relay.example", Region: region,
			ByXDR: true}
		doc, err := m.Render()
		require.NoError(t, err, region)
		require.NoError(t, validate(doc), region)
		assert.Contains(t, string(doc), `"custom_jwks_host": "`+host+`"`)
	}
}

// validate holds a document against the schema. Its errors name the place, never a value: a key can be one.
func validate(doc []byte) error {
	source, err := os.ReadFile(filepath.Join("testdata", "schema.json")) // of what XDR accepts
	if err != nil {
		return err
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("moduletype.json", schema); err != nil {
		return err
	}
	compiled, err := compiler.Compile("moduletype.json")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	err = compiled.Validate(value)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return fmt.Errorf("the module type is not what XDR accepts: %s",
			strings.Join(wrongPlaces(invalid), ", "))
	}
	return err
}

// wrongPlaces are the places in the document that a validation error is about, and the rule that each breaks.
func wrongPlaces(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		return []string{"/" + strings.Join(e.InstanceLocation, "/") + " (" +
			strings.Join(e.ErrorKind.KeywordPath(), "/") + ")"}
	}
	var places []string
	for _, cause := range e.Causes {
		places = append(places, wrongPlaces(cause)...)
	}
	return places
}
