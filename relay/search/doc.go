// Package search finds the Qualys events about observables. It knows which query finds an observable, decides again which of the returned events
// really are about it, joins the searches of one tenant into few calls, and keeps each fault to the observables that it concerns.
package search
