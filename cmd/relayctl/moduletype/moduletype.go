// Package moduletype renders the module type that is registered in Cisco XDR: where the relay is, what it
// can do, and how XDR proves who it is. Its words are in moduletype.tmpl.
package moduletype

import (
	"bytes"
	_ "embed" // the template and the logo
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

var (
	//go:embed moduletype.tmpl
	source string
	//go:embed logo.svg
	logo []byte
)

// Region is a region of XDR: the host that serves its APIs and keys, and the one that people log in to.
type Region struct{ API, UI string }

// Regions are the regions by the names that "relayctl module --region" takes.
func Regions() map[string]Region {
	return map[string]Region{
		"us":   {"visibility.amp.cisco.com", "xdr.us.security.cisco.com"},
		"eu":   {"visibility.eu.amp.cisco.com", "xdr.eu.security.cisco.com"},
		"apjc": {"visibility.apjc.amp.cisco.com", "xdr.apjc.security.cisco.com"},
	}
}

// Signing is who signs the tokens that XDR sends, and with what.
type Signing int

// The ways of signing.
const (
	ByXDR    Signing = iota // RS256: XDR with its own key
	Before                  // HS256: the operator signed one token, XDR stores and sends it
	EmbedKey                // HS256: XDR with the relay's key, which is in the module type
)

// Options are what a module type depends on.
type Options struct {
	Title    string
	URL      string // the relay's, without a slash at its end
	Audience string // the aud claim of the tokens that XDR signs
	Region   Region
	Signing  Signing
	Key      secret.Value // with EmbedKey only
}

// Render renders the module type as indented JSON.
func (o Options) Render() ([]byte, error) {
	t := template.New("module type")
	t.Funcs(template.FuncMap{
		"json": encode,
		"text": func(name string, data any) (string, error) {
			var b strings.Builder
			err := t.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
	})
	if _, err := t.Parse(source); err != nil {
		return nil, err
	}
	var out, pretty bytes.Buffer
	err := t.Execute(&out, struct {
		Options
		Key        string // in clear
		ReadyToken bool
		Platforms  []qualys.Platform
		Logo       string
	}{o, string(o.Key), o.Signing == Before, qualys.Platforms(), "data:image/svg+xml;base64," +
		base64.StdEncoding.EncodeToString(logo)})
	if err != nil {
		return nil, err
	}
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	return pretty.Bytes(), nil
}

// encode is a value as JSON, with < and > as they are.
func encode(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// NextSteps says what to do with the module type, which is in the named place.
func (o Options) NextSteps(place string) string {
	var setting, form string
	switch o.Signing {
	case ByXDR:
		setting = fmt.Sprintf("JWT_AUDIENCE=%s and JWKS_HOSTS=%s", o.Audience, o.Region.API)
		form = "fill in the Qualys user, password, gateway and console"
	case Before:
		setting = "the signing key (SECRET_KEY_FILE, or SECRET_KEY_SECRET for Secret Manager)"
		form = `paste what "relayctl token" prints into Configuration token`
	case EmbedKey:
		setting = fmt.Sprintf("the same signing key (SECRET_KEY_FILE or SECRET_KEY_SECRET) and "+
			"JWT_AUDIENCE=%s", o.Audience)
		form = "fill in the Qualys user, password, gateway and console"
	}
	steps := fmt.Sprintf(`Next steps:
  1. The relay has %s.
  2. Make an API client with the scope "integration" in https://%s (Administration > API Clients).
  3. Register the module type: https://%s/iroh/iroh-int/index.html, POST /iroh/iroh-int/module-type, body: %s.
  4. Add the integration in https://%s (Administration > Integrations > %s): %s.`,
		setting, o.Region.UI, o.Region.API, place, o.Region.UI, o.Title, form)
	if o.Signing == EmbedKey {
		steps += fmt.Sprintf("\n  5. Delete %s: it holds the signing key.", place)
	}
	return steps
}
