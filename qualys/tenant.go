package qualys

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Tenant is one Qualys account: where its gateway is and who logs in. It redacts itself wherever it is
// printed, logged or encoded.
type Tenant struct {
	Gateway  string // "https://gateway.qg1.apps.qualys.com", without a trailing slash
	User     string
	Password string
}

// TenantKey tells tenants apart: two are equal only when gateway, user and password all are. Caches are
// keyed by it, so that nothing of one tenant reaches another, and so that a changed password starts
// afresh. It is derived from a secret: keep it out of logs.
type TenantKey [sha256.Size]byte

// Key returns the tenant's key: SHA-256 over the three parts, quoted, so that no shift between two of them
// makes two tenants equal.
func (t Tenant) Key() TenantKey {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q", t.Gateway, t.User, t.Password))
}

// Format writes the same for every verb: that there is a key, not which.
func (TenantKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "qualys.TenantKey(redacted)") }

// Format names the gateway only, for every verb, so that none can reach the other fields.
func (t Tenant) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "qualys.Tenant(%s, credentials redacted)", t.Gateway)
}

// MarshalText makes encoding/json, slog and their like write what Format does.
func (t Tenant) MarshalText() ([]byte, error) { return fmt.Append(nil, t), nil }
