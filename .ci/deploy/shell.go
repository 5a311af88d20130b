package main

import (
	"bytes"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func parseScript(name, script string) (*syntax.File, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), name)
	if err != nil {
		return nil, fmt.Errorf("%s: the shell cannot read it: %w", name, err)
	}
	return file, nil
}

// scriptVariables returns the names of all parameters that a script expands.
func scriptVariables(script string) []string {
	file, err := parseScript("", script)
	if err != nil {
		return nil
	}
	return variables(file)
}

func variables(node syntax.Node) []string {
	var names []string
	syntax.Walk(node, func(n syntax.Node) bool {
		if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil {
			names = append(names, p.Param.Value)
		}
		return true
	})
	return names
}

// gcloudCalls returns the calls of gcloud in a script, wherever they stand: in a pipe, a loop, a substitution.
func gcloudCalls(file *syntax.File) []*syntax.CallExpr {
	var calls []*syntax.CallExpr
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "gcloud" {
			calls = append(calls, call)
		}
		return true
	})
	return calls
}

// place names a position in a script.
func place(name string, pos syntax.Pos) string {
	return fmt.Sprintf("%s:%d:%d", name, pos.Line(), pos.Col())
}

func wordText(word *syntax.Word) string {
	var b bytes.Buffer
	if err := syntax.NewPrinter().Print(&b, word); err != nil {
		return ""
	}
	return b.String()
}

// shellBlocks keeps the shell code of a Markdown text and blanks every other line, so that positions in the code are
// positions in the text. Code is what stands in fences marked sh, bash, shell or console; in a console fence only the lines
// after a "$ " prompt.
func shellBlocks(text string) string {
	var (
		out               []string
		fence             string
		shell, console    bool
		continued, listed = false, ""
	)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		code := ""
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			info := strings.TrimLeft(trimmed, "`")
			fence = trimmed[:len(trimmed)-len(info)]
			listed = line[:len(line)-len(trimmed)] // a fence in a list is indented, and so is its code
			language, _, _ := strings.Cut(strings.TrimSpace(info), " ")
			console = language == "console"
			shell = console || language == "sh" || language == "bash" || language == "shell"
			continued = false
		case fence != "" && strings.TrimRight(trimmed, " ") == fence:
			fence, shell = "", false
		case shell:
			code = strings.TrimPrefix(line, listed)
			if console && !continued {
				rest, prompt := strings.CutPrefix(code, "$ ")
				if !prompt {
					code = ""
					break
				}
				code = "  " + rest
			}
			continued = strings.HasSuffix(code, `\`)
		}
		out = append(out, code)
	}
	return strings.Join(out, "\n") + "\n"
}
