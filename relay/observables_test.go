package relay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"qualysrelay.example/ctim"
)

func TestDecodeObservables(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body    string
		want    []ctim.Observable
		problem string // as in the message
	}{
		"a list":                     {body: `[{"type":"ip","value":"192.0.2.1"}]`, want: []ctim.Observable{{Type: "ip", Value: "192.0.2.1"}}},
		"an empty list":              {body: `[]`, want: []ctim.Observable{}},
		"further keys":               {body: `[{"type":"ip","value":"192.0.2.1","x":[1]}]`, want: []ctim.Observable{{Type: "ip", Value: "192.0.2.1"}}},
		"nothing":                    {body: "", problem: `{"body":"is empty, not a list of observables"}`},
		"an object":                  {body: `{"type":"ip"}`, problem: `{"body":"must be a list of observables"}`},
		"a string":                   {body: `"x"`, problem: `{"body":"must be a list of observables"}`},
		"null":                       {body: `null`, problem: `{"body":"must be a list of observables"}`},
		"not JSON":                   {body: `[{]`, problem: `{"body":"is not JSON: `},
		"two values":                 {body: `[] []`, problem: `{"body":"is not JSON: `},
		"a missing value":            {body: `[{"type":"ip"}]`, problem: `{"0":{"value":"is missing"}}`},
		"a blank value":              {body: `[{"type":"ip","value":" \t"}]`, problem: `{"0":{"value":"must not be blank"}}`},
		"a numeric value":            {body: `[{"type":"ip","value":7}]`, problem: `{"0":{"value":"must be a string"}}`},
		"a null value":               {body: `[{"type":"ip","value":null}]`, problem: `{"0":{"value":"must be a string"}}`},
		"a missing type":             {body: `[{"type":"ip","value":"a"},{"value":"a"}]`, problem: `{"1":{"type":"is missing"}}`},
		"entries that are no object": {body: `[null,"x"]`, problem: `{"0":"must be an object with a type and a value","1":"must be an object with a type and a value"}`},
		"a number":                   {body: `7`, problem: `{"body":"must be a list of observables"}`},
		"a list without an end":      {body: `[{"type":"ip","value":"192.0.2.1"}`, problem: `{"body":"is not JSON: it ends too early"}`},
		"1,001 entries":              {body: "[{}" + strings.Repeat(",{}", 1000) + "]", problem: `{"body":"has more than 1000 observables"}`},
		"1,000,000 entries":          {body: "[{}" + strings.Repeat(",{}", 999_999), problem: `{"body":"has more than 1000 observables"}`},
		"10,000 nested brackets":     {body: strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), problem: `{"0":"must be an object`},
		"100,000 nested brackets":    {body: strings.Repeat("[", 100_000), problem: `{"body":"is not JSON: `},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeObservables(strings.NewReader(test.body), maxObservables)
			if test.problem == "" {
				require.NoError(t, err)
				assert.Equal(t, test.want, got)
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), "Invalid JSON payload received. "+test.problem)
		})
	}
}

func FuzzDecodeObservables(f *testing.F) {
	for _, seed := range []string{`[{"type":"ip","value":"192.0.2.1"}]`, `{}`, `[[[`, `[{"type":1}]`, "[{\"type\":\"\xff\",\"value\":\"\\u0000\"}]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		observables, err := decodeObservables(strings.NewReader(body), maxObservables)
		if err != nil {
			assert.Equal(t, CodeInvalidArgument, translate(err, ctim.Observable{}, "").Code)
			return
		}
		for _, o := range observables {
			assert.NotEmpty(t, strings.TrimSpace(string(o.Type)))
			assert.NotEmpty(t, strings.TrimSpace(o.Value))
		}
	})
}
