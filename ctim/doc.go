// Package ctim holds the part of Cisco's Threat Intelligence Model that the relay emits: sightings,
// indicators, judgements, relationships and verdicts, with their vocabularies, ids, times and limits.
//
// It is a stated subset. Every field here is one that some answer carries; the whole model is CTIM 1.3.28
// (github.com/threatgrid/ctim), and package ctimschema is the judge of what we emit. The structs hold values
// that are already legal: [Short], [Med] and [Long] cut strings, [TimeOf] refuses times that CTIM refuses,
// [URI] refuses addresses that CTIM refuses, [NewID] makes ids. [Bundle] encodes them.
package ctim
