// Package qualystest is a strict fake of a Qualys gateway, as a real HTTP server on loopback: for tests,
// and for the demo.
//
// It answers POST /auth, and GET /ioc/events, /ioc/events/count, /ioc/events/count/time-buckets and
// /ioc/events/searchAfter (all under /ioc/v1 too) as Qualys does as far as that is known, and it is strict
// where Qualys may be lax: a request with a wrong method, path, form, header, parameter or query is answered
// with an error and reported to the test. It evaluates the queries over its events: double quotes match by
// tokens as Qualys's full-text fields do, backticks and single quotes match a value exactly. Without
// state=true it searches the history, with it the current state; the two are apart, linked by timeSeriesId.
//
// Faults go in with [Server.Inject]: what shall happen ([Status], [Reset], [HangInBody], …), to which
// calls, and how often. What the server saw comes out of [Server.Stats] and [Server.Requests];
// [Server.Wait] waits for it without sleeping.
//
// The events of [Story] tell of a workstation that met a malware family. [File], [Process], [Network],
// [Mutex] and [Registry] make single events, [Generate] makes thousands.
package qualystest
