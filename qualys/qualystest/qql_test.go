package qualystest

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

func TestTokensMatch(t *testing.T) {
	tests := []struct {
		query, value string
		want         bool
	}{
		{"10.1.1.1", "10.1.1.1", true},
		{"10.1.1.1", "10.1.1.10", true},
		{"0.1.1.1", "10.1.1.1", false},
		{"update.example.com", "cdn7-update.example.com", true},
		{"cdn7-update.example.com", "update.example.com", false},
		{"update.example.com", "update.example.com.evil.test", true},
		{"example.com", "update.example.com", false},
		{`C:\Windows\x.exe`, `C:\x\windows\x.exe`, true},
		{`x.exe C:\Windows`, `C:\windows\x.exe`, true},
		{`C:\Win\x.exe`, `C:\windows\x.exe`, false},
		{"Report2026.pdf", "report2026.PDF", true},
		{"2026.pdf", "2026 pdf", true},
		{"pdf 2026", "2026.pdf.exe", false},
		{"pdf.exe 2026", "2026.pdf.exe", true},
		{"2001:db8::1", "2001:db8::1f", true},
		{"a@b.example", "b.example a", true},
		{"-", "a-b", false},
		{"", "a", false},
		{"ÄPFEL", "äpfel und birnen", true},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, tokensMatch(tt.query, tt.value), "%q in %q", tt.query, tt.value)
	}
}

// FuzzTokens holds the tokens to what makes them: nothing but letters of the value, in its order, none
// empty, and a value is found by itself, by what it begins with, and by its tokens in any order.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"10.1.1.10", `C:\a b\c.exe`, "cdn7-update.example.com", "a.1", "1.a", "..", ".", "-.-", "ß.1", "a\xff.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list := tokenize(value)
		rest := strings.ToLower(value)
		for _, token := range list {
			assert.NotEmpty(t, token)
			assert.False(t, strings.ContainsFunc(token, unicode.IsSpace))
			_, after, found := strings.Cut(strings.ToValidUTF8(rest, "\uFFFD"), strings.ToValidUTF8(token, "\uFFFD"))
			assert.True(t, found)
			rest = after
		}
		assert.Equal(t, len(list) > 0, tokensMatch(value, value))
		for _, token := range list {
			if !strings.Contains(token, "\uFFFD") {
				assert.True(t, tokensMatch(token, value))
			}
		}
	})
}
