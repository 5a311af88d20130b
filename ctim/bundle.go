package ctim

import (
	"slices"
	"strconv"
)

// Bytes of a chunk of documents: the first one's, and the most unless one document takes more.
const (
	firstChunk = 4 << 10
	lastChunk  = 64 << 10
)

// spare is room that AppendJSON leaves behind what it appends, for the end of the caller's envelope: it spares the copy of all the rest.
const spare = 512

// Bundle is the "data" of an observe or deliberate answer while it grows. Entities are encoded on the way in, so that its size is known at each
// moment and an answer of 30 MiB is held once, as bytes. It is not safe for concurrent use.
type Bundle struct {
	max   int
	lists [len(kinds)]docs
	ids   []string            // in the order of arrival, to take the latest back
	seen  map[string]struct{} // the same ids
}

// docs is the documents of one kind: JSON values with commas between them. They lie in chunks, of which only the last one grows: one buffer that is
// copied into a larger one again and again is most of the memory that an answer takes.
type docs struct {
	count   int
	len     int // bytes in all chunks
	chunks  [][]byte
	largest int // document so far
}

// kinds is the order of a bundle's members. Their names are plurals.
var kinds = [...]struct {
	kind   Kind
	member string
}{
	{KindSighting, "sightings"},
	{KindIndicator, "indicators"},
	{KindJudgement, "judgements"},
	{KindRelationship, "relationships"},
	{KindVerdict, "verdicts"},
}

// NewBundle makes an empty bundle that never grows beyond maxBytes of JSON; 0 or less sets no limit.
func NewBundle(maxBytes int) *Bundle {
	return &Bundle{max: maxBytes, seen: make(map[string]struct{})}
}

// Add takes in what one event gave. It is all or nothing: where the bundle would pass its limit, nothing is added and Add says false. An entity whose
// id is there already is the same entity and is skipped.
func (b *Bundle) Add(e Entities) bool {
	before := b.mark()
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
	return b.fits(before)
}

// AddVerdict takes in a verdict and the judgement that it comes from, either of which may be nil, all or nothing as [Bundle.Add] does. There is one
// verdict for an observable: a second one is skipped.
func (b *Bundle) AddVerdict(v *Verdict, j *Judgement) bool {
	before := b.mark()
	if v != nil {
		// A verdict has no id; this cannot be one, for ids begin with "transient:".
		b.add(KindVerdict, string(KindVerdict)+" "+string(v.Observable.Type)+" "+v.Observable.Value, v)
	}
	if j != nil {
		b.add(KindJudgement, j.ID, j)
	}
	return b.fits(before)
}

// Empty says that nothing was added yet.
func (b *Bundle) Empty() bool { return len(b.ids) == 0 }

// Count is the number of documents of a kind.
func (b *Bundle) Count(k Kind) int {
	for i := range kinds {
		if kinds[i].kind == k {
			return b.lists[i].count
		}
	}
	return 0
}

// Len is the number of bytes that [Bundle.AppendJSON] appends.
func (b *Bundle) Len() int {
	n := len("{}")
	members := 0
	for i := range b.lists {
		if l := &b.lists[i]; l.count > 0 {
			members++
			n += len(`"":{"count":,"docs":[]}`) + len(kinds[i].member) + digits(l.count) + l.len
		}
	}
	return n + max(0, members-1) // commas
}

// AppendJSON appends {"sightings":{"count":1,"docs":[…]},…}; kinds without documents are left out, so an empty bundle is {}.
func (b *Bundle) AppendJSON(dst []byte) []byte {
	dst = slices.Grow(dst, b.Len()+spare)
	for _, part := range b.Parts(nil) {
		dst = append(dst, part...)
	}
	return dst
}

// Parts appends the pieces of which [Bundle.AppendJSON] makes one text, in their order. Nothing is copied: they are the bundle's own, and hold until
// something is added to it.
func (b *Bundle) Parts(dst [][]byte) [][]byte {
	frame := []byte{'{'}
	for i := range b.lists {
		l := &b.lists[i]
		if l.count == 0 {
			continue
		}
		frame = append(key(frame, kinds[i].member), '{')
		frame = intField(frame, "count", int64(l.count))
		frame = append(key(frame, "docs"), '[')
		dst = append(append(dst, frame), l.chunks...)
		frame = []byte("]}")
	}
	return append(dst, append(frame, '}'))
}

func (b *Bundle) add(k Kind, id string, doc interface{ AppendJSON([]byte) []byte }) {
	if _, ok := b.seen[id]; ok {
		return
	}
	for i := range kinds {
		if kinds[i].kind != k {
			continue
		}
		b.lists[i].add(doc)
	}
	b.seen[id] = struct{}{}
	b.ids = append(b.ids, id)
}

func (l *docs) add(doc interface{ AppendJSON([]byte) []byte }) {
	likely := min(max(l.largest+l.largest/4, firstChunk/4), lastChunk/4) // bytes of this one; where it takes more, its chunk is copied after all
	last := len(l.chunks) - 1
	if last < 0 || cap(l.chunks[last])-len(l.chunks[last]) < likely {
		l.chunks = append(l.chunks, make([]byte, 0, min(max(l.len, likely, firstChunk), lastChunk)))
		last++
	}
	chunk := l.chunks[last]
	before := len(chunk)
	if l.count > 0 {
		chunk = append(chunk, ',')
	}
	chunk = doc.AppendJSON(chunk)
	l.chunks[last] = chunk
	l.count++
	l.len += len(chunk) - before
	l.largest = max(l.largest, len(chunk)-before)
}

// state is how much of a bundle there is.
type state struct {
	lists [len(kinds)]struct{ count, len, chunks, last int }
	ids   int
}

func (b *Bundle) mark() state {
	s := state{ids: len(b.ids)}
	for i := range b.lists {
		l, at := &b.lists[i], &s.lists[i]
		at.count, at.len, at.chunks = l.count, l.len, len(l.chunks)
		if at.chunks > 0 {
			at.last = len(l.chunks[at.chunks-1])
		}
	}
	return s
}

// fits says whether the bundle is within its limit, and where it is not takes it back to what it was before.
func (b *Bundle) fits(before state) bool {
	if b.max <= 0 || b.Len() <= b.max {
		return true
	}
	for i := range b.lists {
		l, at := &b.lists[i], before.lists[i]
		l.count, l.len, l.chunks = at.count, at.len, l.chunks[:at.chunks]
		if at.chunks > 0 {
			l.chunks[at.chunks-1] = l.chunks[at.chunks-1][:at.last]
		}
	}
	for _, id := range b.ids[before.ids:] {
		delete(b.seen, id)
	}
	b.ids = b.ids[:before.ids]
	return false
}

func digits(n int) int {
	var scratch [20]byte
	return len(strconv.AppendInt(scratch[:0], int64(n), 10))
}
