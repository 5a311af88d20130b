// Package relay is the HTTP edge between Cisco XDR and Qualys EDR: routes, request and response bodies, the error table, configuration and logs.
//
// # The walk of one observe
//
// The door (door.go) sets the deadline, recovers, limits and logs; auth verifies the token; observables.go decodes the body; search finds the events;
// mapping turns them into CTIM entities; the door writes one envelope. Top to bottom: handlers return a payload, an error or both, and only the
// door writes to the wire.
//
// # Why failures answer HTTP 200
//
// XDR shows a module's own words only where the relay answers 200 with a list of errors; from any other status it makes a generic client error.
// So every failure that is expected is a 200, and what was found before or beside it stays in the answer.
package relay
