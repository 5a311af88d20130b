// Package relay is the HTTP side of the relay: between Cisco XDR, which asks about observables, and
// Qualys EDR, which is searched for events.
//
// # The path of one observe
//
// Each line is one function, in the order in which a request passes them:
//
//	Service.ServeHTTP       finds the endpoint by its path (service.go)
//	Service.serve           sets the deadlines of the request and of its connection (handler.go)
//	Service.respond         calls the functions below, up to the envelope, and makes an error of a panic
//	auth.Verifier.Verify    verifies the token
//	Config.Account          makes an account of the token's claims: gateway, console, limit (account.go)
//	Service.observe         is the endpoint (observe.go)
//	decodeObservables       reads the body (observables.go)
//	Service.search          goes through the observables, of which
//	search.Searcher.Search  finds the events, and
//	entities.addResult      maps them into the answer with mapping.Mapper.Map and ctim.Bundle.Add; what failed
//	                        goes to
//	request.fail            which translates it into errors for the analyst (errors.go)
//	envelope                puts the data and the errors together
//	Service.finish          writes the answer, once, and with
//	accesslog.Line.Write    logs one line
//
// deliberate, refer, health and the tiles of XDR's dashboard (tiles.go, tiledata.go) differ in the endpoint
// only.
//
// Each step is a call that returns. Handlers return data, an error, or both; only finish writes to the
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
