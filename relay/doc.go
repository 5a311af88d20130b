// Package relay is the HTTP side of the relay: between Cisco XDR, which asks about observables, and
// Qualys EDR, which is searched for events.
//
// # The path of one observe
//
// [Service.Functions] and [Service.ServeHTTP] find the endpoint and call serve (handler.go), which sets
// the deadline of the request and of its connection and calls observe (observe.go):
//
//	authorize           verifies the token: auth.Verifier.Verify; its claims become an account: Config.account
//	decodeObservables   reads the body (observables.go)
//	search              calls search.Searcher.Search, which finds the events of each observable
//	answer.add          calls mapping.Map for each event and encodes the entities
//	errorsOf            turns what failed into the errors of the answer (errors.go)
//	write               writes the envelope, once
//	accesslog.Line      is written, once
//
// The tiles of XDR's dashboard (tiles.go: the contract; tiledata.go: what they show) go the same way, with
// counts in place of events.
//
// Each step is a call that returns. Handlers return data, an error, or both; only serve writes to the
// connection.
//
// # Why failures answer HTTP 200
//
// XDR shows a module's own words only where the relay answers 200 with a list of errors; any other
// status becomes a generic client error. So every failure that is expected is a 200, and what was found
// before or beside it stays in the answer.
//
// # Limits
//
// Nothing that a caller or Qualys sends decides how much memory or time a request takes. The deadline of
// a request (REQUEST_TIMEOUT) ends the reading of its body, its searches and the writing of its answer.
// Until the token is verified, nothing is read from the body. The memory of all requests together has a
// budget (memory.go).
package relay
