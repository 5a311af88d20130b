// Package xdr registers the relay in Cisco XDR. It calls the integration API of one region (IROH-INT
// 1.0.107, and the health check of IROH-ENRICH) as an API client, and works out what has to be sent there.
//
// What changes something is prepared first, as a Request that can be shown, and happens only when it is
// sent.
package xdr

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
)

const (
	modulePath   = "/iroh/iroh-int/module-type"
	instancePath = "/iroh/iroh-int/module-instance"
	healthPath   = "/iroh/iroh-enrich/health"

	// maxBody is the largest response that is read, in bytes. A page of module types is the largest: their
	// logos are part of them, 90 kB in the largest one known.
	maxBody  = 16 << 20
	pageSize = 100 // module types or integrations
	maxPages = 50
	timeout  = time.Minute // of one call; XDR waits for the relay in a health check
)

// Client calls the API. It logs in when it needs to, and again when the access token is about to expire.
type Client struct {
	host  string
	http  *http.Client
	token func() (*oauth2.Token, error) // a function, because fmt shows what fields hold
}

// New is a Client for the life of ctx. host is that of a region's API, id and password are those of an API
// client, and without a transport it is http.DefaultTransport.
func New(ctx context.Context, host, id string, password secret.Value, transport http.RoundTripper) *Client {
	client := &http.Client{
		Transport:     acceptJSON{cmp.Or(transport, http.DefaultTransport)},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	config := clientcredentials.Config{
		ClientID: id, ClientSecret: string(password),
		TokenURL: "https://" + host + "/iroh/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader,
	}
	source := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client))
	return &Client{host: host, http: client, token: source.Token}
}

// acceptJSON asks for JSON in every request, also in those of package oauth2: the API speaks other formats
// too.
type acceptJSON struct{ next http.RoundTripper }

func (t acceptJSON) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "application/json")
	return t.next.RoundTrip(r)
}

// Request is one call of the API.
type Request struct {
	Purpose string // how an error names it: "create the module type"
	Method  string
	Path    string         // with the query
	Body    map[string]any // nil: none. A secret.Value in it is sent in clear, and never shown
}

// Show writes the request as it would be sent, without the access token and the secrets in its body.
func (c *Client) Show(w io.Writer, r Request) error {
	fmt.Fprintf(w, "%s https://%s%s\n", r.Method, c.host, r.Path)
	if r.Body == nil {
		return nil
	}
	doc, err := json.MarshalIndent(r.Body, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "Content-Type: application/json\n\n%s\n", plain.JSON(doc))
	}
	return err
}

// Send makes the call and decodes the response's JSON into the value, unless that is nil.
func (c *Client) Send(ctx context.Context, r Request, into any) error {
	token, err := c.token()
	if err != nil {
		return c.loginError(err)
	}
	holdsSecrets := false
	inClear := jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, v secret.Value) error {
		holdsSecrets = true
		return enc.WriteToken(jsontext.String(string(v)))
	})
	var body []byte
	if r.Body != nil {
		if body, err = jsonv2.Marshal(r.Body, jsonv2.WithMarshalers(inClear)); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://"+c.host+r.Path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if r.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	token.SetAuthHeader(request)
	response, err := c.http.Do(request)
	if err != nil {
		return r.failed(err, true)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBody)) // a larger one is cut, and so not JSON
	if err != nil {
		return r.failed(err, true)
	}
	refused := response.StatusCode/100 != 2
	if refused && holdsSecrets || bytes.Contains(content, []byte(token.AccessToken)) {
		content = nil // it may repeat a secret, in whatever spelling
	}
	if refused {
		return r.refused(response, content)
	}
	if into != nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		err = fmt.Errorf("XDR answered %s, but not as its API promises: %w", response.Status, err)
		return r.failed(err, true)
	}
	return nil
}

// list reads all pages of a list. How many elements a page has at most, and whether the API takes an offset
// at all, is not documented: the list has ended when a page is empty or the same as the one before.
func list[T any](ctx context.Context, c *Client, purpose, path string, query url.Values) ([]T, error) {
	query.Set("limit", strconv.Itoa(pageSize))
	var all, last []T
	for range maxPages {
		query.Set("offset", strconv.Itoa(len(all)))
		var page []T
		r := Request{Purpose: purpose, Method: http.MethodGet, Path: path + "?" + query.Encode()}
		if err := c.Send(ctx, r, &page); err != nil {
			return nil, err
		}
		if len(page) == 0 || reflect.DeepEqual(page, last) {
			return all, nil
		}
		all, last = append(all, page...), page
	}
	return nil, fmt.Errorf("cannot %s: there are more than %d pages of them", purpose, maxPages)
}

// failed is the error of a request. With perhaps, what it was to change may have been changed all the same.
func (r Request) failed(cause error, perhaps bool) error {
	advice := ""
	if perhaps && r.Method != http.MethodGet && !strings.HasPrefix(r.Path, healthPath) {
		advice = `. It may have been done all the same: before you try again, look with ` +
			`"relayctl module list" or "relayctl instance health"`
	}
	return fmt.Errorf("cannot %s: %w%s", r.Purpose, cause, advice)
}

// refused is the error of a response that is not a success, with what XDR says and what that may mean.
func (r Request) refused(response *http.Response, says []byte) error {
	const client = `. The API client must belong to an administrator and have the scope "integration"; ` +
		"what is Cisco's own cannot be changed"
	status := response.StatusCode
	hint := map[int]string{
		400: ". --dry-run prints the request", 401: client, 403: client,
		429: ". Your organisation has used up its calls of this hour; Retry-After: " +
			plain.Short(cmp.Or(response.Header.Get("Retry-After"), "not said"), 40),
	}[status]
	answer := fmt.Sprintf("%d %s %s", status, http.StatusText(status), plain.OneLine(string(says), 300))
	return r.failed(fmt.Errorf("XDR answered %s%s", strings.TrimSpace(answer), hint), status >= 500)
}

// loginError says why there is no access token. XDR's words are left out: the request held the client's
// secret.
func (c *Client) loginError(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := refused.Response.StatusCode
		err = fmt.Errorf("it answered %d %s. An API client is refused where its id or its secret is wrong, or "+
			"where it was made in another region (--region)", status, http.StatusText(status))
	}
	return fmt.Errorf("cannot log in to %s: %w", c.host, err)
}
