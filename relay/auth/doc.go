// Package auth turns the Authorization header of a request into verified
// [Claims]. It is the only package of the relay that sees a JWT.
//
// # Two doors
//
// The alg of the JWT's header chooses the door, and each door knows one kind of
// key only, so a public key can never be taken for a shared secret:
//
//   - HS256: the shared secret of SECRET_KEY, SECRET_KEY_FILE or
//     SECRET_KEY_SECRET, the first of them that is set.
//   - RS256: the public keys that a host of JWKS_HOSTS publishes. The host is
//     named by the token's jwks_host claim and is held against the list before
//     anything is fetched.
//
// Any other algorithm, "none" in every spelling included, is refused.
//
// # Order of the checks
//
// Everything that can be checked without a key is checked first: the header,
// the token's structure, its algorithm, its audience and times, the type of
// every claim, and the rules for API_URL and PLATFORM_URL. Only then is a key
// asked for and the signature verified. A token that is refused for any other
// reason therefore costs no request to anybody, and nothing that a token says is
// used before its signature has been verified. What a forger can learn from the
// messages is what the lists of hosts and audiences hold; those are no secrets.
//
// # Claims
//
// A claim that is there must have its type: user, pass, API_URL, PLATFORM_URL,
// jwks_host and aud are strings, exp, nbf and iat numbers, CTR_ENTITIES_LIMIT a
// whole number or a string of digits. user and pass must not be empty. The
// three settings that have a default in the environment (API_URL, PLATFORM_URL,
// CTR_ENTITIES_LIMIT) may be null or empty, which is what a form field that was
// left blank becomes; they count as absent then. exp, nbf and iat are held to
// where they are present, with a minute's leeway.
//
// aud is required in an RS256 token, because Cisco's keys sign tokens for every
// relay. It must be one of [Config.Audiences], or by default https:// and the
// host that the request came to (http:// too, for a loopback host only). The
// scheme is not read from the request: behind Cloud Run TLS ends before the
// container, and a header that the caller can write is no evidence. An HS256
// key belongs to one relay, and the tokens that Cisco's jwt tool made have no
// aud; where an HS256 token has one, it must pass the same check or be
// "everyone", the audience that HS256 module types declare.
//
// # Keys and their rotation
//
// Keys from a file, from Secret Manager and from JWKS hosts are cached. A cache
// is refreshed inside a request and never by a background goroutine, because a
// Cloud Run instance has no CPU between requests; one refresh runs at a time,
// and a caller that gives up does not cancel it for the others. While the
// source is down the last good keys serve, for at most a day, and a dead source
// is asked at growing intervals up to a minute. An answer that a key is gone
// (its version disabled, destroyed or deleted) is not an outage: such a key is
// dropped at once.
//
// A signature that no key verifies may cause one early refresh a minute. So a
// new key is noticed when the first token signed with it arrives, while forged
// tokens cannot make the relay call somebody more often than that, nor wait.
//
// When a source gives a new HS256 key in place of the old, the old one keeps
// verifying for five minutes. That is as long as it could have lived in the
// cache anyway, had the refresh not come early, and it lets requests signed
// with either key pass while the key changes. A rotation without any gap, over
// all instances and for as long as it takes to replace the tokens, uses two
// names in SECRET_KEY_SECRET, one for the last and one for the next key.
//
// A key that has leaked is out of use eleven minutes after another took its
// place at the latest: six for the cache, five for the overlap. Whoever cannot
// wait deploys a new revision, whose instances start without the old key.
//
// # Errors
//
// A token that is refused gives an [*Error], whose text may be shown to the
// caller. It never quotes the token, a key or a claim, apart from an algorithm
// name or a host name, cut and cleaned. [ErrKeyUnavailable] says that the
// relay's own key cannot be read; its cause is for the log. When the caller's
// context ends while a key is being fetched, the error is the context's.
package auth
