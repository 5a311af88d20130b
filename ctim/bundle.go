package ctim

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/goccy/go-json"
)

// Bytes of a chunk of documents: of the first one, and of one of many.
const (
	firstChunk = 4 << 10
	fullChunk  = 64 << 10
)

// Bundle is the "data" of an observe or deliberate answer while it grows. Entities are encoded as they
// are added, so that its size is known at each moment and an answer of 30 MiB is held once, as bytes. It
// is not safe for concurrent use.
type Bundle struct {
	max   int
	lists [len(kinds)]docs
	seen  map[string]struct{} // ids
	added []string            // ids of the entities that are being added
}

// kinds is the order of a bundle's members.
var kinds = [...]Kind{KindSighting, KindIndicator, KindJudgement, KindRelationship, KindVerdict}

// Kinds are the kinds of entity that a bundle holds, in the order of its members.
func Kinds() []Kind { return slices.Clone(kinds[:]) }

// docs is the documents of one kind: JSON values with commas between them, in chunks. Growing one buffer
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
	return &Bundle{max: maxBytes, seen: make(map[string]struct{})}
}

// Add adds the entities of one event, all of them or none: where the bundle would pass its limit, it
// stays as it was and Add returns false. An entity whose id is there already is the same entity and is
// skipped.
func (b *Bundle) Add(e Entities) bool {
	before := b.lists
	if e.Sighting != nil {
		b.add(KindSighting, e.Sighting.ID, e.Sighting)
	}
	if e.Indicator != nil {
		b.add(KindIndicator, e.Indicator.ID, e.Indicator)
	}
	for _, j := range e.Judgements {
		b.add(KindJudgement, j.ID, j)
	}
	for _, r := range e.Relationships {
		b.add(KindRelationship, r.ID, r)
	}
	return b.commit(before)
}

// AddVerdict adds a verdict and the judgement that it comes from, either of which may be nil, all or
// nothing as [Bundle.Add] does. There is one verdict for an observable: a second one is skipped.
func (b *Bundle) AddVerdict(v *Verdict, j *Judgement) bool {
	before := b.lists
	if v != nil {
		// A verdict has no id. This cannot be another entity's: ids begin with "transient:".
		b.add(KindVerdict, "verdict "+string(v.Observable.Type)+" "+v.Observable.Value, v)
	}
	if j != nil {
		b.add(KindJudgement, j.ID, j)
	}
	return b.commit(before)
}

// Empty says that nothing was added yet.
func (b *Bundle) Empty() bool { return len(b.seen) == 0 }

// Count is the number of documents of a kind.
func (b *Bundle) Count(k Kind) int {
	for i := range kinds {
		if kinds[i] == k {
			return b.lists[i].count
		}
	}
	return 0
}

// Len is the number of bytes of all [Bundle.Parts].
func (b *Bundle) Len() int {
	n := len("{}")
	members := 0
	for i := range b.lists {
		if l := &b.lists[i]; l.count > 0 {
			members++
			n += len(`"s":{"count":,"docs":[]}`) + len(kinds[i]) + len(strconv.Itoa(l.count)) + l.len
		}
	}
	return n + max(0, members-1) // commas
}

// Parts appends the pieces that make up the bundle's JSON, {"sightings":{"count":1,"docs":[…]},…}, to
// dst. Kinds without documents are left out. Nothing is copied: the pieces are the bundle's own, and
// valid until something is added to it.
func (b *Bundle) Parts(dst [][]byte) [][]byte {
	open := "{"
	for i := range b.lists {
		l := &b.lists[i]
		if l.count == 0 {
			continue
		}
		dst = append(dst, fmt.Appendf(nil, `%s"%ss":{"count":%d,"docs":[`, open, kinds[i], l.count))
		dst = append(append(dst, l.full...), l.open)
		open = "]},"
	}
	if b.Empty() {
		return append(dst, []byte("{}"))
	}
	return append(dst, []byte("]}}"))
}

func (b *Bundle) add(k Kind, id string, doc any) {
	if _, ok := b.seen[id]; ok {
		return
	}
	b.seen[id] = struct{}{}
	b.added = append(b.added, id)
	for i := range kinds {
		if kinds[i] == k {
			b.lists[i].add(doc)
		}
	}
}

// commit keeps what was added since before, or takes it back where the bundle is beyond its limit.
func (b *Bundle) commit(before [len(kinds)]docs) bool {
	fits := b.max <= 0 || b.Len() <= b.max
	if !fits {
		b.lists = before
		for _, id := range b.added {
			delete(b.seen, id)
		}
	}
	b.added = b.added[:0]
	return fits
}

// add encodes doc, a pointer to an entity. Invalid UTF-8 becomes U+FFFD, and what a script or HTML might
// take for its own (<, >, &, U+2028, U+2029) stays as it is: the answer is JSON, and says so.
func (l *docs) add(doc any) {
	if l.count > 0 {
		_, _ = l.Write([]byte{','})
	}
	l.count++
	encoder := json.NewEncoder(l)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		panic(err) // entities are strings, numbers and booleans, of which each can be encoded
	}
	l.open, l.len = l.open[:len(l.open)-1], l.len-1 // the encoder ends with a line break
}

// Write appends to the open chunk, or to a new one where there is no room.
func (l *docs) Write(p []byte) (int, error) {
	if cap(l.open)-len(l.open) < len(p) {
		if len(l.open) > 0 {
			l.full = append(l.full, l.open)
		}
		l.open = make([]byte, 0, max(len(p), min(max(firstChunk, l.len), fullChunk)))
	}
	l.open = append(l.open, p...)
	l.len += len(p)
	return len(p), nil
}
