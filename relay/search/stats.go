package search

import "time"

// Stats is what one request cost upstream. A call that several requests share is counted for each of them.
type Stats struct {
	Calls     int           // HTTP exchanges with Qualys, logins among them
	Logins    int           // logins among the calls
	Upstream  time.Duration // the time of all calls added up
	Waits     int           // rate limits that were waited for
	CacheHits int           // searches answered from the cache
	Batches   []int         // for each query, how many observables it asked for at once
}
