#!/usr/bin/env bash
# Tests the sources that were submitted, before anything is built from them.
set -euo pipefail

# .gcloudignore leaves tests out. Without them this step would pass and prove nothing.
[[ -f cmd/relay/main_test.go ]] || {
  echo "the sources came without their tests: submit with --ignore-file=.gitignore" >&2
  exit 1
}
go mod verify
go vet ./...
go test -race ./...
