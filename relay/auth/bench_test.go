package auth

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a request costs whose key is cached, from header to claims.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	w.keys.publish(jwk("k1", rsaKey()))
	hs := with(
		hsClaims(),
		fields{"API_URL": "https://gateway.example", "PLATFORM_URL": "https://console.example",
			"CTR_ENTITIES_LIMIT": 100},
	)
	rs := with(
		rsClaims(),
		fields{"API_URL": "https://gateway.example", "PLATFORM_URL": "https://console.example",
			"CTR_ENTITIES_LIMIT": 100},
	)
	v := w.verifier(b, w.config)
	for _, bb := range []struct{ name, token string }{
		{"HS256", signHS(canaryKey, hsHeader(), hs)},
		{"RS256", signRS(rsaKey(), rsHeader(), rs)},
		{"HS256/forged", signHS(canaryKey2, hsHeader(), hs)},
		{"expired", signHS(canaryKey, hsHeader(), with(hs, fields{"exp": 1}))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := bearing(bb.token)
			_, first := v.Verify(b.Context(), r) // reads the key
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), r); (err == nil) != (first == nil) {
					require.NoError(b, err)
				}
			}
		})
	}
}
