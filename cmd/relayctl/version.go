package main

import (
	"fmt"

	"qualysrelay.example/relay"
)

type versionCommand struct{}

func (versionCommand) Run(p *program) error {
	version, commit, goVersion := relay.Build()
	_, err := fmt.Fprintf(p.Out, "relayctl %s, commit %s, %s\n", version, commit, goVersion)
	return err
}
