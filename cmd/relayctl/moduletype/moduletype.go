// Package moduletype renders the module type that is registered in Cisco XDR: where the relay is, what it
// can do, and how XDR proves who it is. Its words are in moduletype.tmpl.
package moduletype

import (
	"bytes"
	_ "embed" // the templates and the logo
	"encoding/base64"
	"strings"
	"text/template"

	"github.com/go-json-experiment/json/jsontext"

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

// Options are what a module type depends on.
type Options struct {
	Title    string
	URL      string // the relay's, without a slash at its end
	Audience string // the aud claim of the tokens that XDR signs
	Region   Region
	// ByXDR is RS256: XDR signs with its own key. Else it is HS256: XDR signs with Key, or without a Key stores
	// and sends the one token that the operator signed.
	ByXDR bool
	Key   secret.Value // the relay's; it will be in the module type
}

// execute fills a template in. place is where the module type is.
func (o Options) execute(source, place string) ([]byte, error) {
	t := template.New("module type")
	t.Funcs(template.FuncMap{
		"text": func(name string, data any) (string, error) {
			var b strings.Builder
			err := t.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"inClear":   func(key secret.Value) string { return string(key) },
		"platforms": qualys.Platforms,
		"logo":      func() string { return base64.StdEncoding.EncodeToString(logo) },
		"place":     func() string { return place },
	})
	if _, err := t.Parse(source); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := t.Execute(&out, o)
	return out.Bytes(), err
}

// Render renders the module type as indented JSON.
func (o Options) Render() ([]byte, error) {
	doc, err := o.execute(source, "")
	if err == nil {
		err = (*jsontext.Value)(&doc).Indent(jsontext.WithIndent("  "))
	}
	return append(doc, '\n'), err
}

// NextSteps says what to do with the module type, which is in the named place.
func (o Options) NextSteps(place string) (string, error) {
	steps, err := o.execute(nextSteps, place)
	return string(bytes.TrimSpace(steps)), err
}
