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
		"errors":       errorhelp.Table,
		"token errors": errorhelp.TokenTable,
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
