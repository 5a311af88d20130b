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
	"slices"
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
	tokenPath    = "/iroh/oauth2/token"
	modulePath   = "/iroh/iroh-int/module-type"
	instancePath = "/iroh/iroh-int/module-instance"
	healthPath   = "/iroh/iroh-enrich/health"

	// maxBody is the largest response that is read, in bytes. A page of module types is the largest: their
	// logos are part of them, 90 kB in the largest one known.
	maxBody  = 16 << 20
	pageSize = 100 // module types or integrations
	maxPages = 50
)

// Options say where XDR is and who calls it.
type Options struct {
	Host      string // of the region's API
	ID        string // of the API client
	Secret    secret.Value
	Timeout   time.Duration     // for each call
	Transport http.RoundTripper // nil: http.DefaultTransport
}

// Client calls the API. It logs in when it needs to, and again when the access token is about to expire.
type Client struct {
	host  string
	http  *http.Client
	token func() (*oauth2.Token, error) // a function, because fmt shows what fields hold
}

// New is a client for the life of ctx.
func New(ctx context.Context, o Options) *Client {
	client := &http.Client{
		Transport:     acceptJSON{cmp.Or(o.Transport, http.DefaultTransport)},
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	config := clientcredentials.Config{
		ClientID: o.ID, ClientSecret: string(o.Secret),
		TokenURL: "https://" + o.Host + tokenPath, AuthStyle: oauth2.AuthStyleInHeader,
	}
	source := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client))
	return &Client{host: o.Host, http: client, token: source.Token}
}

// acceptJSON asks for JSON in every request, also in those of package oauth2: the API speaks other formats
// too.
type acceptJSON struct{ next http.RoundTripper }

func (t acceptJSON) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "relayctl")
	return t.next.RoundTrip(r)
}

// Request is one call of the API.
type Request struct {
	Purpose string // how an error names it: "create the module type"
	Method  string
	Path    string // with the query
	Body    any    // JSON; nil: none. A secret.Value in it is sent in clear, and never shown
}

// changes tells whether the request changes something in XDR.
func (r Request) changes() bool {
	return r.Method != http.MethodGet && !strings.HasPrefix(r.Path, healthPath)
}

// scope is what the API client needs for the request; the scope "integration" has them all.
func (r Request) scope() string {
	resource, _, _ := strings.Cut(strings.Split(r.Path, "/")[3], "?")
	if r.changes() {
		return "integration/" + resource + ":write"
	}
	return "integration/" + resource + ":read"
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
		return c.unreachable(r, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return c.unreachable(r, err)
	case len(content) > maxBody:
		return fmt.Errorf("cannot %s: XDR's response is larger than %d MiB", r.Purpose, maxBody>>20)
	case response.StatusCode/100 != 2:
		said := "" // by XDR: not shown where it may repeat a secret, in whatever spelling
		if !holdsSecrets && !bytes.Contains(content, []byte(token.AccessToken)) {
			said = words(content)
		}
		return refusal(r, response, said)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("asked XDR to %s, and it answered %s, but not as its API promises: %w",
			r.Purpose, response.Status, err)
	}
	return nil
}

// list reads all pages of a list. How many elements a page has at most, and whether the API takes an offset
// at all, is not documented: the list has ended when a page brings nothing new.
func list[T any](
	ctx context.Context, c *Client, purpose, path string, query url.Values, id func(T) string,
) ([]T, error) {
	var all []T
	query.Set("limit", strconv.Itoa(pageSize))
	offset := 0
	for range maxPages {
		query.Set("offset", strconv.Itoa(offset))
		var page []T
		r := Request{Purpose: purpose, Method: http.MethodGet, Path: path + "?" + query.Encode()}
		if err := c.Send(ctx, r, &page); err != nil {
			return nil, err
		}
		offset += len(page)
		known := len(all)
		for _, element := range page {
			if !slices.ContainsFunc(all, func(other T) bool { return id(other) == id(element) }) {
				all = append(all, element)
			}
		}
		if len(all) == known {
			return all, nil
		}
	}
	return nil, fmt.Errorf("cannot %s: there are more than %d pages of them", purpose, maxPages)
}

// words are XDR's own about an error.
func words(content []byte) string {
	var said struct {
		Error, Message string
		Description    string `json:"error_description"`
	}
	_ = json.Unmarshal(content, &said) // an error in another form has no words
	if text := cmp.Or(said.Description, said.Message, said.Error); text != "" {
		return " (" + plain.OneLine(text, 300) + ")"
	}
	return ""
}

// refusal is the error of a response that is not a success.
func refusal(r Request, response *http.Response, words string) error {
	status := response.StatusCode
	hint := map[int]string{
		400: "The API does not accept the contents of the request; --dry-run prints them",
		422: "The API does not accept the contents of the request; --dry-run prints them",
		401: "The API client needs the scope " + r.scope() + `, which "integration" has`,
		403: "The API client must belong to an administrator and needs the scope " + r.scope() +
			"; what is Cisco's own cannot be changed",
		404: "It is not there, or it is in another region (--region) or another organisation's",
		409: `It conflicts with what XDR has already; look with "relayctl module list" or ` +
			`"relayctl instance health"`,
		429: "Your organisation has used up its calls of this hour",
	}[status]
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
	switch {
	case status/100 == 3:
		hint = "It redirects; nothing is sent there"
	case status == 429 && err == nil:
		hint += fmt.Sprintf("; try again in %d s", seconds)
	case status >= 500 && r.changes():
		hint = "XDR failed. " + perhaps
	case status >= 500:
		hint = "XDR failed. Try again later"
	}
	return fmt.Errorf("cannot %s: XDR answered %d %s%s. %s",
		r.Purpose, status, http.StatusText(status), words, hint)
}

// perhaps is what to do after a failure that leaves open whether something was changed.
const perhaps = `It may have been done all the same: before you try again, look with "relayctl module ` +
	`list" or "relayctl instance health"`

// loginError says why there is no access token. XDR's words are left out: the request held the client's
// secret.
func (c *Client) loginError(err error) error {
	login := Request{Purpose: "log in to XDR", Method: http.MethodGet, Path: tokenPath}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return c.unreachable(login, err)
	}
	switch refused.Response.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s refused the API client (%d): its id or its secret is wrong, or it was made in "+
			"another region (--region)", c.host, refused.Response.StatusCode)
	}
	return refusal(login, refused.Response, "")
}

// unreachable says why there is no response.
func (c *Client) unreachable(r Request, err error) error {
	after := ""
	if r.changes() {
		after = ". " + perhaps
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
		if failed.Timeout() {
			err = fmt.Errorf("no response from %s in %s; --timeout waits longer", c.host, c.http.Timeout)
		}
	}
	return fmt.Errorf("cannot %s at %s: %w%s", r.Purpose, c.host, err, after)
}
