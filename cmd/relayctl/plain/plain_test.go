package plain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"ordinary text stays":               {"Trojan.Agent – größer, 日本語", "Trojan.Agent – größer, 日本語"},
		"right-to-left script stays":        {"שלום", "שלום"},
		"an escape sequence is shown":       {"\x1b[31mred", `\x1b[31mred`},
		"an 8-bit control sequence too":     {"\u009b31m", `\u009b31m`},
		"setting the clipboard":             {"\x1b]52;c;aGk=\x07", `\x1b]52;c;aGk=\a`},
		"a right-to-left override":          {"gnp\u202eexe", `gnp\u202eexe`},
		"an isolate":                        {"\u2066a\u2069", `\u2066a\u2069`},
		"zero width":                        {"a\u200bb\ufeff", `a\u200bb\ufeff`},
		"a line separator":                  {"a\u2028b", `a\u2028b`},
		"lines and tabs are one line":       {"a\r\n\tb", `a\r\n\tb`},
		"a no-break space is no word break": {"a\u00a0b", `a\u00a0b`},
		"tags outside of the basic plane":   {"\U000e0041", `\U000e0041`},
		"bytes that are no UTF-8":           {"a\xffb\xc3", `a\xffb\xc3`},
		"quotes and backslashes stay":       {`"C:\temp" \\h\x1b`, `"C:\temp" \\h\x1b`},
		"a replacement character as sent":   {"a\ufffdb", "a\ufffdb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, Text(c.in))
		})
	}
}

func TestShortCutsByCharactersAndAfterEscaping(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "größe", Short("größe", 5))
	assert.Equal(t, "grö…", Short("größer", 4))
	assert.Equal(t, `a\x1…`, Short("a\x1b[31mred", 5))
	assert.Equal(t, 24, utf8.RuneCountInString(Short(strings.Repeat("W", 10_000), 24)))
}

func FuzzPlainLetsNothingHiddenThrough(f *testing.F) {
	for _, seed := range []string{"", "abc", "\x1b[31m", "a\u202eb", "\xff\xfe", "\ufffd", "\U000e0041\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := Text(s)
		require.True(t, utf8.ValidString(out))
		require.NotContains(t, out, "\n")
		for _, r := range out {
			require.False(t, hidden(r), "%q", r)
		}
		require.Equal(t, out, Text(out), "escapes are not escaped again")
	})
}

func FuzzPlainJSONMeansTheSame(f *testing.F) {
	for _, seed := range []string{"", "abc", "\x1b[31m", "a\u202eb", "\U000e0041\U0001f469\u200d\U0001f4bb",
		"\u2028\"\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// As a relay may write it: only what JSON forbids is escaped.
		var b strings.Builder
		for _, r := range s {
			switch {
			case r < ' ' || r == '"' || r == '\\':
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				b.WriteRune(r)
			}
		}
		doc := []byte("{\n\t\"v\": \"" + b.String() + "\"}")
		var before, after map[string]string
		require.NoError(t, json.Unmarshal(doc, &before))
		out := JSON(doc)
		require.NoError(t, json.Unmarshal(out, &after), "%s", out)
		require.Equal(t, before, after)
		for _, r := range string(out) {
			require.True(t, r == '\n' || r == '\t' || !hidden(r), "%q", r)
		}
	})
}

func TestDecodeReadsWhatWindowsWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want string
	}{
		"UTF-8 stays":                    {"größe 日本", "größe 日本"},
		"bytes without a mark stay":      {"a\xffb\xc3", "a\xffb\xc3"},
		"UTF-8 with a mark":              {"\xef\xbb\xbfgröße", "größe"},
		"UTF-16, little endian":          {"\xff\xfee\x00v\x00i\x00l\x00", "evil"},
		"UTF-16, big endian":             {"\xfe\xff\x00e\x00v\x00i\x00l", "evil"},
		"UTF-16 beyond the basic plane":  {"\xff\xfe\x3d\xd8\x00\xde", "😀"},
		"UTF-16 that is cut in a letter": {"\xff\xfee\x00v", "e\ufffd"},
		"nothing":                        {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, string(Decode([]byte(c.in))))
		})
	}
}

func TestTextOnOneLineAndOnSeveral(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a\nb\\x1bc", Lines("a\nb\x1bc"))
	assert.Equal(t, "a b c", OneLine(" a\n\tb  c ", 5))
	assert.Equal(t, "a b…", OneLine("a\nb\nc", 4))
	assert.Equal(t, "aaa…", OneLine(strings.Repeat("a", 1_000_000), 4))
}

func TestCount(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "0 events, 1 event, 2 events", Count(0, "event")+", "+Count(1, "event")+", "+Count(2, "event"))
}

func TestJSONKeepsItsCharacters(t *testing.T) {
	t.Parallel()
	in, want := "{\n\t\"größe\": \"\x1b\u202e\U000e0041\"\r}", "{\n\t\"größe\": \"\\u001b\\u202e\\udb40\\udc41\"}"
	assert.Equal(t, []byte(want), JSON([]byte(in)))
}
