// Package search finds the Qualys events about observables. It joins the searches of one tenant into few
// calls, decides again which of the returned events really are about an observable, and keeps each failure
// to the observables that it concerns.
//
// A lookup is one normalised observable, or one Question, in one state (current or history) for one tenant
// and limit. It belongs to nobody: requests only wait for lookups, several for the same one where they want
// the same. A request that gives up stops waiting and changes nothing else; what nobody waits for is not
// sent.
//
// Queue. Each request has a queue for each state. From the queues of a tenant's requests one lookup each, in
// turn, goes into the next query, so that a large request does not delay a small one for long. There is no
// timer: a lookup of an idle tenant leaves at once, and what arrives while all calls are in flight leaves
// together, as a batch. Calls are given out in turn, to new batches and to what is left of earlier ones.
//
// Query. A query is one call, for up to 50 lookups. Qualys matches tokens, not values, so each event is
// compared again with each lookup: yes, no, or unknown where it does not show the searched field. A joined
// query gives out only what is certain; the other lookups are searched again with fewer, in the end alone.
// Alone, a lookup keeps unknown events and reads on while other values fill its pages. Invariant: a lookup
// has the same answer whatever it is joined with.
//
// Split. A joined query may fail because a firewall, or Qualys, dislikes one of its values. It is searched
// again in halves, so that such a value loses only itself. What no value can cause is not split. Invariant:
// the words of Qualys are kept only where a query was about one lookup: others may name values of others.
//
// Rate limit. When Qualys refuses a call for the tenant's rate, nothing of the tenant leaves until the wait
// is over. Requests that have no time for that end their waits at once, with the rest of the wait in the
// error.
//
// Cache. An answer without an error is kept for Options.CacheTTL, by tenant and lookup.
//
// Memory. What a lookup finds is charged for until all requests that want it have visited it. The cache has
// a share of its own; an answer from it is charged for when a request takes it.
//
// Locks. tenant.mu guards all of a tenant. No call and no wait happens under it.
package search
