// Package search finds the Qualys events about observables. It joins the searches of one tenant into few
// calls, decides again which of the returned events really are about an observable, and keeps each failure
// to the observables that it concerns.
//
// A lookup is one normalised observable in one state (current or history), for one tenant and limit. It
// belongs to nobody: requests only wait for lookups, several for the same one where they want the same. A
// request that gives up stops waiting and changes nothing else; a lookup that nobody waits for is not sent.
// Counting events, reading the newest ones of a query and checking an account are lookups too, so that they
// share the tenant's login, concurrency and rate limit.
//
// Queue. Each tenant has its own two queues, one for each state. A queue takes one lookup from each waiting
// request in turn, so that a request with a thousand observables does not delay a small one for long. There
// is no timer: a lookup of an idle tenant leaves at once, and what arrives while all of the tenant's calls
// are in flight (Options.Concurrency, or fewer where Qualys says so; a state has half of them) leaves
// together, as soon as a call is free. Calls are given out in turn, to new queries and to the parts of
// earlier ones.
//
// Query. A query searches for up to 50 lookups of one state, joined with "or" within 6 KiB of encoded URL.
// It holds its lookups by value from the moment it is formed and never learns from a request what it is
// about. Qualys matches tokens, not values, so each event is compared again with each lookup: yes, no, or
// unknown where it does not show the searched field. A joined query gives out only what is certain. Where
// its page is full, an element could not be read, or an unknown event may be the lookup's, the lookup is
// sent again with fewer others, in the end alone. Alone it keeps unknown events, and reads on while other
// values fill its pages. Invariant: a lookup has the same answer whatever it is joined with.
//
// Split. A joined query may fail because a firewall, or Qualys, dislikes one of its values. It is searched
// again in halves, down to single lookups, so that such a value loses only itself. What no value can cause
// is not split: login and account, rate limit, refused connection, TLS, memory. splitBudget and outage bound
// the cost where everything fails. Invariant: the words of Qualys are kept only where a query was about one
// lookup, since those about a joined one may name values of other requests.
//
// Rate limit. When Qualys refuses a call for the tenant's rate, nothing of the tenant leaves until the wait
// is over; the refused call is made again then. Who has no time for that is answered at once, with the rest
// of the wait in the error's Limits.Wait.
//
// Cache. An answer without an error is kept for Options.CacheTTL, by tenant and lookup, within a number of
// entries and of bytes.
//
// Memory. The client charges for a page until it is released. A lookup holds the pages in which its events
// are until it is answered. With the answer each request that waits is charged for the events, from
// Options.Memory and up to Options.MaxRequestBytes, until it has visited them or ends; what finds no memory
// becomes ErrMemory. The cache has its own share; a request takes an answer from it, and is charged, only
// when it visits it.
//
// Locks. tenant.mu guards the tenant, its lookups and queries, and what its requests say is under it. No
// call and no wait happens under it, and work under it is linear in the lookups that it changes.
package search
