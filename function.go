// Package function registers the relay's HTTP functions for Cloud Run: one for each endpoint, and relay,
// which serves them all.
package function

import (
	"fmt"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"qualysrelay.example/relay"
	"qualysrelay.example/relay/accesslog"
)

// A wrong configuration ends the process here, so that a revision with it never takes traffic.
func init() {
	config, err := relay.ConfigFromEnv(os.Getenv)
	if err != nil {
		exit(err)
	}
	log := accesslog.New(os.Stderr, config.LogLevel, config.ProjectID)
	service, err := relay.New(config, log)
	if err != nil {
		exit(err)
	}
	for name, handle := range service.Functions() {
		functions.HTTP(name, handle)
	}
	service.Start(os.Getenv("PORT"))
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
