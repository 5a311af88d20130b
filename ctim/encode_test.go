package ctim_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
)

// hostile strings: what JSON, JavaScript and UTF-8 trip over.
var hostile = []string{
	"", "plain", `quote " and \ backslash`, "\x00\x01\x1f\x7f", "line\nfeed\ttab\rreturn\b\f", "\u2028\u2029", "<script>alert(1)</script>&amp;",
	"\xff\xfe invalid", "cut \xe2\x82", "\xed\xa0\x80 surrogate", "🙂 beyond the plane", "\u202egnp.exe", "ends in {", "[", "\uFFFD", "é",
}

type document interface{ AppendJSON([]byte) []byte }

// documents is one of each kind, every field filled from r and s.
func documents(r *rand.Rand, s string) []document {
	docs := []document{&ctim.Sighting{}, &ctim.Indicator{}, &ctim.Judgement{}, &ctim.Relationship{}, &ctim.Verdict{}}
	for _, d := range docs {
		fill(reflect.ValueOf(d).Elem(), r, s)
	}
	return docs
}

// fill sets every exported field below v: sometimes to its zero value, so that each omission is met too.
func fill(v reflect.Value, r *rand.Rand, s string) {
	switch {
	case v.Type() == reflect.TypeFor[ctim.Time]():
		if r.IntN(3) > 0 {
			v.Set(reflect.ValueOf(ctim.TimeOf(time.UnixMilli(r.Int64N(17514144000000)))))
		}
	case v.Kind() == reflect.String:
		if r.IntN(3) == 0 {
			v.SetString(s)
		} else {
			v.SetString(hostile[r.IntN(len(hostile))])
		}
	case v.Kind() == reflect.Int || v.Kind() == reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 1<<62 + 7, r.Int64()}[r.IntN(5)])
	case v.Kind() == reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case v.Kind() == reflect.Pointer:
		if r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), r, s)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3)) // never nil: a required list is written as [] where encoding/json says null
		for i := range v.Len() {
			fill(v.Index(i), r, s)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), r, s)
		}
	default:
		panic("a field of a kind that no test fills: " + v.Type().String())
	}
}

func requireSameJSON(t *testing.T, d document) {
	t.Helper()
	tagged, err := json.Marshal(d)
	require.NoError(t, err)
	byHand := d.AppendJSON(nil)
	var want, got any
	require.NoError(t, json.Unmarshal(tagged, &want))
	require.NoError(t, json.Unmarshal(byHand, &got), "%s", byHand)
	require.Equal(t, want, got)
	require.NotContains(t, string(byHand), "\u2028")
	require.NotContains(t, string(byHand), "\u2029")
}

func TestEncodingByHandIsWhatTheTagsSay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		for _, d := range documents(r, "s") {
			requireSameJSON(t, d)
		}
	}
	for _, d := range []document{&ctim.Indicator{}, &ctim.Judgement{}, &ctim.Relationship{}, &ctim.Verdict{}, &ctim.Sighting{}} {
		requireSameJSON(t, d)
	}
}

// TestStringsAreEscapedWhereverTheyNeedIt puts what needs a look at every place of a text, alone and beside another: the encoder goes in steps of eight
// bytes, with a remainder.
func TestStringsAreEscapedWhereverTheyNeedIt(t *testing.T) {
	odd := []string{"é", "\u2028", "\xff", "🙂"}
	for c := range 0x81 { // one that is not ASCII, alone, is not UTF-8
		odd = append(odd, string([]byte{byte(c)}))
	}
	for length := range 20 {
		for at := range length + 1 {
			for i, s := range odd {
				text := strings.Repeat("x", at) + s + odd[(i+at)%len(odd)] + strings.Repeat("y", length-at)
				requireSameJSON(t, &ctim.Verdict{DispositionName: text})
			}
		}
	}
}

func TestNilListsAreEmptyListsWhereCTIMRequiresThem(t *testing.T) {
	s := ctim.Sighting{Targets: []ctim.Target{{}}, Data: &ctim.DataTable{Rows: [][]string{nil}}}
	got := string(s.AppendJSON(nil))
	require.Contains(t, got, `"targets":[{"type":"","observables":[],`)
	require.Contains(t, got, `"data":{"columns":[],"rows":[[]],"row_count":0}`)
}

func FuzzEncoding(f *testing.F) {
	for i, s := range hostile {
		f.Add(uint64(i), s)
	}
	f.Fuzz(func(t *testing.T, seed uint64, s string) {
		for _, d := range documents(rand.New(rand.NewPCG(seed, 0)), s) {
			requireSameJSON(t, d)
		}
	})
}

func TestEntitiesSurviveTheWire(t *testing.T) {
	want := fullEntities()
	var got ctim.Sighting
	require.NoError(t, json.Unmarshal(want.Sighting.AppendJSON(nil), &got))
	require.Equal(t, *want.Sighting, got)
}
