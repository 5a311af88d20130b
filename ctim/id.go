package ctim

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1; nothing here is a secret
	"strconv"

	"github.com/google/uuid"
)

// NewID is the id of the entity that the parts of its name define together: "transient:<kind>-" and the
// UUIDv5 of the name in the X.500 namespace. "transient:" marks what is not stored anywhere (CTIM domain/id).
// The same name gives the same id each time, so that an event that is asked for twice is the same entity.
// Of several parts, each goes into the name with its length, so that no two lists give the same name.
func NewID(k Kind, parts ...string) string {
	// This is uuid.NewSHA1 without its allocations: an answer has some seven ids for each event.
	var scratch [512]byte
	name := append(scratch[:0], uuid.NameSpaceX500[:]...)
	for _, p := range parts {
		if len(parts) > 1 {
			name = append(strconv.AppendInt(name, int64(len(p)), 10), ':')
		}
		name = append(name, p...)
	}
	sum := sha1.Sum(name) //nolint:gosec // as above
	u := uuid.UUID(sum[:16])
	u[6] = u[6]&0x0F | 0x50    // version 5
	u[8] = u[8]&0x3F | 0x80    // variant of RFC 9562
	text, _ := u.MarshalText() // has no errors; unlike String it stays off the heap
	return "transient:" + string(k) + "-" + string(text)
}
