// Command relay serves the relay's functions under the functions framework, on a laptop or in a container.
//
// It reads its configuration from the environment (the README beside it has the table), and ends with
// status 2 where that is wrong. FUNCTION_TARGET names the one function to serve, relay by default; PORT is
// 8080 by default.
package main

import (
	"fmt"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "qualysrelay.example" // registers the functions
)

func main() {
	if err := run(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(getenv func(string) string) error {
	port := getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if getenv("FUNCTION_TARGET") == "" {
		if err := os.Setenv("FUNCTION_TARGET", "relay"); err != nil {
			return err
		}
	}
	// The framework makes the http.Server itself and lets nobody set its timeouts. The relay sets a
	// deadline on the connection of each request instead.
	return funcframework.Start(port)
}
