// Package moduletype renders the module type that is registered in Cisco XDR: where the relay is, what it
// can do, and how XDR proves who it is. Its words are in moduletype.tmpl.
package moduletype

import (
	"bytes"
	_ "embed" // the templates and the logo
	"encoding/base64"
	"encoding/json"
	"strings"
	"text/template"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

var (
	//go:embed moduletype.tmpl
	source string
	//go:embed nextsteps.tmpl
	nextSteps string
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

// document is what the templates are filled with.
type document struct {
	Options
	Key        string // in clear
	ByXDR      bool
	ReadyToken bool
	Platforms  []qualys.Platform
	Logo       string
	Place      string
}

// execute fills a template in.
func (o Options) execute(source, place string) ([]byte, error) {
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
	var out bytes.Buffer
	err := t.Execute(&out, document{
		Options: o, Key: string(o.Key), ByXDR: o.Signing == ByXDR, ReadyToken: o.Signing == Before,
		Platforms: qualys.Platforms(), Place: place,
		Logo: "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(logo),
	})
	return out.Bytes(), err
}

// Render renders the module type as indented JSON.
func (o Options) Render() ([]byte, error) {
	doc, err := o.execute(source, "")
	if err != nil {
		return nil, err
	}
	var pretty bytes.Buffer
	err = json.Indent(&pretty, doc, "", "  ")
	return pretty.Bytes(), err
}

// NextSteps says what to do with the module type, which is in the named place.
func (o Options) NextSteps(place string) (string, error) {
	steps, err := o.execute(nextSteps, place)
	return string(bytes.TrimSpace(steps)), err
}

// encode is a value as JSON, with < and > as they are.
func encode(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSpace(b.String()), err
}
