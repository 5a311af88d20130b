package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (c *completionCommand) Run(p *program) error {
	const bash = "complete -o default -C 'relayctl complete' relayctl"
	_, err := fmt.Fprintln(p.Out, map[string]string{
		"bash": bash,
		"zsh":  "autoload -U +X bashcompinit && bashcompinit && " + bash,
		"fish": "complete -c relayctl -a '(COMP_LINE=(commandline -cp) relayctl complete)'",
	}[c.Shell])
	return err
}

type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run lists the commands, flags or values that may come next in the command line.
func (c *completeCommand) Run(k *kong.Context, p *program) error {
	line := p.getenv("COMP_LINE")
	if point, err := strconv.Atoi(p.getenv("COMP_POINT")); err == nil && point >= 0 && point < len(line) {
		line = line[:point]
	}
	words := strings.Split(line, " ")
	last := len(words) - 1
	node := k.Model.Node
	for _, word := range words[:last] {
		for _, child := range node.Children {
			if child.Name == word {
				node = child
			}
		}
	}
	var candidates []string
	for _, child := range node.Children {
		if !child.Hidden {
			candidates = append(candidates, child.Name)
		}
	}
	for _, flag := range slices.Concat(cmp.Or(node.DefaultCmd, node).AllFlags(true)...) {
		name := "--" + flag.Name
		if last > 0 && words[last-1] == name && !flag.IsBool() {
			candidates = flag.EnumSlice() // it waits for its value
			break
		}
		candidates = append(candidates, name)
	}
	var fitting strings.Builder
	for _, word := range candidates {
		if word != "" && strings.HasPrefix(word, words[last]) && (words[last] != "" || word[0] != '-') {
			fmt.Fprintln(&fitting, word)
		}
	}
	_, err := io.WriteString(p.Out, fitting.String())
	return err
}
