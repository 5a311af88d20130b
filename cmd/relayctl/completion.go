package main

import (
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

func (c *completeCommand) Run(k *kong.Context, p *program) error {
	line := p.getenv("COMP_LINE")
	if point, err := strconv.Atoi(p.getenv("COMP_POINT")); err == nil && point >= 0 && point < len(line) {
		line = line[:point]
	}
	_, err := io.WriteString(p.Out, strings.Join(append(completions(k.Model.Node, line), ""), "\n"))
	return err
}

// completions are the commands, flags or values that may come next in a command line.
func completions(node *kong.Node, line string) []string {
	words := strings.Split(line, " ")
	previous, last := words[:len(words)-1], words[len(words)-1]
	var candidates []string
	for _, word := range previous {
		for _, child := range node.Children {
			if child.Name == word {
				node = child
			}
		}
	}
	for _, child := range node.Children {
		if !child.Hidden {
			candidates = append(candidates, child.Name)
		}
	}
	for _, positional := range node.Positional {
		candidates = append(candidates, positional.EnumSlice()...)
	}
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	for _, flag := range slices.Concat(node.AllFlags(true)...) {
		name := "--" + flag.Name
		if len(previous) > 0 && previous[len(previous)-1] == name && !flag.IsBool() {
			candidates = flag.EnumSlice() // it waits for its value
			break
		}
		candidates = append(candidates, name)
	}
	return slices.DeleteFunc(candidates, func(s string) bool {
		return s == "" || !strings.HasPrefix(s, last) || last == "" && s[0] == '-'
	})
}
