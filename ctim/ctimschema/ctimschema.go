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

// compiled is every definition of the schemas by name, compiled at the first call. Of two of one name, that
// of the tiles is kept, which refers to the other one.
var compiled = sync.OnceValue(func() map[string]*jsonschema.Schema {
	c := jsonschema.NewCompiler()
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
// error has one line for each violation, a JSON pointer and what is wrong there. It is cut at 3,000
// characters: a broken answer repeats itself.
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
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	text := []rune(strings.Join(violations(invalid), "\n"))
	if len(text) > 3000 {
		text = append(text[:3000], '…')
	}
	return errors.New("not a CTIM " + def + ": " + string(text))
}

// violations are the leaves of an error: a violation of "anyOf the following" says nothing, its causes do.
func violations(e *jsonschema.ValidationError) (lines []string) {
	if len(e.Causes) == 0 {
		leaf := e.BasicOutput()
		return []string{cmp.Or(leaf.InstanceLocation, "the document") + ": " + leaf.Error.String()}
	}
	for _, cause := range e.Causes {
		lines = append(lines, violations(cause)...)
	}
	return lines
}
