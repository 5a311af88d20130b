package main

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"qualysrelay.example/relay"
)

// versionCommand tells what this program is.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(p *program) error {
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(p.Out, "relayctl "+relay.Version+", "+build(info))
	return err
}

// build is the commit and the Go version that a program was built from. "go run" and "go test" record no
// commit.
func build(info *debug.BuildInfo) string {
	if info == nil {
		return "built without build information"
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := cmp.Or(settings["vcs.revision"], "unknown")
	if settings["vcs.modified"] == "true" {
		commit += " (modified)"
	}
	return fmt.Sprintf("commit %s, %s", commit, info.GoVersion)
}
