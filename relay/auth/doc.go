// Package auth turns the Authorization header of a request into verified [Claims]. It is the only package
// of the relay that sees a JWT, and knows nothing of what the claims are used for.
//
// HS256 tokens are verified with the relay's shared secret, RS256 tokens with the public keys of a host on
// the list JWKS_HOSTS, which the token's jwks_host names. Each algorithm takes one kind of key only, so that
// a public key can never serve as a shared secret. golang-jwt validates times and verifies signatures, and
// go-jose reads key sets; TestWhatLibrariesLetThrough lists what the package must refuse beside them.
//
// Everything that can be checked without a key comes first, and a key is read last. So a token that is
// refused for any other reason costs no request to anybody, and no claim is returned before its signature
// was verified. The messages repeat nothing of the token.
//
// An RS256 token needs an audience, because Cisco's keys sign tokens for every relay. An HS256 key belongs
// to one relay, and the tokens that Cisco's jwt tool made have no aud; where there is one, it is checked.
//
// Keys are read inside requests and never by a background goroutine, because a Cloud Run instance has no
// CPU between requests. While their source is down the last good ones serve, for a day at most. A signature
// that no key verifies may cause one early read a minute, and waits for it: so the first token of a new key
// is accepted, while forged tokens cannot make the relay call anybody more often. A leaked HS256 key is out
// of use five minutes after the relay has read another in its place, which the first request does that finds
// its keys five minutes old, or at once with a new revision.
package auth
