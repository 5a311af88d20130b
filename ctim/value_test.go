package ctim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/ctim/ctimschema"
)

func TestTimeOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   time.Time
		want string // "" is missing
	}{
		{"another zone is written in UTC", time.Date(2020, 3, 17, 14, 19, 31, 0, time.FixedZone("",
			2*3600)), "2020-03-17T12:19:31.000Z"},
		{"more than milliseconds are cut, not rounded", time.Date(2020, 3, 17, 12, 19, 31, 999_999_999,
			time.UTC), "2020-03-17T12:19:31.999Z"},
		{"the zero time is missing", time.Time{}, ""},
		{"1970 begins CTIM's time", time.Unix(0, 0), "1970-01-01T00:00:00.000Z"},
		{"the last moment of 1969 is missing", time.Unix(-1, 999_999_999), ""},
		{"2525 ends CTIM's time", time.Date(2525, 1, 1, 0, 0, 0, 0, time.UTC), "2525-01-01T00:00:00.000Z"},
		{"a nanosecond later is missing", time.Date(2525, 1, 1, 0, 0, 0, 1, time.UTC), ""},
		{"the year 10000 is missing", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"a year beyond what Go counts in nanoseconds is missing", time.Unix(1<<60, 0), ""},
		{"so is the last second that Go knows", time.Unix(math.MaxInt64, 0), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ctim.TimeOf(tt.in)
			assert.Equal(t, tt.want, string(got))
			if tt.want == "" {
				return
			}
			doc, err := json.Marshal(got)
			require.NoError(t, err)
			require.NoError(t, ctimschema.Validate("time", doc))
		})
	}
	assert.Equal(t, ctim.Forever, ctim.TimeOf(time.Date(2525, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestStringsAreCutToCTIMsLengths(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cut     func(string) string
		in      string
		want    string
		runes   int
		checked string // definition of the schema
	}{
		{"a short string stays", ctim.Short, "é", "é", 1, "short"},
		{"the limit itself stays", ctim.Short, strings.Repeat("a", 1024), strings.Repeat("a", 1024), 1024,
			"short"},
		{"one more is cut", ctim.Short, strings.Repeat("a", 1025), strings.Repeat("a", 1024), 1024, "short"},
		{"characters count, not bytes", ctim.Short, strings.Repeat("é", 1024), strings.Repeat("é", 1024),
			1024, "short"},
		{"the cut is between characters", ctim.Med, strings.Repeat("€", 3000), strings.Repeat("€", 2048),
			2048, "med"},
		{"a character beyond the basic plane counts twice", ctim.Long, strings.Repeat("🙂", 3000),
			strings.Repeat("🙂", 2500), 2500, "long"},
		{"half of such a character is never left", ctim.Short, "a" + strings.Repeat("🙂", 512),
			"a" + strings.Repeat("🙂", 511), 512, "short"},
		{"invalid bytes come out valid", ctim.Short, "a\xffb\xfe\xfe", "a\uFFFDb\uFFFD\uFFFD", 5, "short"},
		{"invalid bytes count as what they become", ctim.Short, strings.Repeat("\xff", 2000),
			strings.Repeat("\uFFFD", 1024), 1024, "short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.cut(tt.in)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.runes, utf8.RuneCountInString(got))
			doc, err := json.Marshal(got)
			require.NoError(t, err)
			require.NoError(t, ctimschema.Validate(tt.checked, doc))
		})
	}
}

// hostile strings: what JSON, JavaScript and UTF-8 trip over.
var hostile = []string{
	"", "plain", `quote " and \ backslash`, "\x00\x01\x1f\x7f", "line\nfeed\ttab\rreturn\b\f",
	"\u2028\u2029", "<script>alert(1)</script>&amp;",
	"\xff\xfe invalid", "cut \xe2\x82", "\xed\xa0\x80 surrogate", "🙂 beyond the plane", "\u202egnp.exe",
	"ends in {", "[", "\uFFFD", "é",
}

// FuzzEncoding adds any text as a value and reads it again.
func FuzzEncoding(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := ctim.NewBundle(0)
		require.True(t, b.Add(ctim.Entities{Verdict: &ctim.Verdict{
			Observable: ctim.Observable{Type: ctim.ObservableMutex, Value: s}}}))
		require.NotContains(t, text(b), "\u2028", "U+2028 ends a line of a script")
		require.NotContains(t, text(b), "\u2029")
		var got struct{ Verdicts struct{ Docs []ctim.Verdict } }
		require.NoError(t, json.Unmarshal([]byte(text(b)), &got))
		require.Equal(t, string([]rune(s)), got.Verdicts.Docs[0].Observable.Value)
	})
}

func FuzzCut(f *testing.F) {
	for _, s := range hostile {
		f.Add(s + strings.Repeat("🙂é\xff", 400))
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ctim.Short(s)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, utf8.RuneCountInString(got), 1024)
		require.Equal(t, got, ctim.Short(got))
		require.True(t, strings.HasPrefix(string([]rune(s)), got))
	})
}

func TestURI(t *testing.T) {
	const long = "https://qualys.example/#q="
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"a hunting page", "https://qualysguard.example/ioc/#/hunting?search=file.name%3A%20%22a.exe%22",
			true},
		{"plain http, as on loopback", "http://127.0.0.1:8080/x", true},
		{"an IPv6 host", "https://[2001:db8::1]/x", true},
		{"the longest", long + strings.Repeat("a", 2048-len(long)), true},
		{"one character more", long + strings.Repeat("a", 2049-len(long)), false},
		{"nothing", "", false},
		{"a space", "https://q.example/a b", false},
		{"a quote", `https://q.example/"`, false},
		{"a backslash", `https://q.example/\`, false},
		{"a pipe", "https://q.example/|", false},
		{"braces", "https://q.example/{x}", false},
		{"a bare percent sign", "https://q.example/100%", false},
		{"a quote in the host", `https://q.example"/`, false},
		{"a query", "https://q.example/?q", false},
		{"a percent sign before no number", "https://q.example/%zz", false},
		{"a letter beyond ASCII", "https://q.example/é", false},
		{"a control character", "https://q.example/\x01", false},
		{"an IPv6 host with a zone", "https://[fe80::1%25eth0]/", false},
		{"brackets around no address", "https://[x]/", false},
		{"a user and a password", "https://user:pass@q.example/", false},
		{"brackets in the path", "https://q.example/[a]", false},
		{"brackets behind an escaped host", "https://%C3%A9.example/[a]", false},
		{"a second fragment", "https://q.example/#a#b", false},
		{"a port that is none", "https://q.example:x/", false},
		{"no host", "https:///x", false},
		{"a relative address", "/ioc", false},
		{"a script", "javascript:alert(1)", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := ""
			if tt.ok {
				want = tt.in
			}
			require.Equal(t, want, ctim.URI(tt.in))
			if tt.ok {
				doc, err := json.Marshal(tt.in)
				require.NoError(t, err)
				require.NoError(t, ctimschema.Validate("uri", doc))
			}
		})
	}
}

func FuzzURI(f *testing.F) {
	f.Add("https://qualysguard.example/ioc/#/hunting?search=file.name%3A%20%22a.exe%22")
	f.Add("http://[::1%25eth0]:80/%41?#%")
	f.Fuzz(func(t *testing.T, s string) {
		if got := ctim.URI(s); got != "" {
			doc, err := json.Marshal(got)
			require.NoError(t, err)
			require.NoError(t, ctimschema.Validate("uri", doc))
		}
	})
}

func TestIDs(t *testing.T) {
	// Computed elsewhere, as UUIDv5 of the name in the X.500 namespace.
	assert.Equal(t, "transient:indicator-9f21afec-31dc-5aeb-a9bd-4e0618d9b745",
		ctim.NewID(ctim.KindIndicator, "F_5ab4ee62-1d5f-3c19-a19f-7a86dc453569_10-2-2020"))
	assert.NotEqual(t, ctim.NewID(ctim.KindSighting, "a", "bc"), ctim.NewID(ctim.KindSighting,
		"ab", "c"), "parts do not run together")
	assert.NotEqual(t, ctim.NewID(ctim.KindSighting, "a", ""), ctim.NewID(ctim.KindSighting, "a"))
	assert.NotEqual(t, ctim.NewID(ctim.KindSighting, "1:a"), ctim.NewID(ctim.KindSighting, "a"))
	for _, k := range []ctim.Kind{ctim.KindSighting, ctim.KindIndicator, ctim.KindJudgement,
		ctim.KindRelationship} {
		doc, err := json.Marshal(ctim.NewID(k, strings.Repeat("x", 10_000)))
		require.NoError(t, err)
		require.NoError(t, ctimschema.Validate("id", doc))
	}
}

func TestTypesOfObservablesAreCTIMs(t *testing.T) {
	check := func(def string, values ...string) {
		for _, v := range values {
			doc, err := json.Marshal(v)
			require.NoError(t, err)
			assert.NoError(t, ctimschema.Validate(def, doc), v)
		}
	}
	check("schemaVersion", ctim.SchemaVersion)
	for typ, name := range map[ctim.ObservableType]string{
		ctim.ObservableIP: "IP", ctim.ObservableIPv6: "IP", ctim.ObservableDomain: "domain",
		ctim.ObservableHostname: "hostname",
		ctim.ObservableFileName: "file name", ctim.ObservableFilePath: "file path",
		ctim.ObservableMutex: "mutex", ctim.ObservableMD5: "MD5",
		ctim.ObservableSHA256: "SHA256", ctim.ObservableProcessName: "process name",
		ctim.ObservableMACAddress: "mac address",
	} {
		check("observableType", string(typ))
		assert.Equal(t, name, typ.Name())
	}
}

func ExampleNewID() {
	fmt.Println(ctim.NewID(ctim.KindIndicator, "F_5ab4ee62-1d5f-3c19-a19f-7a86dc453569_10-2-2020"))
	// Output: transient:indicator-9f21afec-31dc-5aeb-a9bd-4e0618d9b745
}

func TestNormalValuesOfOneThingAreEqual(t *testing.T) {
	const sha = "b1f6c0ffee00112233445566778899aabbccddeeff00112233445566778899aa"
	for _, tt := range []struct {
		typ   ctim.ObservableType
		same  []string
		other []string // things of their own
	}{
		{ctim.ObservableSHA256, []string{sha, strings.ToUpper(sha), " " + sha + "\n"},
			[]string{sha[:63] + "b"}},
		{ctim.ObservableMD5, []string{sha[:32], strings.ToUpper(sha[:32])}, []string{sha[1:33]}},
		{ctim.ObservableIP, []string{"203.0.113.6", "::ffff:203.0.113.6", " 203.0.113.6"},
			[]string{"203.0.113.66"}},
		{ctim.ObservableIPv6,
			[]string{"2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8::0001", "2001:db8::1%eth0"},
			[]string{"2001:db8::10"}},
		{ctim.ObservableDomain, []string{"Evil.example", "evil.EXAMPLE."}, []string{"evil.example.com",
			"evil"}},
		{ctim.ObservableHostname, []string{"m\u00fcnchen.example", "xn--mnchen-3ya.example",
			"MU\u0308NCHEN.example"},
			[]string{"munchen.example"}},
		{ctim.ObservableDomain, []string{"_dmarc.evil.example", "_DMARC.evil.example."},
			[]string{"dmarc.evil.example"}},
		{ctim.ObservableFilePath, []string{`C:\Program Files\x.exe`, "c:/program files/X.exe",
			`\\?\C:\Program Files\x.exe`,
			`\??\C:\Program Files\x.exe`, "//?/C:/Program Files/x.exe", `C:\Program Files\x.exe\`},
			[]string{`D:\Program Files\x.exe`}},
		{ctim.ObservableFilePath, []string{`\\server\share\x`, `\\?\UNC\server\share\x`,
			`\\?\unc\server/share/x/`},
			[]string{`\server\share\x`}},
		{ctim.ObservableFilePath, []string{"/opt/cafe\u0301", "/opt/caf\u00e9/"},
			[]string{`\opt\caf\u00e9`, "opt/caf\u00e9"}},
		{ctim.ObservableFileName, []string{"Invoice.exe", "invoice.EXE "}, []string{"invoice"}},
		{ctim.ObservableMutex, []string{`Global\Lock`, `global\lock`}, []string{"Global/Lock"}},
	} {
		normal := func(value string) string { return ctim.Observable{Type: tt.typ, Value: value}.Normal() }
		for _, value := range tt.same {
			require.NotEmpty(t, normal(value))
			assert.True(t, strings.EqualFold(normal(tt.same[0]), normal(value)), "%s: %s", value,
				normal(value))
			assert.Equal(t, normal(value), normal(normal(value)), "it is normal once it is normal")
		}
		for _, value := range tt.other {
			assert.False(t, strings.EqualFold(normal(tt.same[0]), normal(value)), value)
		}
	}
	for typ, value := range map[ctim.ObservableType]string{
		ctim.ObservableIP: "X0.1X.XX1.00", ctim.ObservableIPv6: "example", ctim.ObservableMD5: sha,
		ctim.ObservableSHA256: "n/a",
	} {
		assert.Empty(t, ctim.Observable{Type: typ, Value: value}.Normal())
	}
}
