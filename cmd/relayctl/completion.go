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
	words := strings.Fields(line)
	last := ""
	if len(words) > 0 && !strings.HasSuffix(line, " ") {
		words, last = words[:len(words)-1], words[len(words)-1]
	}
	var waiting *kong.Flag // for its value
	for _, word := range words[min(1, len(words)):] {
		waiting = nil
		for _, flag := range flagsOf(node) {
			if "--"+flag.Name == word && !flag.IsBool() {
				waiting = flag
			}
		}
		for _, child := range node.Children {
			if child.Name == word {
				node = child
			}
		}
	}
	var candidates []string
	switch {
	case waiting != nil:
		candidates = waiting.EnumSlice()
	case strings.HasPrefix(last, "-"):
		for _, flag := range flagsOf(node) {
			candidates = append(candidates, "--"+flag.Name)
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				candidates = append(candidates, child.Name)
			}
		}
		for _, positional := range node.Positional {
			candidates = append(candidates, positional.EnumSlice()...)
		}
	}
	return slices.DeleteFunc(candidates, func(s string) bool { return s == "" || !strings.HasPrefix(s, last) })
}

// flagsOf are the flags that may stand behind a command.
func flagsOf(node *kong.Node) []*kong.Flag {
	flags := slices.Concat(node.AllFlags(true)...)
	if node.DefaultCmd != nil {
		flags = append(flags, node.DefaultCmd.Flags...)
	}
	return flags
}
