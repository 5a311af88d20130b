package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/qualys"
)

// TestDocuments holds the parts of the documents that are made from tables. Between <!-- NAME --> and <!--
// end --> is what the function of that name makes; "go generate ./cmd/relayctl" writes it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	made := map[string]func() string{
		"errors":       errorTable,
		"token errors": tokenErrorTable,
		"platforms":    platformTable,
	}
	section := regexp.MustCompile(`(?s)(<!-- (errors|token errors|platforms) -->\n)(.*?)(<!-- end -->)`)
	found := make(map[string]bool)
	for _, file := range []string{"README.md", "../relay/README.md", "../../README.md"} {
		doc, err := os.ReadFile(filepath.FromSlash(file))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		fresh := section.ReplaceAllStringFunc(string(doc), func(text string) string {
			part := section.FindStringSubmatch(text)
			found[part[2]] = true
			return part[1] + made[part[2]]() + part[4]
		})
		if *update {
			require.NoError(t, os.WriteFile(filepath.FromSlash(file), []byte(fresh), 0o644))
			continue
		}
		assert.Equal(t, fresh, string(doc), "%s is stale: run go generate ./cmd/relayctl", file)
	}
	assert.True(t, found["token errors"] && found["platforms"], "%v", found)
}

// platformTable is the Markdown table of Qualys's shared platforms.
func platformTable() string {
	var b strings.Builder
	b.WriteString("| platform | gateway (`API_URL`) | console (`PLATFORM_URL`) |\n|---|---|---|\n")
	for _, p := range qualys.Platforms() {
		fmt.Fprintf(&b, "| %s | `%s` | `%s` |\n", p.Name, p.Gateway, p.UI)
	}
	return b.String()
}

// tokenError tells the errors that lie in the token from those that Qualys answers with.
func tokenError(e errorhelp.Entry) bool { return e.Code == "authorization error" && len(e.Match) > 0 }

// errorTable is the Markdown table of the relay's errors, for the documents; those that lie in the token are in
// tokenErrorTable.
func errorTable() string {
	var b strings.Builder
	b.WriteString("| code | type | message | meaning | what to do |\n|---|---|---|---|---|\n")
	for _, e := range errorhelp.Entries() {
		if e.Type != "" && !tokenError(e) {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", e.Code, e.Type, e.Message, e.Means,
				markdown(e.Fix))
		}
	}
	return b.String()
}

// tokenErrorTable is the Markdown table of the errors that lie in a token, whose messages begin with
// "Authorization failed: ".
func tokenErrorTable() string {
	var b strings.Builder
	b.WriteString("| message | cause | what to do |\n|---|---|---|\n")
	for _, e := range errorhelp.Entries() {
		if tokenError(e) {
			_, cause, _ := strings.Cut(e.Means, ": ")
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Message, cause, markdown(e.Fix))
		}
	}
	return b.String()
}

// markdown puts the steps of a fix on one line.
func markdown(fix []string) string {
	var parts []string
	for _, step := range fix {
		if command, ok := strings.CutPrefix(step, "$ "); ok {
			step = "`" + command + "`"
		}
		parts = append(parts, step)
	}
	return strings.Join(parts, " ")
}

func TestTheTablesAreMarkdown(t *testing.T) {
	t.Parallel()
	for _, table := range []string{errorTable(), tokenErrorTable()} {
		columns := 0
		for line := range strings.Lines(table) {
			if columns == 0 {
				columns = strings.Count(line, "|")
			}
			assert.Equal(t, columns, strings.Count(line, "|"), line)
			assert.NotContains(t, line, "$ ")
		}
	}
}
