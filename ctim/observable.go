package ctim

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Observable is a thing that can be seen and asked about. CTIM sets no limit on the length of its value.
type Observable struct {
	Type  ObservableType `json:"type"`
	Value string         `json:"value"`
}

// Normal is the value in one of its many spellings: two observables of a type whose normal values are
// equal under [strings.EqualFold] are the same thing. White space around the value is dropped and text is
// in NFC. It is "" where the type is an IP address or a hash and the value is none.
func (o Observable) Normal() string {
	value := strings.TrimSpace(o.Value)
	switch o.Type {
	case ObservableIP, ObservableIPv6:
		// The shortest form, as IPv4 where the address is one. A zone means nothing beyond its endpoint.
		a, err := netip.ParseAddr(value)
		if err != nil {
			return ""
		}
		return a.WithZone("").Unmap().String()
	case ObservableMD5:
		return normalHash(value, 32)
	case ObservableSHA256:
		return normalHash(value, 64)
	}
	value = norm.NFC.String(value)
	switch o.Type {
	case ObservableDomain, ObservableHostname:
		// The A-label. A name that IDNA refuses, such as one with an underscore, stays as it is.
		value = strings.ToLower(strings.TrimSuffix(value, "."))
		if ascii, err := idna.Lookup.ToASCII(value); err == nil {
			return ascii
		}
	case ObservableFilePath:
		return normalPath(value)
	}
	return value
}

// normalHash is a hash of n hexadecimal digits in lower case.
func normalHash(value string, n int) string {
	if len(value) != n || strings.Trim(value, "0123456789abcdefABCDEF") != "" {
		return ""
	}
	return strings.ToLower(value)
}

// normalPath is a path without a separator at its end, and on Windows with backslashes and without the
// prefixes of the object manager.
func normalPath(value string) string {
	windows := len(value) > 1 && value[1] == ':' || strings.HasPrefix(value, "//?/") ||
		!strings.HasPrefix(value, "/") && strings.Contains(value, `\`)
	if !windows {
		return strings.TrimRight(value, "/")
	}
	value = strings.TrimRight(strings.ReplaceAll(value, "/", `\`), `\`)
	if strings.HasPrefix(value, `\\?\`) || strings.HasPrefix(value, `\??\`) {
		value = value[4:]
		if len(value) > 4 && strings.EqualFold(value[:4], `UNC\`) {
			value = `\\` + value[4:]
		}
	}
	return value
}
