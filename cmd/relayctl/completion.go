package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints what a shell's start-up file needs.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the command's manual.
func (completionCommand) Help() string {
	return `The line goes into the shell's start-up file, or is read at once.

Example:

    eval "$(relayctl completion bash)"`
}

// Run prints the line. The shell then calls "relayctl complete" for each Tab.
func (c *completionCommand) Run(p *program) error {
	line := map[string]string{
		"bash": "complete -o default -C 'relayctl complete' relayctl",
		"zsh": "autoload -U +X bashcompinit && bashcompinit && complete -o default -C 'relayctl complete' " +
			"relayctl",
		"fish": "complete -c relayctl -a '(COMP_LINE=(commandline -cp) relayctl complete)'",
	}[c.Shell]
	_, err := fmt.Fprintln(p.Out, line)
	return err
}

// completeCommand lists completions. Shells give it the words as arguments too, which it does not need.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run lists the commands and flags that fit the line so far.
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
	flags := node.Flags
	var flag *kong.Flag // that waits for its value
	for i, word := range words {
		flag = nil
		if i == 0 { // the program's name
			continue
		}
		for _, child := range node.Children {
			if child.Name == word && child.Type == kong.CommandNode {
				node, flags = child, append(slices.Clone(flags), child.Flags...)
				if child.DefaultCmd != nil {
					flags = append(flags, child.DefaultCmd.Flags...)
				}
			}
		}
		for _, f := range flags {
			if "--"+f.Name == word && !f.IsBool() {
				flag = f
			}
		}
	}
	var candidates []string
	switch {
	case flag != nil:
		candidates = flag.EnumSlice()
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				candidates = append(candidates, child.Name)
			}
		}
		for _, positional := range node.Positional {
			candidates = append(candidates, positional.EnumSlice()...)
		}
		if strings.HasPrefix(last, "-") {
			for _, f := range flags {
				candidates = append(candidates, "--"+f.Name)
			}
		}
	}
	var fit []string
	for _, candidate := range candidates {
		if candidate != "" && strings.HasPrefix(candidate, last) {
			fit = append(fit, candidate)
		}
	}
	return fit
}
