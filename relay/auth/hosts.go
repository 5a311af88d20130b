package auth

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// hostFault tells why a string is not the bare lower-case DNS name that a list
// of hosts consists of, or "" if it is one. Nothing is repaired: a name that
// needs repair is not the name that the operator has looked at.
func hostFault(host string) string {
	switch {
	case host == "":
		return "it is empty"
	case strings.Contains(host, "@"):
		return "user information is not allowed"
	case strings.ContainsAny(host, `/\?#`):
		return "a scheme or a path is not allowed"
	case isIP(host):
		return "an IP address is not allowed"
	case strings.Contains(host, ":"):
		return "a port is not allowed"
	case strings.HasSuffix(host, "."):
		return "a trailing dot is not allowed"
	case host != strings.ToLower(host):
		return "upper-case letters are not allowed"
	case !plainHost(host):
		return "a character is not allowed in a host name"
	}
	return ""
}

// isIP reports whether a resolver could take the host for an IP address: in the
// usual notations, or because its last label is a number, which the URL
// standard reads as IPv4 (2130706433, 0x7f.1).
func isIP(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndex(host, ".")+1:]
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		_, err := strconv.ParseUint("0"+hex, 16, 64)
		return err == nil
	}
	return strings.Trim(last, "0123456789") == ""
}

// isLoopback reports whether the host, without a port, never leaves the machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// plainHost reports whether the host consists of what DNS names and IP
// addresses consist of. net/url lets quotes and angle brackets through.
func plainHost(host string) bool {
	return strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:") == ""
}

// baseURL is a checked absolute URL without user information, query and fragment.
type baseURL struct {
	scheme string
	name   string // lower-case host without port
	port   string // empty where it is the default one
	path   string // escaped, no trailing slash
}

// host is the name, with the port where it is not the default one.
func (b baseURL) host() string {
	switch {
	case b.port != "":
		return net.JoinHostPort(b.name, b.port)
	case strings.Contains(b.name, ":"):
		return "[" + b.name + "]"
	}
	return b.name
}

func (b baseURL) String() string { return b.scheme + "://" + b.host() + b.path }

// parseBase reads a URL that others are built on: https, except that a loopback
// host may have http where loopbackHTTP says so. The errors read as the end of
// a sentence and do not quote the URL, which may hold a password.
func parseBase(raw string, loopbackHTTP bool) (baseURL, error) {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil {
		return baseURL{}, errors.New("it is not a valid URL")
	}
	b := baseURL{
		scheme: u.Scheme,
		name:   strings.ToLower(u.Hostname()),
		port:   u.Port(),
		path:   strings.TrimRight(u.EscapedPath(), "/"),
	}
	http := b.scheme == "http" && loopbackHTTP && isLoopback(b.name)
	switch {
	case b.scheme != "https" && !http:
		return baseURL{}, errors.New("it must start with https://")
	case u.User != nil:
		return baseURL{}, errors.New("user information is not allowed")
	case b.name == "":
		return baseURL{}, errors.New("it names no host")
	case !plainHost(b.name):
		return baseURL{}, errors.New("a character is not allowed in a host name")
	case strings.ContainsAny(raw, "?#"):
		return baseURL{}, errors.New("a query or a fragment is not allowed")
	}
	if b.port != "" {
		if _, err := strconv.ParseUint(b.port, 10, 16); err != nil {
			return baseURL{}, errors.New("its port is not a number up to 65535")
		}
	}
	if b.scheme == "https" && b.port == "443" || b.scheme == "http" && b.port == "80" {
		b.port = ""
	}
	return b, nil
}
