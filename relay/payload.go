package relay

// bareJSON is an answer that is not wrapped in an envelope.
type bareJSON []byte

func (b bareJSON) Parts(dst [][]byte) [][]byte { return append(dst, b) }

// jsonPayload is a small payload that encoding/json writes.
type jsonPayload struct{ value any }

func (p jsonPayload) Parts(dst [][]byte) [][]byte { return append(dst, encode(p.value)) }
