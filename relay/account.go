package relay

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
)

// Account is what a request works with: its token's claims, completed from the configuration.
type Account struct {
	Tenant      qualys.Tenant
	PlatformURL string // base of links into the Qualys console; empty: unknown
	Limit       int    // most entities of a kind for one observable
}

// Format writes the gateway only, for every verb: fmt would not let the tenant hide itself in this struct.
func (a Account) Format(w fmt.State, _ rune) { _, _ = fmt.Fprint(w, a.Tenant) }

// Account returns the account of verified claims. Its errors are [*auth.Error].
func (c Config) Account(claims auth.Claims) (Account, error) {
	gateway, err := setting(claims, "API_URL", c.APIURL, c.gatewayOfToken)
	if err != nil {
		return Account{}, err
	}
	if gateway == "" {
		return Account{}, notAccepted("API_URL is missing in JWT payload and in the relay's environment")
	}
	platformURL, err := setting(claims, "PLATFORM_URL", c.consoleOf(gateway), parseConsole)
	if err != nil {
		return Account{}, err
	}
	// Cisco's module types send the limit as a number; a token made by hand may well have a string.
	limit := c.Limit
	if raw, ok, err := claims.Setting("CTR_ENTITIES_LIMIT"); ok || err != nil {
		if limit, err = between(1, maxLimit, wholeNumber, strconv.Atoi)(raw); err != nil {
			return Account{}, notAccepted("Wrong JWT payload structure: CTR_ENTITIES_LIMIT " + err.Error())
		}
	}
	tenant := qualys.Tenant{Gateway: gateway, User: claims.User, Password: claims.Password}
	return Account{tenant, platformURL, limit}, nil
}

// setting returns a claim, or another value where the token has none.
func setting(
	claims auth.Claims, name, otherwise string, parse func(string) (string, error),
) (string, error) {
	raw, ok, err := claims.Setting(name)
	if err != nil || !ok {
		return otherwise, err
	}
	value, err := parse(raw)
	if err != nil {
		return "", notAccepted(name + " in JWT payload is not accepted: " + err.Error())
	}
	return value, nil
}

func notAccepted(message string) error { return &auth.Error{Message: auth.Prefix + message} }

// gatewayOfToken returns the base URL of a gateway that a token names. It must be on the list, since the
// relay will send credentials there and somebody else may have chosen it.
func (c Config) gatewayOfToken(raw string) (string, error) {
	base, err := parseGateway(raw, false)
	if err != nil {
		return "", err
	}
	if slices.Contains(c.APIHosts, base.Host) {
		return base.String(), nil
	}
	name := base.Host
	if len(name) > 100 { // more than anyone could read in the message
		name = "it"
	}
	return "", errors.New(name + " is not on the relay's list API_HOSTS")
}

// consoleOf returns the console that goes with a gateway. That of the environment goes with the gateway of
// the environment: for another one's tenant its links would lead nowhere.
func (c Config) consoleOf(gateway string) string {
	if c.PlatformURL != "" && (c.APIURL == "" || gateway == c.APIURL) {
		return c.PlatformURL
	}
	for _, platform := range qualys.Platforms() {
		if platform.Gateway == gateway {
			return platform.UI
		}
	}
	return ""
}

// parseGateway reads the base URL of a gateway, which has no path.
func parseGateway(raw string, loopbackHTTP bool) (*url.URL, error) {
	base, err := parseBase(raw, loopbackHTTP)
	if err != nil {
		return nil, err
	}
	if base.Path != "" {
		return nil, errors.New("a path is not allowed")
	}
	if gateway := qualys.GatewayOf(base.Hostname()); gateway != "" {
		return nil, fmt.Errorf(
			"it is the API server or the console of a platform whose gateway is https://%s", gateway)
	}
	return base, nil
}

// parseConsole reads the base URL of a console.
func parseConsole(raw string) (string, error) {
	base, err := parseBase(raw, false)
	if err != nil {
		return "", err
	}
	return base.String(), nil
}

// parseBase reads a URL that others are built on: https, except that a loopback host may have http where
// loopbackHTTP says so. Host and path are normalised. Errors read as the end of a sentence and do not
// quote the URL, which may hold a password.
func parseBase(raw string, loopbackHTTP bool) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it is not a valid URL")
	}
	name, port := strings.ToLower(u.Hostname()), u.Port()
	_, badPort := strconv.ParseUint(cmp.Or(port, "0"), 10, 16)
	plainHTTP := u.Scheme == "http" && loopbackHTTP && isLoopback(name)
	switch {
	case u.Scheme != "https" && !plainHTTP:
		return nil, errors.New("it must start with https://")
	case u.User != nil:
		return nil, errors.New("user information is not allowed")
	case name == "":
		return nil, errors.New("it names no host")
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_:") != "":
		// net/url lets <, > and quotes through.
		return nil, errors.New("a character is not allowed in a host name")
	case strings.ContainsAny(raw, "?#"):
		return nil, errors.New("a query or a fragment is not allowed")
	case badPort != nil:
		return nil, errors.New("its port is not a number up to 65535")
	}
	u.Host = net.JoinHostPort(name, port)
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// isLoopback reports whether a host, without a port, never leaves the machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
