package main

import (
	"fmt"
	"runtime/debug"

	"qualysrelay.example/relay"
)

type versionCommand struct{}

func (versionCommand) Run(p *program) error {
	commit, modified, goVersion := "unknown", "", "an unknown Go"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " (modified)"
			}
		}
	}
	_, err := fmt.Fprintf(p.Out, "relayctl %s, commit %s%s, %s\n", relay.Version, commit, modified, goVersion)
	return err
}
