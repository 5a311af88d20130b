package check

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/relay"
)

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// described tells what a response is, in a line.
func (c *checker) described(a answer) string {
	body, with := string(a.Body), "with"
	if title := titleTag.FindStringSubmatch(body); title != nil {
		body, with = html.UnescapeString(title[1]), "with the page"
	} else if a.Status != http.StatusOK && a.Message != "" {
		body = a.Message + " " + a.Reason
	}
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status)))
	if server := a.Header.Get("Server"); server != "" {
		text += " by " + c.client.Quote(server, 40)
	}
	if body == "" {
		return text + ", without a body"
	}
	return fmt.Sprintf(`%s, %s "%s"`, text, with, c.client.Quote(body, 150))
}

// strangers are causes by the status of a response that the relay did not give: in front of any relay, and
// of one on Cloud Run, where Google answers.
var strangers = map[int]struct{ elsewhere, google string }{
	http.StatusOK:               {"web site", "web site"},
	http.StatusUnauthorized:     {"login in front", "IAM check"},
	http.StatusForbidden:        {"login in front", "IAM check"},
	http.StatusNotFound:         {"no relay", "no service"},
	http.StatusMethodNotAllowed: {"no relay", "no relay"},
	http.StatusTooManyRequests:  {"limit in front", "no instance"},
}

// stranger explains a response that is no envelope. The relay answers 200 to all that it understood, so that
// other statuses are of what is in front of it, or of what is there in its place.
func (c *checker) stranger(a answer) Result {
	known, isKnown := strangers[a.Status]
	cause := "odd status"
	switch {
	case a.Status >= 300 && a.Status < 400:
		return c.redirected(a)
	case a.isStatus() && a.Status == http.StatusNotFound:
		cause = "another path"
	case a.isStatus() && a.Status == http.StatusServiceUnavailable:
		cause = "stopping"
	case a.Status >= 500:
		cause = "no start"
	case isKnown && strings.Contains(a.Header.Get("Server"), "Google"):
		cause = known.google
	case isKnown:
		cause = known.elsewhere
	}
	return bad(c.described(a), cause)
}

// redirected explains a redirect. It is never followed, as XDR's POST may not be.
func (c *checker) redirected(a answer) Result {
	location := a.Header.Get("Location")
	cause := "redirect"
	if to, err := c.client.Base.Parse(location); err == nil {
		if strings.HasPrefix(to.Hostname(), "accounts.google.") {
			cause = "IAP"
		} else if to.Host == c.client.Base.Host {
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
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return c.certificateFault(err, seen, wrong.UnverifiedCertificates[0])
	}
	network, isNetwork := errors.AsType[net.Error](err)
	timeout := isNetwork && network.Timeout()
	dns, noName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	cause := "broken connection"
	switch {
	case noName && dns.IsNotFound:
		cause = "no such name"
	case noName:
		cause = "no name server"
	case notTLS || errors.Is(err, http.ErrSchemeMismatch):
		cause = "no TLS"
	case isOp && op.Op == "remote error":
		cause = "ended handshake"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = "refused connection"
	case isOp && op.Op == "proxyconnect":
		cause = "no proxy"
	case timeout && isOp && op.Op == "dial":
		cause = "dial timeout"
	case timeout:
		cause = "response timeout"
	case c.proxy != "":
		cause = "proxy"
	}
	return bad(seen, cause)
}

// certificateFault explains why a certificate is not accepted.
func (c *checker) certificateFault(err error, seen string, leaf *x509.Certificate) Result {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	expired := isInvalid && invalid.Reason == x509.Expired
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, otherAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	what, cause := "is not accepted: "+seen, "bad certificate"
	switch {
	case otherName:
		what, cause = "is for another name", "certificate of another name"
	case expired && c.Now().Before(leaf.NotBefore):
		what, cause = "is not valid yet", "early certificate"
	case expired:
		what, cause = "has expired", "expired certificate"
	case otherAuthority:
		what, cause = "is of an authority that is not known here", "unknown authority"
	}
	return bad(fmt.Sprintf("the certificate %s (%s, valid from %s until %s)", what, origin(leaf),
		leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly)), cause)
}

// explain tells what an error of the relay means.
func (c *checker) explain(e report.Error) Result {
	mark := Failed
	if relay.Code(e.Code) == relay.CodeTruncated {
		mark = Warning
	}
	return explained(mark, c.client.Quote(e.Code+": "+e.Message, 400),
		errorhelp.For(e.Code, e.Message, relayclient.IsLoopback(c.client.Base.Hostname())))
}

// origin is whose certificate it is and which authority's.
func origin(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	issuer := certificate.Issuer.CommonName
	if organization := strings.Join(certificate.Issuer.Organization, ", "); organization != "" {
		issuer = strings.TrimSpace(issuer + " (" + organization + ")")
	}
	return fmt.Sprintf("of %s, by %s", plain.Short(cmp.Or(strings.Join(names, ", "), "nobody"), 100),
		plain.Short(issuer, 60))
}
