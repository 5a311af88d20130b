package main

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
	"slices"
	"strings"
	"syscall"

	"qualysrelay.example/relay"
)

// Commands to paste. The service has the name that the README gives it.
const (
	cmdURL      = "$ gcloud run services describe relay --region=REGION --format='value(status.url)'"
	cmdDescribe = "$ gcloud run services describe relay --region=REGION"
	cmdLogs     = "$ gcloud run services logs read relay --region=REGION --limit=50"
	cmdNoIAM    = "$ gcloud run services update relay --region=REGION --no-invoker-iam-check"
	cmdIngress  = "$ gcloud run services update relay --region=REGION --ingress=all"
	cmdCapacity = "$ gcloud run services update relay --region=REGION --max-instances=20 --concurrency=80"
	cmdKeepWarm = "$ gcloud run services update relay --region=REGION --min-instances=1 --cpu-boost"
	cmdFunction = "$ gcloud run services update relay --region=REGION --update-env-vars=FUNCTION_TARGET=relay"
	cmdAudience = "$ gcloud run services update relay --region=REGION --update-env-vars=JWT_AUDIENCE=https://relay.example"
	cmdAPIURL   = "$ gcloud run services update relay --region=REGION --update-env-vars=API_URL=https://gateway.qg2.apps.qualys.com"
	cmdAPIHosts = "$ gcloud run services update relay --region=REGION --update-env-vars=API_HOSTS=gateway.example.com"
	cmdSecret   = "$ gcloud run services update relay --region=REGION --update-env-vars=SECRET_KEY_SECRET=projects/PROJECT/secrets/relay-key/versions/latest"
	cmdAccessor = "$ gcloud secrets add-iam-policy-binding relay-key --member=serviceAccount:relay-run@PROJECT.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor"
	cmdVerify   = "$ relayctl token verify --file relay.jwt --secret projects/PROJECT/secrets/relay-key/versions/latest"
	cmdDecode   = "$ relayctl token decode --file relay.jwt"
	cmdToken    = "$ relayctl token --key-file relay.key --expires 365d --out relay.jwt"
)

const (
	logsMend  = "The relay's log says more:"
	quotaMend = "Raise SEARCH_CACHE, lower QUALYS_CONCURRENCY, or ask Qualys for a higher API limit. Others may use up the limit too: it belongs to the subscription."
)

// Words of the relay's refusals (package relay/auth) that decide what is told.
const (
	saysNoHeader = "Authorization header is missing"
	saysNoKey    = "<SECRET_KEY> is missing"
)

// remote makes text of the other side safe: plain, short, and without the token.
func (c *checker) remote(s string, n int) string {
	return short(strings.Join(strings.Fields(c.redact(s)), " "), n)
}

// said is an answer's envelope.
type said struct {
	Data   json.RawMessage
	Errors []relayError
}

// envelopeOf reads an answer of the relay; false is an answer of something else.
func envelopeOf(a answer) (said, bool) {
	var e said
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &e) != nil || e.Data == nil && len(e.Errors) == 0 {
		return said{}, false
	}
	return e, true
}

var titleTag = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// described tells what an answer is, in a line.
func (c *checker) described(a answer) string {
	body := c.redact(string(a.Body))
	title := titleTag.FindStringSubmatch(body)
	var problem struct{ Message, Reason string }
	what := `with "` + c.remote(body[:min(len(body), 1000)], 100) + `"`
	switch {
	case body == "":
		what = "without a body"
	case title != nil:
		what = `with the page "` + c.remote(html.UnescapeString(title[1]), 100) + `"`
	case a.Status != http.StatusOK && json.Unmarshal(a.Body, &problem) == nil && problem.Message != "":
		what = `with "` + c.remote(problem.Message+" "+problem.Reason, 200) + `"`
	}
	by := ""
	if server := a.Header.Get("Server"); server != "" {
		by = " by " + c.remote(server, 40)
	}
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status))) + by + ", " + what
}

// isRelayStatus tells whether the relay itself gave the status, as it does for paths and methods that it does not know.
func isRelayStatus(a answer) bool {
	var own struct {
		Code            int
		Message, Reason string
	}
	return json.Unmarshal(a.Body, &own) == nil && own.Code == a.Status && own.Message != "" && own.Reason != ""
}

// stranger explains an answer that the relay does not give. The relay answers 200 to all that it understood, so that other statuses are of what stands
// before it, or of what is there in its place.
func (c *checker) stranger(a answer) checkResult {
	seen := c.described(a)
	google := strings.Contains(a.Header.Get("Server"), "Google")
	switch status := a.Status; {
	case status >= 300 && status < 400:
		return c.redirected(a)
	case isRelayStatus(a) && status == http.StatusNotFound:
		return bad(seen, "A relay answers, but not at this path.", "Give the URL without a path, here and in the module in XDR.")
	case isRelayStatus(a) && status == http.StatusServiceUnavailable:
		return bad(seen, "The relay's instance was just being stopped.", "Check again.")
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && google:
		return bad(seen, "Google's IAM check guards the service and refused the call before the relay saw it. XDR cannot pass it: the check wants a token of Google "+
			"in the Authorization header, where XDR sends the module's. The relay verifies that by itself.",
			"Switch the check off (this needs the permission run.services.setIamPolicy):", cmdNoIAM)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return bad(seen, "The relay never says this: a proxy, load balancer or firewall before it refused the call.",
			"Let the relay's URL pass there without a login of its own: the relay verifies each token.")
	case status == http.StatusNotFound && google:
		return bad(seen, "Google knows no such service, or does not let it be called from the internet.",
			"Compare the URL, then look whether the service is there and may be called from everywhere:", cmdURL, cmdIngress)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return bad(seen, "Something answers at this URL, and it is not a relay.", "Compare the URL with the one of the deployed relay:", cmdURL)
	case status == http.StatusTooManyRequests && google:
		return bad(seen, "Cloud Run had no instance free for the call.", "Allow more instances, and more requests on each:", cmdCapacity)
	case status == http.StatusTooManyRequests:
		return bad(seen, "Something before the relay limits how often it may be called.", "Wait, or raise that limit.")
	case status >= 500:
		return bad(seen, "The relay did not get to answer: it does not start (a mistake in its environment variables ends it at once), crashed, or was too slow for what stands before it.",
			logsMend, cmdLogs)
	case status == http.StatusOK:
		return bad(seen, "This is not the answer of a relay: a web site, a login page or another service is at this URL.", "Compare the URL with the one of the deployed relay:", cmdURL)
	default:
		return bad(seen, "The relay never answers with this status: something else is at this URL, or before the relay.", "Compare the URL with the one of the deployed relay:", cmdURL)
	}
}

// redirected explains a redirect. It is never followed, as XDR's POST may not be.
func (c *checker) redirected(a answer) checkResult {
	location := a.Header.Get("Location")
	seen := fmt.Sprintf("HTTP %d, redirected to %s", a.Status, c.remote(location, 150))
	to, err := c.client.base.Parse(location)
	switch {
	case err == nil && strings.HasPrefix(to.Hostname(), "accounts.google."):
		return bad(seen, "Identity-Aware Proxy stands before the relay and wants a login. XDR cannot log in.", "Switch it off for the relay, which verifies each token by itself:",
			"$ gcloud beta run services update relay --region=REGION --no-iap")
	case err == nil && to.Host == c.client.base.Host:
		return bad(seen, "What answers wants another path. A POST may not survive a redirect.", "Give the relay's own URL, without a path and without a slash at its end.")
	default:
		return bad(seen, "The relay is somewhere else, or a login page stands before it. XDR's POST may not survive a redirect, and the token goes nowhere but to this URL.",
			"Give the relay's own URL, here and in the module in XDR:", cmdURL)
	}
}

// unreached explains why there was no answer.
func (c *checker) unreached(err error) checkResult {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL
	}
	seen := c.remote(err.Error(), 250)
	const publicAuthority = "XDR takes certificates of public authorities only, with the name that it calls."
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(wrong.UnverifiedCertificates) > 0 {
		leaf := wrong.UnverifiedCertificates[0]
		about := fmt.Sprintf(" (of %s, by %s, valid from %s until %s)", namesOf(leaf), short(issuerOf(leaf), 60),
			leaf.NotBefore.UTC().Format("2006-01-02"), leaf.NotAfter.UTC().Format("2006-01-02"))
		if _, ok := errors.AsType[x509.HostnameError](err); ok {
			return bad("the certificate is for another name"+about, publicAuthority, "Give the URL that the certificate is for, or map the domain to the service: the load balancer needs a certificate with this name.")
		}
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
			if c.now().Before(leaf.NotBefore) {
				return bad("the certificate is not valid yet"+about, "It was made for later, or this machine's clock is behind.", "Compare the clock of this machine first.")
			}
			return bad("the certificate has expired"+about, "XDR refuses to connect.", "Renew it. Google renews managed certificates by itself, as long as the domain's DNS points to them.")
		}
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			return bad("the certificate is of an authority that is not known here"+about, publicAuthority,
				"If the issuer is your own company, a proxy on your way opens TLS: check from another network. Else give the relay a certificate of a public authority; Cloud Run URLs have one.")
		}
		return bad("the certificate is not taken: "+seen+about, publicAuthority, "Give the relay a certificate of a public authority; Cloud Run URLs have one.")
	}
	var network net.Error
	dns, noName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case noName && dns.IsNotFound:
		return bad(seen, "There is no such name: it is misspelt, the service was deleted, or the DNS record is missing.", "Compare the URL:", cmdURL)
	case noName:
		return bad(seen, "The name could not be looked up: the name server of this machine did not answer as it should.", "Look at this machine's network first, then try again.")
	case notTLS || strings.Contains(seen, "gave HTTP response to HTTPS client"):
		return bad(seen, "What listens there does not speak TLS.", "Compare the port in the URL. XDR needs https.")
	case isOp && op.Op == "remote error":
		return bad(seen, "The server ended the TLS handshake: it has no certificate for this name, or wants one of its callers.", "Compare the URL. XDR shows no certificate of its own, so none may be asked for.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return bad(seen, "The machine is there, and nothing listens on this port.", "Start the relay, or compare the port in the URL.")
	case isOp && op.Op == "proxyconnect":
		return bad(seen, "The proxy of this machine (HTTPS_PROXY) is not there or refuses.", "Correct HTTPS_PROXY, or take it out (NO_PROXY). XDR does not use it.")
	case errors.As(err, &network) && network.Timeout() && isOp && op.Op == "dial":
		return bad(seen, "Nothing answers at this address: a firewall drops the connection, or the address is wrong.", "Check from another network. XDR calls from the internet, so that the relay must be open to it.")
	case errors.As(err, &network) && network.Timeout():
		return bad(seen, "It was connected, but there was no whole answer in time. XDR does not wait this long either.", "The start of an instance or Qualys may be slow; --timeout waits longer. "+logsMend, cmdLogs)
	case c.proxy() != "":
		return bad(seen, "The proxy "+c.proxy()+" (HTTPS_PROXY) did not make the connection.", "Compare the URL. Check without the proxy, or from another network: XDR does not use it.")
	default:
		return bad(seen, "The connection broke before there was an answer.", "Try again. If it stays so, the log of the relay, or of what stands before it, says why:", cmdLogs)
	}
}

// tokenFault is what is wrong with a token, by words of the relay's message (package relay/auth). What has none of them is Qualys's.
type tokenFault struct {
	words []string // any of them
	means string
	mend  []string
}

// tokenFaults are looked through in this order.
func tokenFaults() []tokenFault {
	return []tokenFault{
		{[]string{"JWT has expired"}, "The token was good, and is too old now.", []string{"Make a new one, and put it into the module in XDR:", cmdToken}},
		{[]string{"JWT is not valid yet"}, "The token is for later, or a clock is wrong.", []string{"Compare its nbf with the time, and the clock of the machine that made it:", cmdDecode}},
		{[]string{"JWT was issued in the future"}, "The clock of the machine that made the token is ahead by more than a minute.", []string{"Set that clock, and make the token again:", cmdToken}},
		{[]string{"Failed to decode JWT with provided key"}, "The token was signed with another key than the relay has.",
			[]string{"Look which key the relay reads (SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_SECRET), and verify the token with it. While a key is changed, SECRET_KEY_SECRET may name both:", cmdVerify}},
		{[]string{saysNoKey}, "The relay has no key for HS256, so that it takes tokens of XDR (RS256) only, and this one is HS256.", []string{"Give the relay the key that signed it:", cmdSecret, cmdAccessor}},
		{[]string{"Wrong configuration-token-audience"}, "The token is for another relay: its aud is not this URL.",
			[]string{"Let JWT_AUDIENCE be the URL that the module in XDR has (several are separated by commas), or make the token again without --audience:", cmdAudience}},
		{[]string{"jwks_host is missing", "Wrong jwks_host", "JWKS_HOSTS is none"}, "The relay does not trust, or could not ask, the host that has the key of this token.",
			[]string{`Let custom_jwks_host in the module type be visibility.<region>.cisco.com of your XDR's region ("relayctl module --region" does so), and JWKS_HOSTS hold it.`}},
		{[]string{"kid from JWT header", "kid is missing in JWT header"}, "XDR's region of the module type is not the one that signed the token, or the key was taken back.",
			[]string{`Render the module type for your region again ("relayctl module --region").`}},
		{[]string{"list API_HOSTS"}, "The token names a Qualys gateway that the relay does not trust. The password goes to known gateways only.",
			[]string{"If the gateway is yours, add its host. If not, correct the API_URL of the token:", cmdAPIHosts}},
		{[]string{"API_URL is missing"}, "The relay does not know which Qualys gateway to ask.", []string{"Name it in the token (--api-url), or for all tokens:", cmdAPIURL}},
		{[]string{saysNoHeader}, "The token did not arrive: something before the relay takes the Authorization header away.", []string{"Let the load balancer or proxy before the relay pass it."}},
		{[]string{"Wrong authorization type", "More than one Authorization header"}, "The Authorization header did not arrive as it was sent: something before the relay changes it.", []string{"Let the load balancer or proxy before the relay pass it unchanged."}},
		{[]string{"Wrong JWT", "Algorithm of JWT", "JWT is too long", "in JWT header", "in JWT payload"}, "The token itself is not as the relay needs it.", []string{"Read what it says, without the password:", cmdDecode}},
	}
}

// explain tells what an error of the relay means, by its code.
func (c *checker) explain(e relayError) checkResult {
	seen := c.remote(e.Code+": "+e.Message, 400)
	switch relay.Code(e.Code) {
	case relay.CodeAuthorization:
		message := strings.TrimPrefix(e.Message, "Authorization failed: ")
		for _, fault := range tokenFaults() {
			if slices.ContainsFunc(fault.words, func(words string) bool { return strings.Contains(message, words) }) {
				return bad(seen, "The token is refused by the relay; Qualys was not asked. "+fault.means, fault.mend...)
			}
		}
		return bad(seen, "The relay took the token; Qualys refused the user name or the password in it. They are wrong or expired, the user is locked, or belongs to another platform than the gateway (API_URL).",
			"Log in to the Qualys console with them. Then make a new token (HS256), or edit the integration in XDR (RS256):", cmdToken)
	case relay.CodePermission:
		return bad(seen, "Qualys knows the user and lets it log in, but not search events.", "In Qualys, give the user API access and a role for EDR, and see that the subscription has EDR.")
	case relay.CodeTooManyRequests:
		return bad(seen, "Qualys limits how often its API may be called, and the limit is used up for now.", "Wait for the next window (an hour, usually), then check again.", quotaMend)
	case relay.CodeUnavailable:
		return bad(seen, "Qualys says that it is down, or in maintenance.", "Look at status.qualys.com, and check again later.")
	case relay.CodeConnection:
		return bad(seen, "The relay cannot connect to Qualys: the gateway's name is wrong, or the relay's network does not let it out.",
			"Compare API_URL (of the token first, else of the relay) with your platform's gateway. If the service sends its traffic through a VPC, that needs a way to the internet (Cloud NAT):", cmdDescribe)
	case relay.CodeTimeout:
		return bad(seen, "The relay works, and Qualys did not answer within REQUEST_TIMEOUT (25 s, if it is not set).", "Check again. If it stays so, ask Qualys; a longer REQUEST_TIMEOUT helps as far as XDR waits, and must be shorter than the service's own:",
			"$ gcloud run services update relay --region=REGION --update-env-vars=REQUEST_TIMEOUT=40s --timeout=60s")
	case relay.CodeInvalidArgument:
		return bad(seen, "The request did not arrive as it was sent, or Qualys does not take the query.", "Update relay and relayctl to the same version. "+logsMend, cmdLogs)
	case relay.CodeCut:
		return doubtful(seen, "There is more than XDR is shown.", "Raise CTR_ENTITIES_LIMIT, in the token (--limit) or for the relay.")
	}
	switch {
	case strings.Contains(e.Message, "Unable to verify SSL certificate"):
		return bad(seen, "The relay does not trust the certificate of the Qualys gateway, so that it sent no password: API_URL is not a gateway's name, or something on the way opens TLS.",
			"Compare API_URL with your platform's gateway. A private platform needs a certificate of a public authority, or its own among the roots of the relay's image (SSL_CERT_FILE).")
	case strings.Contains(e.Message, "Unexpected response from Qualys IOC"):
		return bad(seen, "Something answered the relay that does not speak as the Qualys API does: API_URL or API_PATH is wrong, or Qualys had a fault.",
			"Compare API_URL (gateway.… of your platform, not the console's qualysguard.…). "+logsMend, cmdLogs)
	default:
		return bad(seen, "The relay has a fault of its own. Often it cannot read its key: the secret does not exist, or the service account may not read it.",
			"Let it, and read the log:", cmdAccessor, cmdLogs)
	}
}
