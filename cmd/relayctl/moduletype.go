package main

import (
	"bytes"
	_ "embed" // the logo and the schema
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"qualysrelay.example/qualys"
)

var (
	//go:embed moduletype/logo.svg
	moduleLogo string
	//go:embed moduletype/schema.json
	moduleSchema string
)

// moduleType is what XDR's integration API takes as a new module type (NewModuleTypeParams), as far as the relay fills it.
type moduleType struct {
	Title              string              `json:"title"`
	DefaultName        string              `json:"default_name"`
	ShortDescription   string              `json:"short_description"`
	Description        string              `json:"description"` // markdown
	Tips               string              `json:"tips"`        // markdown, beside the form that an instance is made with
	Capabilities       []described         `json:"capabilities"`
	ConfigurationSpec  []field             `json:"configuration_spec"`
	Properties         moduleProperties    `json:"properties"`
	ProductCategories  []described         `json:"product_categories"`
	ExternalReferences []externalReference `json:"external_references"`
	Flags              []string            `json:"flags"`
	Enabled            bool                `json:"enabled"`
	Logo               string              `json:"logo"`
}

type described struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// field is one field of the form that a module instance is made with. Fields named custom_x become the claim x of a configuration token.
type field struct {
	Key      string `json:"key"`
	Type     string `json:"type"`
	Label    string `json:"label"`
	Tooltip  string `json:"tooltip,omitempty"`
	Default  any    `json:"default_value,omitempty"`
	Required bool   `json:"required"`
}

type externalReference struct {
	Label string `json:"label"`
	Link  string `json:"link"`
}

// moduleProperties tell XDR how to call the relay.
type moduleProperties struct {
	SupportedAPIs []string `json:"supported-apis"`
	URL           string   `json:"url"`
	AuthType      string   `json:"auth-type"`
	TokenAlg      string   `json:"configuration-token-alg,omitempty"`
	TokenKey      string   `json:"configuration-token-key,omitempty"` // the HS256 key itself
	TokenAudience string   `json:"configuration-token-audience,omitempty"`
	JWKSHost      string   `json:"custom_jwks_host,omitempty"`
}

// cloud is a region of XDR.
type cloud struct{ iroh, ui string }

func clouds() map[string]cloud {
	return map[string]cloud{
		"us":   {"visibility.amp.cisco.com", "xdr.us.security.cisco.com"},
		"eu":   {"visibility.eu.amp.cisco.com", "xdr.eu.security.cisco.com"},
		"apjc": {"visibility.apjc.amp.cisco.com", "xdr.apjc.security.cisco.com"},
	}
}

// signing is who signs the tokens that XDR sends, and with what.
type signing int

const (
	signedByXDR    signing = iota // RS256: XDR's own key
	signedBefore                  // HS256: the operator signed one token, XDR stores and sends it
	signedWithOurs                // HS256: XDR signs with the relay's key, which stands in the module type
)

// newModuleType renders the module type for a relay. key is used with signedWithOurs only.
func newModuleType(title, url, audience, jwksHost string, by signing, key secret) moduleType {
	m := moduleType{
		Title:            title,
		DefaultName:      title,
		ShortDescription: "Finds files, processes and connections that Qualys EDR saw on your endpoints, and Qualys's own judgement of them.",
		Description: `Qualys EDR records what happens on endpoints: files, processes, network connections, mutexes. This integration asks it about the observables of an investigation through a relay that your own organisation runs.

- **Sightings**: on which host, when, in which state (still active or historical)
- **Judgements and verdicts**: what Qualys thinks of a file, with the name of the threat
- **Indicators**: the score of each event
- **References**: a link into the hunting page of the Qualys console for each observable

Searched are IP and IPv6 addresses, domains, host names, MD5 and SHA-256 hashes, file names, file paths, process names and mutexes.`,
		Capabilities: []described{
			{"health", "Logs in to Qualys and runs a small search."},
			{"observe", "Searches Qualys EDR for sightings of an observable, with indicators, judgements and their relationships."},
			{"deliberate", "Gives Qualys's verdict on file hashes that it judged."},
			{"refer", "Links an observable to a search in the Qualys console."},
		},
		ProductCategories: []described{{"edr", "Endpoint Detection and Response"}},
		ExternalReferences: []externalReference{
			{"Qualys EDR", "https://www.qualys.com/apps/endpoint-detection-response/"},
			{"Identify your Qualys platform", "https://www.qualys.com/platform-identification/"},
		},
		Properties: moduleProperties{
			SupportedAPIs: []string{"health", "observe/observables", "deliberate/observables", "refer/observables"},
			URL:           url,
			AuthType:      "configuration-token",
			TokenAudience: audience,
		},
		Flags:   []string{"third-party-serverless", "xdr"},
		Enabled: true,
		Logo:    "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(moduleLogo)),
	}
	switch by {
	case signedByXDR:
		m.Properties.TokenAlg, m.Properties.JWKSHost = "RS256", jwksHost
	case signedWithOurs:
		m.Properties.TokenAlg, m.Properties.TokenKey = "HS256", string(key)
	case signedBefore:
		m.Properties.AuthType, m.Properties.TokenAudience = "bearer", ""
		m.ConfigurationSpec = []field{
			{Key: "url", Type: "string", Label: "Relay URL", Tooltip: "Where the relay runs. It is filled in already.", Default: url, Required: true},
			{Key: "token", Type: "api_key", Label: "Configuration token", Tooltip: "What `relayctl token` printed: three parts joined by dots, without the word Bearer.", Required: true},
		}
		m.Tips = tips([]string{
			"Make a token for the Qualys user with `relayctl token`. The relay's own settings, such as the Qualys platform, can be part of it.",
			"Paste it into **Configuration token**, without the word `Bearer`, and leave **Relay URL** as it is.",
		})
		return m
	}
	m.ConfigurationSpec = []field{
		{Key: "custom_user", Type: "string", Label: "Qualys user name", Tooltip: "A user with the EDR role and API access, made for this integration.", Required: true},
		{Key: "custom_pass", Type: "password", Label: "Qualys password", Tooltip: "The password of that user.", Required: true},
		{Key: "custom_API_URL", Type: "string", Label: "Qualys gateway URL", Tooltip: "The API gateway of your Qualys platform, such as " + qualys.Platforms()[0].Gateway + ". The tips list them all.", Required: true},
		{Key: "custom_PLATFORM_URL", Type: "string", Label: "Qualys console URL", Tooltip: "Where you log in to Qualys, such as " + qualys.Platforms()[0].UI + ". Links out of an investigation go there."},
		{Key: "custom_CTR_ENTITIES_LIMIT", Type: "integer", Label: "Entities limit", Tooltip: "The most sightings, indicators and judgements for each observable. 100 is a good value; more make slower and heavier answers.", Default: 100},
	}
	m.Tips = tips([]string{
		"Enter its **user name** and **password** here.",
		"Enter the **gateway URL** and the **console URL** of your Qualys platform:" + platformList(),
	})
	return m
}

// tips is the text beside the form: how to get a Qualys user, then what to enter.
func tips(enter []string) string {
	steps := append([]string{
		"In the Qualys console, under **Administration > Users**, make a user for this integration: read only, with the EDR role, API access, and a scope that covers your assets. Note its user name and password.",
	}, enter...)
	steps = append(steps,
		"Click **Save**. XDR calls the health check: the relay logs in to Qualys and runs one small search.",
		"If it fails, the message says why: `Authorization failed` is about the token or the Qualys password, `Unable to connect` about the gateway URL, `Wrong configuration-token-audience` about the relay's `JWT_AUDIENCE`.",
	)
	var b strings.Builder
	for i, step := range steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, step)
	}
	return b.String()
}

// platformList lists Qualys's shared platforms in markdown, as a part of a step.
func platformList() string {
	var b strings.Builder
	for _, platform := range qualys.Platforms() {
		fmt.Fprintf(&b, "\n    - %s: %s and %s", platform.Name, platform.Gateway, platform.UI)
	}
	return b.String()
}

// encode is the module type as indented JSON, checked against the schema of what XDR takes.
func (m moduleType) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	return out.Bytes(), checkModuleType(out.Bytes())
}

// checkModuleType validates a module type. Its errors name the place, never a value: a key can be one.
func checkModuleType(doc []byte) error {
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(moduleSchema))
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
		return fmt.Errorf("the module type is not what XDR takes: %s", strings.Join(wrongPlaces(invalid), ", "))
	}
	return err
}

// wrongPlaces are the places in the document that a validation error is about, and the rule that each breaks.
func wrongPlaces(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		return []string{"/" + strings.Join(e.InstanceLocation, "/") + " (" + strings.Join(e.ErrorKind.KeywordPath(), "/") + ")"}
	}
	var places []string
	for _, cause := range e.Causes {
		places = append(places, wrongPlaces(cause)...)
	}
	return places
}
