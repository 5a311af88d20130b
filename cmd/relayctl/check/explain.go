package check

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/relay"
)

// envelope is what a relay answers with.
type envelope struct {
	Data   json.RawMessage
	Errors []report.Error
}

// envelopeOf reads a response of the relay; false is a response of something else.
func envelopeOf(a relayclient.Response) (envelope, bool) {
	var e envelope
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &e) != nil || e.Data == nil && len(e.Errors) == 0 {
		return envelope{}, false
	}
	return e, true
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// described tells what a response is, in a line.
func (c *checker) described(a relayclient.Response) string {
	said, with := string(a.Body), "with"
	var problem struct{ Message, Reason string }
	if title := titleTag.FindStringSubmatch(said); title != nil {
		said, with = html.UnescapeString(title[1]), "with the page"
	} else if a.Status != http.StatusOK && json.Unmarshal(a.Body, &problem) == nil && problem.Message != "" {
		said = problem.Message + " " + problem.Reason
	}
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status)))
	if server := a.Header.Get("Server"); server != "" {
		text += " by " + c.client.Quote(server, 40)
	}
	if said == "" {
		return text + ", without a body"
	}
	return fmt.Sprintf(`%s, %s "%s"`, text, with, c.client.Quote(said, 150))
}

// isRelayStatus tells whether the relay itself gave the status, as it does for paths and methods that it
// does not know.
func isRelayStatus(a relayclient.Response) bool {
	var own struct {
		Code            int
		Message, Reason string
	}
	return json.Unmarshal(a.Body, &own) == nil && own.Code == a.Status && own.Message != "" &&
		own.Reason != ""
}

// stranger explains a response that the relay does not give. The relay answers 200 to all that it
// understood, so that other statuses are of what is in front of it, or of what is there in its place.
func (c *checker) stranger(a relayclient.Response) Result {
	if a.Status >= 300 && a.Status < 400 {
		return c.redirected(a)
	}
	google := strings.Contains(a.Header.Get("Server"), "Google")
	cause := "odd status"
	switch status := a.Status; {
	case isRelayStatus(a) && status == http.StatusNotFound:
		cause = "another path"
	case isRelayStatus(a) && status == http.StatusServiceUnavailable:
		cause = "stopping"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		cause = either(google, "IAM check", "login in front")
	case status == http.StatusNotFound && google:
		cause = "no service"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		cause = "no relay"
	case status == http.StatusTooManyRequests:
		cause = either(google, "no instance", "limit in front")
	case status >= 500:
		cause = "no start"
	case status == http.StatusOK:
		cause = "web site"
	}
	return bad(c.described(a), cause)
}

func either(condition bool, one, other string) string {
	if condition {
		return one
	}
	return other
}

// redirected explains a redirect. It is never followed, as XDR's POST may not be.
func (c *checker) redirected(a relayclient.Response) Result {
	location := a.Header.Get("Location")
	cause := "redirect"
	if to, err := c.client.Base.Parse(location); err == nil {
		switch {
		case strings.HasPrefix(to.Hostname(), "accounts.google."):
			cause = "IAP"
		case to.Host == c.client.Base.Host:
			cause = "redirect to a path"
		}
	}
	return bad(fmt.Sprintf("HTTP %d, redirected to %s", a.Status, c.client.Quote(location, 150)), cause)
}

// unreached explains why there was no response.
func (c *checker) unreached(err error) Result {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL
	}
	seen := c.client.Quote(err.Error(), 250)
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok &&
		len(wrong.UnverifiedCertificates) > 0 {
		return c.certificateFault(err, seen, wrong.UnverifiedCertificates[0])
	}
	return bad(seen, c.unreachedCause(err))
}

func (c *checker) unreachedCause(err error) string {
	var network net.Error
	dns, noName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case noName && dns.IsNotFound:
		return "no such name"
	case noName:
		return "no name server"
	case notTLS || strings.Contains(err.Error(), "gave HTTP response to HTTPS client"):
		return "no TLS"
	case isOp && op.Op == "remote error":
		return "ended handshake"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused connection"
	case isOp && op.Op == "proxyconnect":
		return "no proxy"
	case errors.As(err, &network) && network.Timeout() && isOp && op.Op == "dial":
		return "dial timeout"
	case errors.As(err, &network) && network.Timeout():
		return "response timeout"
	case c.proxy() != "":
		return "proxy"
	}
	return "broken connection"
}

// certificateFault explains why a certificate is not accepted.
func (c *checker) certificateFault(err error, seen string, leaf *x509.Certificate) Result {
	about := fmt.Sprintf(" (of %s, by %s, valid from %s until %s)", namesOf(leaf), issuerOf(leaf),
		leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly))
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, otherAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case otherName:
		return bad("the certificate is for another name"+about, "certificate of another name")
	case isInvalid && invalid.Reason == x509.Expired && c.Now().Before(leaf.NotBefore):
		return bad("the certificate is not valid yet"+about, "early certificate")
	case isInvalid && invalid.Reason == x509.Expired:
		return bad("the certificate has expired"+about, "expired certificate")
	case otherAuthority:
		return bad("the certificate is of an authority that is not known here"+about, "unknown authority")
	}
	return bad("the certificate is not accepted: "+seen+about, "bad certificate")
}

// explain tells what an error of the relay means.
func (c *checker) explain(e report.Error) Result {
	help := errorhelp.For(e.Code, e.Message, relayclient.IsLoopback(c.client.Base.Hostname()))
	seen := c.client.Quote(e.Code+": "+e.Message, 400)
	r := Result{Mark: Failed, Seen: seen, Means: help.Means, Fix: help.Fix}
	if relay.Code(e.Code) == relay.CodeTruncated {
		r.Mark = Warning
	}
	return r
}
