package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLibrariesAreTheOnesThatVendorNames(t *testing.T) {
	raw, err := assets.ReadFile("assets/vendor/vendor.json")
	require.NoError(t, err)
	var vendor struct {
		Libraries []struct {
			Name, Version, License, Integrity string
			Files                             map[string]struct{ From, SHA256 string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &vendor))
	named := map[string]bool{"vendor.json": true}
	for _, library := range vendor.Libraries {
		assert.Regexp(t, `^\d+\.\d+\.\d+$`, library.Version, library.Name)
		assert.Equal(t, "MIT", library.License, library.Name)
		assert.True(t, strings.HasPrefix(library.Integrity, "sha512-"), library.Name)
		licensed := false
		for name, f := range library.Files {
			named[name] = true
			licensed = licensed || strings.Contains(f.From, "LICENSE")
			content, err := assets.ReadFile("assets/vendor/" + name)
			require.NoError(t, err)
			sum := sha256.Sum256(content)
			assert.Equal(t, f.SHA256, hex.EncodeToString(sum[:]), "%s is not as published", name)
		}
		assert.True(t, licensed, "%s comes without its licence", library.Name)
	}
	entries, err := assets.ReadDir("assets/vendor")
	require.NoError(t, err)
	for _, entry := range entries {
		assert.True(t, named[entry.Name()], "vendor.json does not name %s", entry.Name())
	}
}

// What our own code must never do: turn a string into HTML or code, or reach for another host.
func TestOwnCodeKeepsToText(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\(|new Function|javascript:|srcdoc`)
	remote := regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}`)
	checked := 0
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "assets/vendor/") {
			return err
		}
		content, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "")
		assert.NotRegexp(t, forbidden, text, name)
		assert.NotRegexp(t, remote, text, name)
		if path.Ext(name) == ".html" {
			assert.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, text, "an inline script")
			assert.NotRegexp(t, `<style|\sstyle=|\son[a-z]+=`, text, "an inline style or handler")
		}
		checked++
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, checked, 10)
}
