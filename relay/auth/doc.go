// Package auth turns the Authorization header of a request into verified [Claims]. It is the only package
// of the relay that sees a JWT, and knows nothing of what the claims are used for.
//
// # Algorithms
//
// The alg of the JWT's header chooses between two algorithms, and each takes one kind of key only, so
// that a public key can never serve as a shared secret:
//
//   - HS256: the shared secret of SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET, the first that is set.
//   - RS256: the public keys that a host of JWKS_HOSTS publishes. The token's jwks_host claim names the
//     host, which is looked up in the list before anything is fetched.
//
// golang-jwt parses, validates and verifies; the package adds only what golang-jwt lets through, which
// TestWhatGolangJWTLetsThrough lists.
//
// # Order of the checks
//
// Everything that can be checked without a key comes first: header, structure, algorithm, audience,
// times, user and password. Only then is a key read and the signature verified. So a token that is
// refused for any other reason costs no request to anybody, and no claim is returned before its signature
// was verified. From the messages a forger can learn the lists of hosts and audiences; those are no
// secrets.
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
// Keys from a file, Secret Manager and JWKS hosts are cached. A cache is refreshed inside a request and
// never by a background goroutine, because a Cloud Run instance has no CPU between requests. While the
// source is down the last good keys serve, for at most a day, and it is tried at growing intervals up to
// a minute. An answer that a key is gone (disabled, destroyed or deleted) is not an outage: the key is
// dropped at once.
//
// A signature that no key verifies may cause one early refresh a minute. So a new key is noticed when the
// first token signed with it arrives, while forged tokens can neither make the relay call somebody more
// often, nor wait.
//
// When a source gives a new HS256 key, the old one keeps verifying for five minutes. A rotation without
// any gap, over all instances and for as long as it takes to replace the tokens, uses two names in
// SECRET_KEY_SECRET, for the last and the next key. A key that has leaked is out of use eleven minutes
// after another took its place at the latest (six for the cache, five for the overlap), or at once with a
// new revision.
package auth
