package qualys_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

func TestMatchChoosesADelimiterThatTheValueLacks(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"plain", "10.1.1.1", `file.name: "10.1.1.1"`},
		{"backslashes inside", `C:\Users\new`, `file.name: "C:\Users\new"`},
		{"trailing backslashes are dropped", `C:\Users\\`, `file.name: "C:\Users"`},
		{"double quotes go into backticks", `a "b"`, "file.name: `a \"b\"`"},
		{"both go into single quotes", "a\"`b", "file.name: 'a\"`b'"},
		{"a backslash before a quote inside", `a\"b`, "file.name: `a\\\"b`"},
		{"an attempt to widen the query", `x" or file.name: "y`, "file.name: `x\" or file.name: \"y`"},
		{"letters of all kinds", "Grüße ✓ 日本", `file.name: "Grüße ✓ 日本"`},
		{"spaces around stay", " a ", `file.name: " a "`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := qualys.Match(qualys.FieldFileName, tt.value)
			require.NoError(t, err)
			assert.Equal(t, tt.want, f.String())
		})
	}
}

func TestMatchRefusesWhatCannotBeQuoted(t *testing.T) {
	for name, value := range map[string]string{
		"all three quotes": "a\"`'", "empty": "", "blank": "  ", "backslashes only": `\\`, "blank but for a backslash": ` \`, "new line": "a\nb",
		"NUL": "a\x00", "DEL": "a\x7f", "a C1 control character": "a\u0085b", "not UTF-8": "a\xff",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := qualys.Match(qualys.FieldMutex, value)
			require.ErrorIs(t, err, qualys.ErrUnquotable)
			assert.Empty(t, f.String())
		})
	}
	for _, f := range []qualys.Field{"", "file.size"} {
		_, err := qualys.Match(f, "FILE")
		require.Error(t, err, f)
	}
	_, err := qualys.Match(qualys.Field(`file.name: "x" or type`), "FILE")
	require.EqualError(t, err, `unknown search field "file.name: \"x\" or type"`)
}

func TestOrJoinsFilters(t *testing.T) {
	a, err := qualys.Match(qualys.FieldLocalIP, "192.0.2.1")
	require.NoError(t, err)
	b, err := qualys.Match(qualys.FieldRemoteIP, "192.0.2.1")
	require.NoError(t, err)
	const want = `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`
	assert.Equal(t, want, qualys.Or(a, qualys.Filter{}, b).String())
	assert.Equal(t, want, qualys.Or(qualys.Or(a), qualys.Or(b)).String())
	assert.Equal(t, qualys.Filter{}, qualys.Or())
	assert.Equal(t, qualys.Filter{}, qualys.Or(qualys.Filter{}))
}

func TestMatchSearchesEachSpellingOnce(t *testing.T) {
	f, err := qualys.Match(qualys.FieldRemoteFQDN, "xn--mnchen-3ya.example", "münchen.example", "münchen.example")
	require.NoError(t, err)
	assert.Equal(t, `network.remote.address.fqdn: "xn--mnchen-3ya.example" or network.remote.address.fqdn: "münchen.example"`, f.String())
	one, err := qualys.Match(qualys.FieldFilePath, `C:\a\`, `C:\a`)
	require.NoError(t, err)
	assert.Equal(t, `file.fullPath: "C:\a"`, one.String())
	none, err := qualys.Match(qualys.FieldFilePath)
	require.NoError(t, err)
	assert.Equal(t, qualys.Filter{}, none)
	_, err = qualys.Match(qualys.FieldFilePath, "a", "a\nb")
	require.ErrorIs(t, err, qualys.ErrUnquotable)
}

func TestAndAndOrKeepApart(t *testing.T) {
	a, b, c := match(t, qualys.FieldFileName, "a"), match(t, qualys.FieldFileName, "b"), match(t, qualys.FieldFileName, "c")
	tests := []struct {
		f    qualys.Filter
		want string
	}{
		{qualys.And(a, b, c), `file.name: "a" and file.name: "b" and file.name: "c"`},
		{qualys.And(qualys.Or(a, b), c), `(file.name: "a" or file.name: "b") and file.name: "c"`},
		{qualys.Or(qualys.And(a, b), c), `(file.name: "a" and file.name: "b") or file.name: "c"`},
		{qualys.And(qualys.And(a, b), c), `file.name: "a" and file.name: "b" and file.name: "c"`},
		{qualys.And(qualys.Or(a), qualys.Filter{}, c), `file.name: "a" and file.name: "c"`},
		{qualys.And(qualys.Or(qualys.And(a, b), c), a), `((file.name: "a" and file.name: "b") or file.name: "c") and file.name: "a"`},
		{qualys.And(), ""},
		{qualys.ScoreRange(2, 7), "indicator.score: [2 .. 7]"},
		{qualys.Between(time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 3600)), time.Date(2026, 3, 1, 23, 59, 59, 999e6, time.UTC)),
			`event.datetime: ["2026-03-01T00:00:00.000Z" .. "2026-03-01T23:59:59.999Z"]`},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, tt.f.String())
		assert.Len(t, url.QueryEscape(tt.f.String()), tt.f.EncodedLen())
		if tt.want != "" {
			_, err := qualystest.ParseQuery(tt.want)
			require.NoError(t, err)
		}
	}
}

func TestHuntingURL(t *testing.T) {
	f, err := qualys.Match(qualys.FieldFileName, "ChromeSetup.exe")
	require.NoError(t, err)
	const want = "https://qualysguard.qg3.apps.qualys.com/ioc/#/hunting?search=file.name%3A%20%22ChromeSetup.exe%22"
	assert.Equal(t, want, qualys.HuntingURL("https://qualysguard.qg3.apps.qualys.com", f))
	assert.Empty(t, qualys.HuntingURL("", f))
}

func TestEveryFieldIsOneThatQualysKnows(t *testing.T) {
	for _, field := range []qualys.Field{
		qualys.FieldLocalIP, qualys.FieldRemoteIP, qualys.FieldRemoteFQDN, qualys.FieldFileName, qualys.FieldFilePath, qualys.FieldMD5,
		qualys.FieldSHA256, qualys.FieldMutex, qualys.FieldProcessName,
	} {
		f, err := qualys.Match(field, "x")
		require.NoError(t, err)
		q, err := qualystest.ParseQuery(f.String())
		require.NoError(t, err)
		assert.Equal(t, []qualystest.Term{{Field: string(field), Value: "x", Quote: '"'}}, q.Terms())
	}
}

// FuzzMatch holds Match to its promise: whatever the value, the query is one term with exactly that value.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{
		"10.1.1.1", `C:\a\`, `\\\`, `a"b`, "a`b", "a\"`b", "a\"`'b", `x" or type:file or file.name:"y`, `a\" or b`, "a\\`", "\x00", "\xff", "é😀\u2028", " ", "%22", "+",
	} {
		f.Add(s)
	}
	ctimURI := regexp.MustCompile("^(?:[^\\s<>\"{}|\\\\^`%]|%[0-9A-Fa-f]{2})+$") // what CTIM takes for a URI
	f.Fuzz(func(t *testing.T, value string) {
		filter, err := qualys.Match(qualys.FieldFilePath, value)
		kept := strings.TrimRight(value, `\`)
		if err != nil {
			require.ErrorIs(t, err, qualys.ErrUnquotable)
			allQuotes := strings.Contains(value, `"`) && strings.Contains(value, "`") && strings.Contains(value, "'")
			assert.True(t, allQuotes || strings.TrimSpace(kept) == "" || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl))
			return
		}
		q, err := qualystest.ParseQuery(filter.String())
		require.NoError(t, err)
		require.Len(t, q.Terms(), 1)
		assert.Equal(t, "file.fullPath", q.Terms()[0].Field)
		assert.Equal(t, kept, q.Terms()[0].Value)

		all, err := qualystest.ParseQuery(qualys.And(qualys.Or(filter, filter), filter).String())
		require.NoError(t, err)
		assert.Equal(t, append(q.Terms(), append(q.Terms(), q.Terms()...)...), all.Terms())
		both, err := qualystest.ParseQuery(qualys.Or(filter, filter).String())
		require.NoError(t, err)
		assert.Equal(t, append(q.Terms(), q.Terms()...), both.Terms())

		assert.Len(t, url.QueryEscape(filter.String()), filter.EncodedLen())
		link := qualys.HuntingURL("https://qualysguard.qualys.com", filter)
		assert.Regexp(t, ctimURI, link)
		_, search, _ := strings.Cut(link, "search=")
		back, err := url.PathUnescape(search)
		require.NoError(t, err)
		assert.Equal(t, filter.String(), back)
	})
}
