package ctim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/goccy/go-json"
)

// maxChunk is the most bytes of a chunk of several documents.
const maxChunk = 64 << 10

// Bundle is the "data" of an observe or deliberate answer while it grows. Entities are encoded as they
// are added, so that its size is known at each moment and an answer of 30 MiB is held once, as bytes. It
// is not safe for concurrent use.
type Bundle struct {
	max   int
	lists [len(kinds)]docs
	adds  int            // calls of Add
	seen  map[string]int // the call that added each id
}

// kinds is the order of a bundle's members.
var kinds = [...]Kind{KindSighting, KindIndicator, KindJudgement, KindRelationship, KindVerdict}

// docs is the documents of one kind, JSON values with a comma behind each, in chunks. Growing one buffer
// would copy the answer again and again. A copy of the struct is a mark to which the list can be taken
// back.
type docs struct {
	count int
	len   int      // bytes in all chunks
	full  [][]byte // chunks that are written
	open  []byte   // the chunk that grows
}

// NewBundle makes an empty bundle that never grows beyond maxBytes of JSON; 0 or less sets no limit.
func NewBundle(maxBytes int) *Bundle {
	return &Bundle{max: maxBytes, seen: make(map[string]int)}
}

// Add adds entities, all of them or none: where the bundle would pass its limit, it stays as it was and
// Add returns false. An entity whose id is there already is the same entity and is skipped; so is a second
// verdict on an observable.
func (b *Bundle) Add(e Entities) bool {
	before := b.lists
	b.adds++
	if e.Sighting != nil {
		b.add(KindSighting, e.Sighting.ID, e.Sighting)
	}
	if e.Indicator != nil {
		b.add(KindIndicator, e.Indicator.ID, e.Indicator)
	}
	for _, j := range e.Judgements {
		b.add(KindJudgement, j.ID, j)
	}
	for i := range e.Relationships {
		b.add(KindRelationship, e.Relationships[i].ID, &e.Relationships[i])
	}
	if v := e.Verdict; v != nil {
		// A verdict has no id. This cannot be another entity's: ids begin with "transient:".
		b.add(KindVerdict, "verdict "+string(v.Observable.Type)+" "+v.Observable.Value, v)
	}
	if b.max <= 0 || b.Len() <= b.max {
		return true
	}
	b.lists = before
	maps.DeleteFunc(b.seen, func(_ string, call int) bool { return call == b.adds })
	return false
}

// add encodes doc, a pointer to an entity. Invalid UTF-8 becomes U+FFFD, and what a script or HTML might
// take for its own (<, >, &, U+2028, U+2029) stays as it is: the answer is JSON, and says so.
func (b *Bundle) add(k Kind, id string, doc any) {
	if _, ok := b.seen[id]; ok {
		return
	}
	b.seen[id] = b.adds
	l := &b.lists[slices.Index(kinds[:], k)]
	l.count++
	encoder := json.NewEncoder(l)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		panic(err) // entities are strings, numbers and booleans, of which each can be encoded
	}
	l.open[len(l.open)-1] = ',' // the encoder ends with a line break
}

// Write appends to the open chunk, or where there is no room, to a new one as large as all so far.
func (l *docs) Write(p []byte) (int, error) {
	if cap(l.open)-len(l.open) < len(p) {
		if len(l.open) > 0 {
			l.full = append(l.full, l.open)
		}
		l.open = make([]byte, 0, max(len(p), min(l.len, maxChunk)))
	}
	l.open = append(l.open, p...)
	l.len += len(p)
	return len(p), nil
}

// Empty says that nothing was added yet.
func (b *Bundle) Empty() bool { return len(b.seen) == 0 }

// Counts is the number of documents of each kind that there are any of.
func (b *Bundle) Counts() map[string]int {
	counts := make(map[string]int)
	for i := range b.lists {
		if n := b.lists[i].count; n > 0 {
			counts[string(kinds[i])] = n
		}
	}
	return counts
}

// Len is the number of bytes of all [Bundle.Parts].
func (b *Bundle) Len() int {
	n := 0
	for i := range b.lists {
		if l := &b.lists[i]; l.count > 0 {
			// The comma behind the last document is one behind the member instead.
			n += len(`"s":{"count":,"docs":[]}`) + len(kinds[i]) + len(strconv.Itoa(l.count)) + l.len
		}
	}
	return len("{}") + max(0, n-len(","))
}

// Parts appends the pieces that make up the bundle's JSON, {"sightings":{"count":1,"docs":[…]},…}, to
// dst. Kinds without documents are left out. Nothing is copied: the pieces are the bundle's own, and
// valid until something is added to it.
func (b *Bundle) Parts(dst [][]byte) [][]byte {
	if b.Empty() {
		return append(dst, []byte("{}"))
	}
	between := "{"
	for i := range b.lists {
		if l := &b.lists[i]; l.count > 0 {
			dst = append(dst, fmt.Appendf(nil, `%s"%ss":{"count":%d,"docs":[`, between, kinds[i], l.count))
			dst = append(append(dst, l.full...), l.open[:len(l.open)-1])
			between = "]},"
		}
	}
	return append(dst, []byte("]}}"))
}
