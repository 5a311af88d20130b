package auth

import (
	"errors"
	"strings"
)

// SecretName is the resource name of a Secret Manager secret or of one of its versions.
type SecretName struct {
	Project  string
	Location string // empty for a global secret
	Secret   string
	Version  string // a number, an alias or "latest"; empty names the secret itself
}

// ParseSecretName reads projects/P/secrets/S or, for a regional secret,
// projects/P/locations/L/secrets/S, each with or without /versions/V.
func ParseSecretName(s string) (SecretName, error) {
	var n SecretName
	parts := strings.Split(strings.TrimSpace(s), "/")
	if len(parts)%2 == 0 {
		fields := map[string]*string{"projects": &n.Project, "locations": &n.Location, "secrets": &n.Secret, "versions": &n.Version}
		for i := 0; i < len(parts); i += 2 {
			if into := fields[parts[i]]; into != nil && parts[i+1] != "" {
				*into = parts[i+1]
			}
		}
	}
	if n.String() != strings.Join(parts, "/") || n.Project == "" || n.Secret == "" {
		return SecretName{}, errors.New("a name must read projects/P/secrets/S or projects/P/locations/L/secrets/S, with or without /versions/V")
	}
	const lower, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	for _, part := range []struct{ what, value, allowed string }{
		{"project", n.Project, lower + digits + "-.:"},
		{"location", n.Location, lower + digits + "-"}, // becomes part of a host name
		{"secret", n.Secret, lower + strings.ToUpper(lower) + digits + "-_"},
		{"version", n.Version, lower + strings.ToUpper(lower) + digits + "-_"},
	} {
		if strings.Trim(part.value, part.allowed) != "" {
			return SecretName{}, errors.New("the " + part.what + " of a secret's name has a character that is not allowed")
		}
	}
	return n, nil
}

// Parent is the name of the secret without a version.
func (n SecretName) Parent() string {
	s := "projects/" + n.Project
	if n.Location != "" {
		s += "/locations/" + n.Location
	}
	return s + "/secrets/" + n.Secret
}

// String is the resource name.
func (n SecretName) String() string {
	if n.Version == "" {
		return n.Parent()
	}
	return n.Parent() + "/versions/" + n.Version
}

// Endpoint is the host and port that serves a regional secret, or "" for the
// default endpoint, which serves the global ones.
func (n SecretName) Endpoint() string {
	if n.Location == "" {
		return ""
	}
	return "secretmanager." + n.Location + ".rep.googleapis.com:443"
}
