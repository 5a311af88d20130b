package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Gcloud is an installed gcloud.
type Gcloud struct{ path string }

// FindGcloud looks for gcloud on the PATH.
func FindGcloud() (Gcloud, error) {
	path, err := exec.LookPath("gcloud")
	if err != nil {
		return Gcloud{}, fmt.Errorf("gcloud is not installed")
	}
	return Gcloud{path}, nil
}

// verdict is what gcloud says about one command.
type verdict struct {
	Success bool   `json:"success"`
	Message string `json:"error_message"`
}

// Lint has gcloud's own parser check the commands; it needs neither network nor login. Commands that occur twice are checked
// once. Mistakes come in the first result; the error says that the linter itself did not work.
func (g Gcloud) Lint(ctx context.Context, commands []Command) ([]error, error) {
	type entry struct {
		Text string `json:"command_string"`
		ID   string `json:"id"`
	}
	var (
		problems []error
		entries  []entry
		asked    []Command
		seen     = map[string]bool{}
	)
	for _, c := range commands {
		text, err := lintText(c)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", c.Where, err))
			continue
		}
		if seen[text] {
			continue
		}
		seen[text] = true
		asked = append(asked, c)
		entries = append(entries, entry{text, strconv.Itoa(len(asked))})
	}
	if len(entries) == 0 {
		return problems, nil
	}
	dir, err := os.MkdirTemp("", "gcloud")
	if err != nil {
		return problems, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	list, err := json.Marshal(entries)
	if err != nil {
		return problems, err
	}
	file := filepath.Join(dir, "commands.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return problems, err
	}
	cmd := exec.CommandContext(ctx, g.path, "meta", "lint-gcloud-commands", "--serialize", "--commands-file="+file)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), // keeps out of the user's gcloud settings
		"CLOUDSDK_CONFIG="+dir, "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return problems, fmt.Errorf("gcloud meta lint-gcloud-commands: %w: %s", err, stderr.String())
	}
	var verdicts map[string][]verdict
	if err := json.Unmarshal(out, &verdicts); err != nil {
		return problems, fmt.Errorf("gcloud meta lint-gcloud-commands: %w: %s", err, stderr.String())
	}
	for i, c := range asked {
		v := verdicts[strconv.Itoa(i+1)]
		switch {
		case len(v) == 0:
			problems = append(problems, fmt.Errorf("%s: gcloud says nothing about it", c))
		case !v[0].Success && !missingTrack(c, v[0].Message):
			message, _, _ := strings.Cut(v[0].Message, "\n")
			problems = append(problems, fmt.Errorf("%s: %s", c, message))
		}
	}
	return problems, nil
}

// missingTrack says whether gcloud only lacks the alpha or beta commands, which are installed apart.
func missingTrack(c Command, message string) bool {
	return (c.Has("beta") || c.Has("alpha")) && message == fmt.Sprintf("Invalid choice: '%s'", c.Args[1])
}

// lintText writes a command the way the linter can read it.
func lintText(c Command) (string, error) {
	words := make([]string, len(c.Args))
	for i, arg := range c.Args {
		if strings.Contains(arg, "#") {
			return "", fmt.Errorf("%q: the linter takes # for the beginning of a comment and would not see the rest", arg)
		}
		words[i] = quote(arg)
	}
	return strings.Join(words, " "), nil
}

func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n'\"\\$`|&;<>()*?[]{}~!^") {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
