package token

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/auth"
)

// Verify runs the verification of a relay with the configuration and, where JWT_AUDIENCE names no audience,
// the URL, which may be empty. It says what the relay accepts the token for. A token that is refused is an
// [*auth.Error] in the relay's own words; other errors are about the settings and the keys.
func Verify(ctx context.Context, token secret.Value, config relay.Config, relayURL string) (string, error) {
	base, err := relayclient.ParseURL("--url", cmp.Or(relayURL, "https://relay.invalid"))
	if err != nil {
		return "", err
	}
	verifier, err := auth.New(config.Auth)
	if err != nil {
		return "", err
	}
	claims, err := verifier.Verify(ctx, &http.Request{
		Host: base.Host, Header: http.Header{"Authorization": {"Bearer " + string(token)}},
	})
	if err != nil {
		return "", err
	}
	account, err := config.Account(claims)
	if err != nil {
		return "", err
	}
	answer := fmt.Sprintf("accepted: user %s at %s, at most %d entities for each observable",
		plain.Text(account.Tenant.User), plain.Text(account.Tenant.Gateway), account.Limit)
	if account.PlatformURL != "" {
		answer += "\nlinks go to " + plain.Text(account.PlatformURL)
	}
	return answer, nil
}
