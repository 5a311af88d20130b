package relayclient

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ParseURL holds a URL to what is safe to call: https, a host, no credentials, no query; plain http only to
// this machine. name is what the error calls it, such as --url.
func ParseURL(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case strings.Contains(raw, "@"): // a password may be before it, and is not repeated
		return nil, fmt.Errorf("%s must not hold credentials, nor any other @", name)
	case err != nil || u.Host == "" || u.Hostname() == "":
		if suggestion := suggest(raw); suggestion != "" {
			return nil, fmt.Errorf("%s %q is not a URL; did you mean %s?", name, raw, suggestion)
		}
		return nil, fmt.Errorf("%s %q is not a URL like https://host", name, raw)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s %q must not have a query or a fragment", name, raw)
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s %q must be https; plain http is for this machine only", name, raw)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s %q must be https", name, raw)
	}
	return u, nil
}

// suggest is the URL that somebody meant who wrote relay.example or localhost:8080, or nothing.
func suggest(raw string) string {
	if strings.Contains(raw, "://") || strings.ContainsAny(raw, "?#") {
		return ""
	}
	u, err := url.Parse("https://" + raw)
	if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), " ") {
		return ""
	}
	if IsLoopback(u.Hostname()) {
		u.Scheme = "http"
	}
	return u.String()
}

// IsLoopback tells whether a host of a URL is this machine.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// IsLoopbackAddress is IsLoopback for host:port.
func IsLoopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && IsLoopback(host)
}
