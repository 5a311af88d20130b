package relay

import (
	"context"

	"golang.org/x/sync/semaphore"
	"qualysrelay.example/relay/search"
)

// The memory of the process is divided by what it is for, in shares of the limit (GOMEMLIMIT). What is
// small is free, so that a request waits only where it is one of many large ones:
//
//	events    3/8   pages of Qualys that are read, events that are not yet in an answer, bodies that are
//	                decoded. The first 256 KiB of a page and the first 64 KiB of a body are free
//	answers   1/4   encoded answers. The first 256 KiB of each are free
//	cache     1/16  recent answers of Qualys
//
// The rest is for the program, for what is free, and for garbage that is not collected yet. A page waits
// for its memory a few seconds while it holds what it has; then its observables get an error. A request
// waits for the memory of its answer once, for as much as the answer may need, so that no two requests
// that hold a part wait for each other.
type budget struct {
	events, answers *semaphore.Weighted
	cache           int64
}

const (
	maxAnswer      = 29 << 20  // bytes of entities: Cloud Run sends no more than 32 MB, and errors need room
	freeAnswer     = 256 << 10 // bytes of an answer that need no share of the budget
	likelyEntities = 6 << 10   // bytes of one event's entities, about
	maxUnread      = 16 << 20  // bytes of events from Qualys that one request holds beside its answer
)

func newBudget(limit int64) budget {
	return budget{
		events:  semaphore.NewWeighted(max(limit*3/8, maxUnread)),
		answers: semaphore.NewWeighted(max(limit/4, maxAnswer)),
		cache:   limit / 16,
	}
}

// answerMemory is what one answer holds of the budget. It belongs to one request.
type answerMemory struct {
	pool *semaphore.Weighted
	need int64 // bytes that the answer is likely to take
	held int64
}

// expect says how many events the answer may have.
func (m *answerMemory) expect(events int) {
	m.need = int64(min(max(events*likelyEntities, freeAnswer), maxAnswer))
}

// reserve is called before an answer of size bytes grows. The first time, it waits for memory until ctx
// ends; what is free it takes after that, too, for what was found by then. An answer that turns out larger
// than expected takes more where there is some, and does not wait for it. Otherwise reserve returns
// search.ErrMemory.
func (m *answerMemory) reserve(ctx context.Context, size int) error {
	switch {
	case size < max(freeAnswer, int(m.held)):
		return nil
	case m.pool.TryAcquire(m.need), m.held == 0 && m.pool.Acquire(ctx, m.need) == nil:
		m.held += m.need
		return nil
	}
	return search.ErrMemory
}

// release gives the memory back, when the answer is written.
func (m *answerMemory) release() {
	if m.held > 0 {
		m.pool.Release(m.held)
		m.held = 0
	}
}
