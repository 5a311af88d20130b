package ctim

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1; nothing here is a secret
	"encoding/hex"
	"strconv"

	"github.com/google/uuid"
)

// NewID is the id of the entity that name defines: "transient:<kind>-" and the UUIDv5 of name in the X.500 namespace. "transient:" marks what is not
// stored anywhere (CTIM domain/id); the UUID is the same each time, so that the same event asked for twice is the same entity.
func NewID(k Kind, name string) string {
	var scratch [512]byte
	return newID(k, append(append(scratch[:0], uuid.NameSpaceX500[:]...), name...))
}

// DerivedID is the id of the entity that several parts define together. Each part goes into the name with its length, so that no two lists of parts
// give the same name.
func DerivedID(k Kind, parts ...string) string {
	var scratch [512]byte
	b := append(scratch[:0], uuid.NameSpaceX500[:]...)
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	return newID(k, b)
}

// newID makes the UUIDv5 of a namespace and a name, as uuid.NewSHA1 does, which would take a hash and four small pieces off the heap: an answer has some
// seven ids for each event.
func newID(k Kind, spaceAndName []byte) string {
	sum := sha1.Sum(spaceAndName) //nolint:gosec // as above
	u := uuid.UUID(sum[:len(uuid.UUID{})])
	u[6] = u[6]&0x0F | 0x50 // version 5
	u[8] = u[8]&0x3F | 0x80 // variant of RFC 9562
	var scratch [64]byte
	b := append(append(append(scratch[:0], "transient:"...), k...), '-')
	for i, part := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}
