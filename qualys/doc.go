// Package qualys is a typed client of the Qualys gateway's EDR (formerly IOC) events API: login, event
// search, counts, and the query language that they take. It knows nothing of CTIM or of the relay.
//
// Three calls are covered: POST /auth, which answers a token as text; GET /ioc/events (/ioc/v1/events),
// which answers a list of events; and GET /ioc/events/count. Qualys documents them at docs.qualys.com
// under EDR, "API Conventions" and "Fetch Event Details". What the documentation leaves open is taken
// from published integrations and events, and read leniently: a field never fails an event, an event
// never fails an answer, and what cannot be read is counted.
//
// [Client] does the calls and holds the tokens. [Match], [Or] and their like build the query, so that no
// value can leave its quotes. Every failure is an [*Error] that says of which [Kind] it is, or the error
// of the caller's own context; nothing is tried again but a search whose token was refused. Retries, rate
// limits and batching are up to the caller, who gets what Qualys says about them as [RateLimits].
//
// An answer is decoded while it is read. What it takes in memory is bounded for itself, and by
// [Options].Memory together with all others.
package qualys
