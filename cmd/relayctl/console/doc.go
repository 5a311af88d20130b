// Package console is the page on which an analyst sees what the relay's answers mean: the observables in a
// pasted text, the events about them, what those touched, the verdicts, and what all that cost. It draws the
// relay's tiles, too, as XDR's dashboard would.
//
// It is a page for one person on one machine. The handler answers only on a loopback address, only under a
// loopback name, only to its own page, and only with the token that the page was given; what authenticates
// to the relay stays behind Options.Ask and never reaches the browser. The page loads nothing from any other
// host, runs no inline script, and writes every value of an answer as text.
//
// The page's own code is plain ES modules and CSS under assets, without a build step. Two libraries are
// embedded as published on npm, with their licences: assets/vendor/vendor.json names their versions and
// hashes, and a test holds the files to it.
package console
