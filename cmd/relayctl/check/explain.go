package check

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"qualysrelay.example/cmd/relayctl/errorhelp"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
)

// described tells what a response is, in a line.
func (c *checker) described(a answer) string {
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status)))
	if server := a.Header.Get("Server"); server != "" {
		text += " by " + c.client.Quote(server, 40)
	}
	if location := a.Header.Get("Location"); location != "" {
		return text + ", redirected to " + c.client.Quote(location, 150)
	}
	return fmt.Sprintf(`%s, with "%s"`, text, c.client.Quote(string(a.Body), 150))
}

// stranger explains a response that is no envelope. The relay answers 200 to all that it understood, so that
// other statuses are of what is in front of it, or of what is there in its place.
func (c *checker) stranger(a answer) Result {
	cause := "no relay"
	switch {
	case a.Status >= 500:
		cause = "no start"
	case a.isRelay():
		cause = "another endpoint"
	case a.Status >= 300 && a.Status < 400:
		cause = "redirect"
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		cause = "login in front"
	case a.Status == http.StatusTooManyRequests:
		cause = "limit in front"
	}
	return bad(c.described(a), cause)
}

// unreached explains why there was no response.
func (c *checker) unreached(err error) Result {
	seen, cause := c.client.Quote(err.Error(), 250), "broken connection"
	certificate, noTrust := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	_, noName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case noTrust:
		seen, cause = seen+" (the certificate "+origin(certificate.UnverifiedCertificates[0])+")", "certificate"
	case noTLS || errors.Is(err, http.ErrSchemeMismatch) || isOp && op.Op == "remote error":
		cause = "no TLS"
	case isNetwork && network.Timeout():
		cause = "timeout"
	case c.proxied():
		cause = "proxy"
	case noName:
		cause = "no such name"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = "refused connection"
	}
	return bad(seen, cause)
}

// explain tells what an error of the relay means.
func (c *checker) explain(e report.Error) Result {
	local := relayclient.IsLoopback(c.client.Base.Hostname())
	return Result{Mark: Failed, Seen: c.client.Quote(e.Code+": "+e.Message, 400),
		Help: errorhelp.For(e.Code, e.Message, local)}
}

// origin is whose certificate it is and which authority's.
func origin(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return fmt.Sprintf("of %s, by %s", plain.Short(cmp.Or(strings.Join(names, ", "), "nobody"), 100),
		plain.Short(certificate.Issuer.String(), 100))
}
