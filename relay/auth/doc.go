// Package auth turns the Authorization header of a request into verified [Claims]. It is the only package
// of the relay that sees a JWT, and knows nothing of what the claims are used for.
//
// # Algorithms
//
// The alg of the JWT's header chooses between two algorithms, and each takes one kind of key only, so
// that a public key can never serve as a shared secret:
//
//   - HS256: the shared secret of SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET, the first that is
//     set.
//   - RS256: the public keys that a host of JWKS_HOSTS publishes. The token's jwks_host claim names the
//     host, which is looked up in the list before anything is fetched.
//
// golang-jwt parses, validates and verifies; the package adds only what golang-jwt lets through, which
// TestWhatGolangJWTLetsThrough lists.
//
// # Order of the checks
//
// Everything that can be checked without a key is checked first: header, structure, algorithm, audience,
// times, user and password. Only then is a key read and the signature verified. A token that is refused
// for any other reason therefore costs no request to anybody, and no claim is returned before its
// signature has been verified. What a forger can learn from the messages is what the lists of hosts and
// audiences hold; those are no secrets.
//
// # Audience
//
// aud is a string or a list of strings. It is required in an RS256 token, because Cisco's keys sign
// tokens for every relay: one of [Config.Audiences] must be in it, or by default https:// and the host
// that the request came to (http:// too, for a loopback host only). An HS256 key belongs to one relay,
// and the tokens that Cisco's jwt tool made have no aud; where an HS256 token has one, it must pass the
// same check or hold "everyone", the audience that HS256 module types declare.
//
// # Keys and their rotation
//
// Keys from a file, from Secret Manager and from JWKS hosts are cached. A cache is refreshed inside a
// request and never by a background goroutine, because a Cloud Run instance has no CPU between requests;
// one refresh runs at a time, and a caller that gives up does not cancel it for the others. While the
// source is down the last good keys serve, for at most a day, and a dead source is tried at growing
// intervals up to a minute. An answer that a key is gone (its version disabled, destroyed or deleted) is
// not an outage: it is dropped at once.
//
// A signature that no key verifies may cause one early refresh a minute. So a new key is noticed when the
// first token signed with it arrives, while forged tokens cannot make the relay call somebody more often,
// nor wait.
//
// When a source gives a new HS256 key in place of the old, the old one keeps verifying for five minutes,
// so that requests signed with either pass while the key changes. A rotation without any gap, over all
// instances and for as long as it takes to replace the tokens, uses two names in SECRET_KEY_SECRET, one
// for the last and one for the next key. A key that has leaked is out of use eleven minutes after another
// took its place at the latest: six for the cache, five for the overlap. Whoever cannot wait deploys a
// new revision.
package auth
