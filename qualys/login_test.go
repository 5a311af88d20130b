package qualys

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func jwt(payload string) string {
	return "eyJhbGciOiJIUzUxMiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl"
}

func TestLifeOfAToken(t *testing.T) {
	tests := []struct {
		name, claims string
		want         time.Duration
	}{
		{"nine tenths of what it says", `{"exp":%d}`, 108 * time.Minute},
		{"a fraction", `{"exp":%d.5}`, 108 * time.Minute},
		{"silent: nine tenths of four hours", `{"sub":"x"}`, 216 * time.Minute},
		{"no JSON", `nothing`, 216 * time.Minute},
		{"in quotes", `{"exp":"%d"}`, 108 * time.Minute},
		{"a word", `{"exp":"tomorrow"}`, 216 * time.Minute},
		{"zero", `{"exp":0}`, 216 * time.Minute},
		{"negative", `{"exp":-1}`, 216 * time.Minute},
		{"over already", `{"exp":1}`, 54 * time.Second},
		{"far away", `{"exp":1e300}`, 1296 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claims := tt.claims
				if strings.Contains(claims, "%d") {
					claims = fmt.Sprintf(claims, time.Now().Add(2*time.Hour).Unix())
				}
				assert.Equal(t, tt.want, life(jwt(claims)))
			})
		})
	}
	assert.Equal(t, 216*time.Minute, life("a.!.c"), "not base64")
}

func TestATokenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(Options{})
		tenant := Tenant{Gateway: "https://gateway.example", User: "ana", Password: "secret"}
		assert.False(t, c.LoggedIn(tenant))
		c.tokens.Add(tenant.Key(), token{text: "t", until: time.Now().Add(time.Hour)})
		assert.True(t, c.LoggedIn(tenant))
		time.Sleep(time.Hour - time.Nanosecond) // of the bubble's clock
		assert.True(t, c.LoggedIn(tenant))
		time.Sleep(time.Nanosecond)
		assert.False(t, c.LoggedIn(tenant))
	})
}

func TestTokensAreBounded(t *testing.T) {
	c := NewClient(Options{})
	key := func(i int) TenantKey { return Tenant{User: fmt.Sprint(i)}.Key() }
	tok := token{text: "t", until: time.Now().Add(time.Hour)}
	for i := range maxTenants {
		c.tokens.Add(key(i), tok)
	}
	_, ok := c.known(key(0), false)
	assert.True(t, ok)
	c.tokens.Add(key(-1), tok)
	assert.Equal(t, maxTenants, c.tokens.Len())
	_, ok = c.known(key(0), false)
	assert.True(t, ok, "it was used a moment ago")
	_, ok = c.known(key(1), false)
	assert.False(t, ok, "the one that was not used for the longest time went")
}

func TestOnlyTheSameTokenIsDropped(t *testing.T) {
	c := NewClient(Options{})
	key := Tenant{User: "ana"}.Key()
	c.tokens.Add(key, token{text: "new", until: time.Now().Add(time.Hour)})
	assert.True(t, c.renew(key, "old"))
	_, ok := c.known(key, false)
	assert.True(t, ok)
	assert.True(t, c.renew(key, "new"))
	_, ok = c.known(key, false)
	assert.False(t, ok)
}
