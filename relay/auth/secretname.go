package auth

import (
	"errors"
	"regexp"
	"strings"
)

// SecretName is the resource name of a Secret Manager secret or of one of its versions.
type SecretName struct {
	Project  string
	Location string // empty for a global secret
	Secret   string
	Version  string // a number, an alias or "latest"; empty names the secret itself
}

// ParseSecretName reads projects/P/secrets/S or, for a regional secret, projects/P/locations/L/secrets/S,
// each with or without /versions/V.
func ParseSecretName(s string) (SecretName, error) {
	// The location becomes part of a host name.
	parts := regexp.MustCompile(`^projects/([a-z0-9.:-]+)(?:/locations/([a-z0-9-]+))?` +
		`/secrets/([\w-]+)(?:/versions/([\w-]+))?$`).FindStringSubmatch(strings.TrimSpace(s))
	if parts == nil {
		return SecretName{}, errors.New("a name must read projects/P/secrets/S or " +
			"projects/P/locations/L/secrets/S, with or without /versions/V")
	}
	return SecretName{Project: parts[1], Location: parts[2], Secret: parts[3], Version: parts[4]}, nil
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

// Endpoint is the host and port that serves a regional secret, or "" for the default endpoint, which
// serves the global ones.
func (n SecretName) Endpoint() string {
	if n.Location == "" {
		return ""
	}
	return "secretmanager." + n.Location + ".rep.googleapis.com:443"
}
