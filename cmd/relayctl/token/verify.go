package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/api/option"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/auth"
)

// verifyTimeout is for the whole verification: keys may have to be fetched.
const verifyTimeout = 30 * time.Second

// Verification is how a token is verified.
type Verification struct {
	Getenv func(name string) string // the relay's environment variables
	// the relay's, which is the audience where JWT_AUDIENCE names none; may be empty
	URL           string
	Now           func() time.Time
	SecretManager []option.ClientOption
}

// Verify runs the relay's own verification. It returns the relay's answer in the relay's own words, and
// whether the token is accepted. Errors are about the settings and the keys, not about the token.
func (v Verification) Verify(ctx context.Context, token secret.Value) (answer string, accepted bool,
	err error) {
	config, err := relay.ConfigFromEnv(v.Getenv)
	if err != nil {
		return "", false, err
	}
	config.Auth.SecretManagerOptions, config.Auth.Now = v.SecretManager, v.Now
	verifier, err := auth.New(config.Auth)
	if err != nil {
		return "", false, err
	}
	defer verifier.Close()
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	request, err := v.request(ctx, token)
	if err != nil {
		return "", false, err
	}
	claims, err := verifier.Verify(ctx, request)
	if err != nil {
		return refusal(err)
	}
	account, err := config.Account(claims)
	if err != nil {
		return refusal(err)
	}
	answer = fmt.Sprintf("accepted: user %s at %s, at most %d entities for each observable",
		plain.Text(account.Tenant.User), plain.Text(account.Tenant.Gateway), account.Limit)
	if account.PlatformURL != "" {
		answer += "\nlinks go to " + plain.Text(account.PlatformURL)
	}
	return answer, true, nil
}

// refusal is the relay's answer to a token that it does not accept, or the error about the settings and
// keys.
func refusal(err error) (answer string, accepted bool, _ error) {
	if refused, ok := errors.AsType[*auth.Error](err); ok {
		return "refused: " + plain.Text(refused.Message), false, nil
	}
	return "", false, err
}

// request is the request that would bring the token to the relay.
func (v Verification) request(ctx context.Context, token secret.Value) (*http.Request, error) {
	base := "https://relay.invalid" // a name that is nobody's
	if v.URL != "" {
		u, err := relayclient.ParseURL("--url", v.URL)
		if err != nil {
			return nil, err
		}
		base = u.Scheme + "://" + u.Host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+relayclient.PathObserve,
		http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Forwarded-Proto", request.URL.Scheme) // as Google's front end says it
	request.Header.Set("Authorization", "Bearer "+string(token))
	return request, nil
}
