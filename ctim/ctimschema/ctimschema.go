// Package ctimschema checks documents against the JSON Schemas of the relay's answers: of CTIM, and of the
// tiles of XDR's dashboard. It stands apart from package ctim so that the schema library is linked into tests
// and tools only, never into the deployed function.
package ctimschema

import (
	"bytes"
	"cmp"
	_ "embed" // the schemas
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schemas are draft 2020-12 and closed. That of CTIM has every envelope and entity under $defs. It was
// built by hand from the field lists of CTIM and Cisco's enrich API.
var (
	//go:embed ctim.schema.json
	entities string
	//go:embed tiles.schema.json
	tiles string
)

const (
	maxLines = 10  // of an error: a broken answer repeats itself
	maxValue = 300 // characters of one such line
)

// compiled is every definition of the schemas by name, compiled at the first call. Of two of one name, that
// of the tiles is kept, which refers to the other one.
var compiled = sync.OnceValue(func() map[string]*jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // nothing is ever fetched
	c.AssertFormat()
	all := make(map[string]*jsonschema.Schema)
	for _, schema := range [...]string{entities, tiles} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		root, _ := doc.(map[string]any)
		id, _ := root["$id"].(string)
		if err = errors.Join(err, c.AddResource(id, doc)); err != nil {
			panic(err) // both schemas are our own
		}
		defs, _ := root["$defs"].(map[string]any)
		for name := range defs {
			all[name] = c.MustCompile(id + "#/$defs/" + name)
		}
	}
	return all
})

// Validate checks a JSON document against a definition of the schemas, such as "ObserveResponse",
// "DeliberateResponse", "HealthResponse", "ReferResponse" or "TileDataResponse". Formats are asserted. The
// error has one line for each violation, a JSON pointer and what is wrong there, and names ten at most.
func Validate(def string, doc []byte) error {
	s := compiled()[def]
	if s == nil {
		return fmt.Errorf("the CTIM schema has no definition %q", def)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	err = s.Validate(v)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	lines := violations(nil, invalid)
	if more := len(lines) - maxLines; more > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("and %d more", more))
	}
	return errors.New("not a CTIM " + def + ": " + strings.Join(lines, "\n"))
}

// violations collects the leaves of an error: a violation of "anyOf the following" says nothing, its
// causes do.
func violations(lines []string, e *jsonschema.ValidationError) []string {
	for _, cause := range e.Causes {
		lines = violations(lines, cause)
	}
	if len(e.Causes) > 0 {
		return lines
	}
	leaf := e.BasicOutput()
	what := []rune(leaf.Error.String())
	if len(what) > maxValue {
		what = append(what[:maxValue], '…')
	}
	return append(lines, cmp.Or(leaf.InstanceLocation, "the document")+": "+string(what))
}
