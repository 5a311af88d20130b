// Package browser drives the console in a real Chromium against canned answers. It is a module of its own,
// so that what it needs stays out of the service's dependencies.
//
//	cd .ci/browser && go test ./...
//
// BROWSER_TEST=required makes a missing Chromium a failure instead of a skip. CHROMIUM names another one
// than chromium on the path. SCREENSHOTS=FOLDER writes pictures of every state at both widths and in both
// themes there.
package browser
