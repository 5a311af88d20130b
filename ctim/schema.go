package ctim

import _ "embed" // for the schema

//go:embed ctim.schema.json
var schema string

// Schema is the JSON Schema (draft 2020-12, closed) of the relay's answers, with every envelope and
// entity under $defs. It was built by hand from the field lists of CTIM and Cisco's enrich API. Package
// ctimschema checks documents against it.
func Schema() string { return schema }
