package qualys

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
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

// String names the gateway only.
func (t Tenant) String() string { return "qualys.Tenant(" + t.Gateway + ", credentials redacted)" }

// Format writes String for every verb, so that none can reach the fields.
func (t Tenant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// MarshalText makes encoding/json and its like write String.
func (t Tenant) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue makes slog write String.
func (t Tenant) LogValue() slog.Value { return slog.StringValue(t.String()) }
