// Package qualys is a typed client of the Qualys gateway's EDR (formerly IOC) events API: login, event search, and the query language it takes.
// It knows nothing of CTIM or of the relay, and imports only the standard library.
//
// Two calls are covered: POST /auth, which answers a token as text, and GET /ioc/events (/ioc/v1/events), which answers a list of events.
// Qualys documents them at docs.qualys.com under EDR, "API Conventions" and "Fetch Event Details". What the documentation leaves open is taken
// from published integrations and events, and read leniently: an event never fails an answer.
//
// [Client] does the calls and holds the tokens. [Match] and [Or] build the query, so that no value can leave its quotes. Every failure is an
// [*Error] that says of which [Kind] it is, or the error of the caller's own context; nothing is tried again but a search whose token was refused.
// Retries, rate limits and batching are up to the caller, who gets what Qualys's headers say as [RateLimits].
package qualys
