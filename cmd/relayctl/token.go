package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/qualys"
)

// maxLimit is the highest CTR_ENTITIES_LIMIT that the relay takes.
const maxLimit = 1000

// tokenCommand groups what can be done with configuration tokens.
type tokenCommand struct {
	New    tokenNewCommand    `cmd:"" default:"withargs" help:"Make a configuration token (\"relayctl token\" does it too)."`
	Decode tokenDecodeCommand `cmd:"" help:"Show a token's header and claims, without verifying it."`
	Verify tokenVerifyCommand `cmd:"" help:"Say whether the relay takes a token, or why not."`
}

// Help is the group's manual.
func (tokenCommand) Help() string {
	return `A configuration token is the JWT that carries the Qualys credentials to the relay in each request.

Examples:

    relayctl token --key-file relay.key --api-url https://gateway.qg1.apps.qualys.com --expires 90d --out relay.jwt
    relayctl token decode --file relay.jwt
    relayctl token verify --file relay.jwt --key-file relay.key`
}

// tokenNewCommand signs a configuration token: the JWT that carries the Qualys credentials to the relay.
type tokenNewCommand struct {
	User        string   `help:"Qualys user name (QUALYS_USER)." from:"QUALYS_USER" placeholder:"NAME"`
	KeyFile     string   `help:"Signing key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	APIURL      string   `name:"api-url" help:"Qualys gateway, where the relay has none of its own." placeholder:"URL"`
	PlatformURL string   `name:"platform-url" help:"Qualys console, for links out of an investigation." placeholder:"URL"`
	Limit       int      `help:"Most sightings, indicators and judgements for each observable." placeholder:"N"`
	Expires     lifetime `help:"How long the token is valid, like 12h or 90d; without it, for ever." placeholder:"TIME"`
	Audience    string   `help:"The aud claim: the relay's URL, if the token shall serve no other relay." placeholder:"URL"`
	Out         string   `help:"Write the token to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force       bool     `help:"Replace the file if it exists."`
}

// Help is the command's manual.
func (tokenNewCommand) Help() string {
	return `The token is a JWT signed with HS256. Its claims are signed but not hidden: whoever holds it can read the Qualys password.
The password is never an argument. It comes from QUALYS_PASSWORD; else it is asked for without echo on a terminal; else it is
read from standard input (a line with the user name first, where neither --user nor QUALYS_USER gives it).

Examples:

    relayctl token --key-file relay.key --api-url https://gateway.qg1.apps.qualys.com --expires 90d
    pass show qualys | relayctl token --key-file relay.key --user acme_ab1 --out relay.jwt`
}

// lifetime is a duration that can be written in days, too.
type lifetime time.Duration

// UnmarshalText takes what time.ParseDuration takes, and whole days like 90d.
func (l *lifetime) UnmarshalText(text []byte) error {
	s := string(text)
	d, err := time.ParseDuration(s)
	if days, found := strings.CutSuffix(s, "d"); found {
		var n int64
		n, err = strconv.ParseInt(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < time.Minute {
		return fmt.Errorf("%q is not a time of a minute or more, like 12h or 90d", s)
	}
	*l = lifetime(d)
	return nil
}

// Run makes the token.
func (c *tokenNewCommand) Run(ctx context.Context, p *program) error {
	claims := jwt.MapClaims{"iat": p.now().Unix()}
	if c.Force && c.Out == "" {
		return errors.New("--force belongs to --out")
	}
	if c.APIURL != "" {
		u, err := checkURL("--api-url", c.APIURL)
		if err == nil && (u.Scheme != "https" || strings.Trim(u.Path, "/") != "") {
			err = fmt.Errorf("--api-url %q must be https://host: the relay takes nothing else from a token", c.APIURL)
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(qualys.Platforms(), func(known qualys.Platform) bool { return known.Gateway == "https://"+u.Host }) {
			p.note("note: %s is not a gateway of a shared Qualys platform; the relay takes it only if its API_HOSTS or API_URL names it", u.Host)
		}
		claims["API_URL"] = strings.TrimRight(c.APIURL, "/")
	}
	if c.PlatformURL != "" {
		u, err := checkURL("--platform-url", c.PlatformURL)
		if err == nil && u.Scheme != "https" {
			err = fmt.Errorf("--platform-url %q must be https: the relay takes nothing else from a token", c.PlatformURL)
		}
		if err != nil {
			return err
		}
		claims["PLATFORM_URL"] = strings.TrimRight(c.PlatformURL, "/")
	}
	if c.Limit < 0 || c.Limit > maxLimit {
		return fmt.Errorf("--limit must be from 1 to %d", maxLimit)
	}
	if c.Limit > 0 {
		claims["CTR_ENTITIES_LIMIT"] = c.Limit
	}
	if c.Expires > 0 {
		claims["exp"] = p.now().Add(time.Duration(c.Expires)).Unix()
	}
	if c.Audience != "" {
		claims["aud"] = c.Audience
	}
	key, err := p.signingKey(ctx, c.KeyFile)
	if err != nil {
		return err
	}
	user, password, err := p.credentials(ctx, c.User)
	if err != nil {
		return err
	}
	claims["user"], claims["pass"] = user, string(password)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := writePrivate(c.Out, []byte(token+"\n"), c.Force); err != nil {
			return err
		}
		p.note("Wrote the token for %s to %s. It holds the Qualys password: treat it as one.", user, c.Out)
		return nil
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

// credentials finds the Qualys user and password.
func (p *program) credentials(ctx context.Context, user string) (string, secret, error) {
	var err error
	if user == "" {
		if p.terminal() != nil {
			user, err = p.ask(ctx, "Qualys user: ")
		} else {
			user, err = p.readLine()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", "", err
		}
		if user = strings.TrimSpace(user); user == "" {
			return "", "", errors.New("no Qualys user: give --user, set QUALYS_USER, or put it on the first line of standard input")
		}
	}
	password := secret(p.getenv("QUALYS_PASSWORD"))
	if password == "" && p.terminal() != nil {
		password, err = p.askSecret(ctx, "Qualys password: ")
	} else if password == "" {
		var line string
		line, err = p.readLine()
		password = secret(line)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", "", err
	}
	if password == "" {
		return "", "", errors.New("no Qualys password: set QUALYS_PASSWORD, or put it on standard input")
	}
	return user, password, nil
}

// checkURL holds a URL to what is safe to call: https, a host, no credentials, no query; plain http only to this machine.
func checkURL(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("%s %q is not a URL like https://host", name, raw)
	case u.User != nil:
		return nil, fmt.Errorf("%s must not hold credentials", name)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s %q must not have a query or a fragment", name, raw)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s %q must be https; plain http is for this machine only", name, raw)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s %q must be https", name, raw)
	}
	return u, nil
}

// isLoopback tells whether a host of a URL is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// isLoopbackAddress is isLoopback for host:port.
func isLoopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopback(host)
}

// readToken reads a token from a file, else from standard input.
func (p *program) readToken(ctx context.Context, file string) (secret, error) {
	var text secret
	var err error
	switch {
	case file != "":
		text, err = readSecretFile(file)
	case p.terminal() != nil:
		text, err = p.askSecret(ctx, "Token: ")
	default:
		var input []byte
		input, err = p.readInput(ctx, maxToken)
		text = secret(input)
	}
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("no token file %s", file)
	}
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", errors.New("no token on standard input")
	}
	return cleanToken(text)
}
