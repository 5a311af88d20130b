package qualys

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decoder goes over a JSON text once. Its methods read one value each, and leave pos behind it. After a mistake err is set and pos is at the
// end, so that every loop ends; what was read until then does not count.
type decoder struct {
	data []byte
	pos  int
	err  error

	text    strings.Builder // holds the strings of a few events, see keep
	scratch []byte          // the last string that had escapes

	indicators []Indicator // of the event at hand
	interfaces []Interface
}

// fail records the first mistake: err, or where it is nil, that the text ends or goes wrong here.
func (d *decoder) fail(err error) {
	if err == nil {
		err = errNotJSON
		if d.pos >= len(d.data) {
			err = errTruncated
		}
	}
	if d.err == nil {
		d.err = err
	}
	d.pos = len(d.data)
}

// peek returns the first byte of what comes next, 0 at the end.
func (d *decoder) peek() byte {
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; c {
		case ' ', '\n', '\t', '\r':
			d.pos++
		default:
			return c
		}
	}
	return 0
}

// object calls field at the value of each member, which it has to read. For anything but an object it passes over it and returns false.
func (d *decoder) object(field func(key []byte)) bool {
	if d.peek() != '{' {
		d.skip()
		return false
	}
	d.pos++
	if d.peek() == '}' {
		d.pos++
		return true
	}
	for d.err == nil {
		if d.peek() != '"' {
			d.fail(nil)
			break
		}
		key := d.quoted()
		if d.peek() != ':' {
			d.fail(nil)
			break
		}
		d.pos++
		field(key)
		if d.endOr(',', '}') {
			return true
		}
	}
	return false
}

// array calls element at each element, which it has to read. It passes over anything but an array.
func (d *decoder) array(element func()) {
	if d.peek() != '[' {
		d.skip()
		return
	}
	d.pos++
	if d.peek() == ']' {
		d.pos++
		return
	}
	for d.err == nil {
		element()
		if d.endOr(',', ']') {
			return
		}
	}
}

// endOr reads a separator or the end of a list, and reports whether it was the end.
func (d *decoder) endOr(separator, end byte) bool {
	switch d.peek() {
	case separator:
		d.pos++
		return false
	case end:
		d.pos++
		return true
	}
	d.fail(nil)
	return false
}

// scalar returns the text of a string or a number, valid until the next call. For all else it returns nil.
func (d *decoder) scalar() []byte {
	c := d.peek()
	if c == '"' {
		return d.quoted()
	}
	start := d.pos
	d.skip()
	if c != '-' && !isDigit(c) {
		return nil
	}
	return d.data[start:d.pos]
}

// skip passes over one value, however deep it nests, without recursion.
func (d *decoder) skip() {
	for depth := 0; d.err == nil; {
		switch c := d.peek(); {
		case c == '"':
			d.passString()
		case c == '{', c == '[':
			d.pos++
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			d.pos++
			depth--
		case depth > 0 && (c == ',' || c == ':'):
			d.pos++
			continue
		case c == '-', isDigit(c):
			for d.pos++; d.pos < len(d.data) && isNumeric(d.data[d.pos]); d.pos++ {
			}
		case c == 't':
			d.literal("true")
		case c == 'f':
			d.literal("false")
		case c == 'n':
			d.literal("null")
		default:
			d.fail(nil)
		}
		if depth == 0 {
			return
		}
	}
}

func (d *decoder) literal(word string) {
	rest := d.data[d.pos:]
	if len(rest) >= len(word) && string(rest[:len(word)]) == word {
		d.pos += len(word)
		return
	}
	if len(rest) < len(word) && strings.HasPrefix(word, string(rest)) {
		d.fail(errTruncated)
	}
	d.fail(nil)
}

// passString passes over a string and returns what is between its quotes.
func (d *decoder) passString() []byte {
	start := d.pos + 1
	for end := start; ; end++ {
		i := bytes.IndexByte(d.data[end:], '"')
		if i < 0 {
			d.fail(errTruncated)
			return nil
		}
		end += i
		escapes := 0 // an odd number of backslashes before it makes the quote a character
		for end-escapes > start && d.data[end-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			d.pos = end + 1
			return d.data[start:end]
		}
	}
}

// quoted reads a string, valid until the next call.
func (d *decoder) quoted() []byte {
	start := d.pos + 1
	if end := start + plainText(d.data[start:]); end < len(d.data) && d.data[end] == '"' { // nearly every string
		d.pos = end + 1
		return d.data[start:end]
	}
	s := d.passString()
	if bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) {
		return s
	}
	d.scratch = unescape(d.scratch[:0], s)
	return d.scratch
}

// plainText is how many of the first bytes of s are ASCII, and neither quotes nor backslashes. It looks at eight bytes at a time: one pass instead of
// one each for the quote, the backslash and the encoding, most of which are calls for a few bytes.
func plainText(s []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		quote, backslash := w^ones*'"', w^ones*'\\' // 0 where the byte is one
		// What is not ASCII has its top bit set, and so has the difference where the byte was 0. That borrows from the byte above it, which may then
		// look wrong too: the lowest of them is right.
		if wrong := (w | (quote - ones) | (backslash - ones)) & tops; wrong != 0 {
			return i + bits.TrailingZeros64(wrong)/8
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// unescape appends s to dst with its escapes resolved. As in encoding/json, U+FFFD stands for a byte that is not UTF-8 and for half of a
// surrogate pair; an escape that JSON does not know stands for its character.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		if c != '\\' || i+1 == len(s) {
			n := max(1, plainText(s[i:]))
			dst = append(dst, s[i:i+n]...)
			i += n
			continue
		}
		i += 2
		switch c = s[i-1]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(s[i:])
			i = min(i+4, len(s))
			if utf16.IsSurrogate(r) {
				var low rune = -1
				if i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
					low = hexRune(s[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += len(`\u0000`)
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// hexRune reads four hexadecimal digits; -1, which is written as U+FFFD, stands for anything else.
func hexRune(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// textChunk is how much memory for strings is taken at a time. An event holds on to the two chunks at most in which its short strings lie
// (longer ones are apart), about as much as its JSON; a thousand events cost a few hundred allocations instead of twenty thousand.
const textChunk = 2 << 10

// keep copies s out of the body. A strings.Builder hands out its text without copying it and only ever appends, so the strings of several
// events can lie in one chunk.
func (d *decoder) keep(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) > textChunk/8 {
		return string(s)
	}
	if d.text.Cap()-d.text.Len() < len(s) {
		d.text.Reset()
		d.text.Grow(textChunk)
	}
	start := d.text.Len()
	d.text.Write(s)
	return d.text.String()[start:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNumeric(c byte) bool {
	return isDigit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}
