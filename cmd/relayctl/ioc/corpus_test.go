package ioc_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/ioc"
)

var update = flag.Bool("update", false, "write testdata/corpus.txt anew")

const corpus = "testdata/corpus.txt"

// render writes what Extract answers as the corpus has it: a line for each finding and each skipped text.
func render(found []ioc.Finding, skipped []ioc.Skipped) string {
	var b strings.Builder
	for _, f := range found {
		b.WriteString("  " + string(f.Type) + ":" + visible(f.Value))
		if f.Note != "" {
			b.WriteString("   (" + f.Note + ")")
		}
		b.WriteString("\n")
	}
	for _, s := range skipped {
		b.WriteString("  skipped " + visible(s.Text) + "   (" + s.Reason + ")\n")
	}
	return b.String()
}

// The corpus writes characters that nobody sees by their names.
var names = []string{"\u200b", "<ZWSP>", "\u200d", "<ZWJ>", "\u00a0", "<NBSP>", "\u00ad", "<SHY>",
	"\u202e", "<RLO>", "\u202a", "<LRE>", "\ufeff", "<BOM>", "\t", "<TAB>"}

func visible(s string) string { return strings.NewReplacer(names...).Replace(s) }

func hidden(s string) string {
	swapped := make([]string, len(names))
	for i := 0; i < len(names); i += 2 {
		swapped[i], swapped[i+1] = names[i+1], names[i]
	}
	return strings.NewReplacer(swapped...).Replace(s)
}

// The corpus is lines of reports, each after "> ", followed by what is asked for it and what is skipped,
// with the reason.
func TestReportsAskWhatTheyMean(t *testing.T) {
	content, err := os.ReadFile(corpus)
	require.NoError(t, err)
	var written strings.Builder
	texts := 0
	blocks := strings.SplitAfter(string(content), "\n")
	for i := 0; i < len(blocks); i++ {
		line := blocks[i]
		written.WriteString(line)
		text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> ")
		if !ok {
			continue
		}
		texts++
		want := ""
		for i+1 < len(blocks) && strings.HasPrefix(blocks[i+1], "  ") {
			i++
			want += blocks[i]
		}
		got := render(ioc.Extract(hidden(text)))
		written.WriteString(got)
		if !*update {
			assert.Equal(t, want, got, text)
		}
	}
	assert.GreaterOrEqual(t, texts, 120)
	if *update {
		require.NoError(t, os.WriteFile(corpus, []byte(written.String()), 0o600))
	}
}
