// Package moduletype renders the module type that is registered in Cisco XDR: where the relay is, what it
// can do, and how XDR proves who it is. Its words are in moduletype.tmpl.
package moduletype

import (
	"bytes"
	"embed"
	"encoding/base64"
	"strings"
	"text/template"

	"github.com/go-json-experiment/json/jsontext"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/qualys"
)

//go:embed *.tmpl logo.svg
var files embed.FS

// Host is the host of a region of XDR (us, eu, apjc) that serves its APIs and its keys.
func Host(region string) string {
	if region == "us" {
		return "visibility.amp.cisco.com"
	}
	return "visibility." + region + ".amp.cisco.com"
}

// Options are what a module type depends on.
type Options struct {
	Title    string
	URL      string // the relay's, without a slash at its end
	Audience string // the aud claim of the tokens that XDR signs
	Region   string
	// ByXDR is RS256: XDR signs with its own key. Else it is HS256: XDR signs with Key, or without a Key stores
	// and sends the one token that the operator signed.
	ByXDR bool
	Key   secret.Value // the relay's; it will be in the module type
}

// execute fills the named template in. place is where the module type is.
func (o Options) execute(name, place string) ([]byte, error) {
	t := template.New(name)
	t.Funcs(template.FuncMap{
		"text": func(name string, data any) (string, error) {
			var b strings.Builder
			err := t.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"inClear":   func(key secret.Value) string { return string(key) },
		"host":      Host,
		"platforms": qualys.Platforms,
		"place":     func() string { return place },
		"logo": func() (string, error) {
			logo, err := files.ReadFile("logo.svg")
			return base64.StdEncoding.EncodeToString(logo), err
		},
	})
	if _, err := t.ParseFS(files, name); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err := t.Execute(&out, o)
	return out.Bytes(), err
}

// Render renders the module type as indented JSON.
func (o Options) Render() ([]byte, error) {
	doc, err := o.execute("moduletype.tmpl", "")
	if err == nil {
		err = (*jsontext.Value)(&doc).Indent(jsontext.WithIndent("  "))
	}
	return append(doc, '\n'), err
}

// NextSteps says what to do with the module type, which is in the named place.
func (o Options) NextSteps(place string) (string, error) {
	steps, err := o.execute("nextsteps.tmpl", place)
	return string(bytes.TrimSpace(steps)), err
}
