// Package deploy rehearses the deployment, as far as that goes without Google Cloud: cloudbuild.yaml is parsed as a
// Build, every shell block of cmd/relay/README.md runs with a stand-in for gcloud, and the smoke test runs against
// the program that the Go buildpack would build.
//
//	cd .ci/deploy && go test ./...
//
// It is a module of its own, so that what it needs stays out of the service's dependencies. Where gcloud is installed,
// its own parser reads each command.
package deploy
