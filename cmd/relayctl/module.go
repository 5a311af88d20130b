package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"qualysrelay.example/cmd/relayctl/moduletype"
	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/secret"
)

// moduleCommand renders the module type that is registered in Cisco XDR.
type moduleCommand struct {
	URL      string `help:"The relay's URL, as XDR reaches it (RELAY_URL)." from:"RELAY_URL" required:"" placeholder:"URL"`
	Alg      string `help:"Who signs: XDR (RS256, the default) or you (HS256)." enum:"RS256,HS256" default:"RS256"`
	Region   string `help:"Region of XDR: us (the default), eu or apjc." enum:"us,eu,apjc" default:"us"`
	Title    string `help:"Name of the integration in XDR (${default})." default:"Qualys EDR" placeholder:"TEXT"`
	Audience string `help:"The aud claim of RS256 tokens; without it, the relay's origin." placeholder:"URL"`
	EmbedKey bool   `help:"HS256 only: put the signing key into the module type and let XDR sign. Needs --out."`
	KeyFile  string `help:"Signing key for --embed-key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	Out      string `help:"Write to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force    bool   `help:"Replace the file if it exists."`
}

// Help is the command's manual.
func (moduleCommand) Help() string {
	return `A module type tells XDR where the relay is, what it can do and how XDR proves who it is. Post it
once for each organisation; the next steps are printed to standard error.

RS256 (recommended): users of XDR type their Qualys credentials into a form, XDR signs them into a
configuration token with its own private key, and the relay checks it with XDR's public keys. No
secret is shared.

HS256: you sign one token with "relayctl token" and paste it into the form; XDR stores it and sends
it as it is (auth-type bearer). The signing key stays with the relay and no secret is in the
module type, which everybody who may read module types in XDR can see. That is why it is the default
for HS256.

HS256 with --embed-key: as RS256, but XDR signs with the relay's own key, which then is in the
module type in clear (configuration-token-key). Whoever can read the type can make tokens. It goes
to a file only, never to standard output.

Examples:

    relayctl module --url https://relay-abc-ew.a.run.app --region eu > module_type.json
    relayctl module --url https://relay-abc-ew.a.run.app --alg HS256 --out module_type.json`
}

// Run renders the module type.
func (c *moduleCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	u, err := relayclient.ParseURL("--url", c.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "https" {
		return fmt.Errorf("--url %q must be https: XDR calls it over the internet", c.URL)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil || relayclient.IsLoopback(u.Hostname()) ||
		!strings.Contains(u.Hostname(), ".") {
		return fmt.Errorf("--url %q must have a public host name: XDR calls it over the internet", c.URL)
	}
	o := moduletype.Options{
		Title: c.Title, URL: strings.TrimRight(c.URL, "/"), Audience: cmp.Or(c.Audience, "https://"+u.Host),
		Region: moduletype.Regions()[c.Region],
	}
	switch {
	case c.EmbedKey:
		o.Signing = moduletype.EmbedKey
		if o.Key, err = p.signingKey(ctx, c.KeyFile); err != nil {
			return err
		}
	case c.Alg == "HS256":
		o.Signing = moduletype.Before
	}
	doc, err := o.Render()
	if err != nil {
		return err
	}
	if c.Out != "" {
		err = secret.WriteFile(c.Out, doc, c.Force)
	} else {
		_, err = p.Out.Write(doc)
	}
	if err != nil {
		return err
	}
	p.Note("%s", o.NextSteps(cmp.Or(c.Out, "the JSON above")))
	return nil
}

func (c *moduleCommand) check() error {
	switch {
	case c.Force && c.Out == "":
		return errors.New("--force belongs to --out")
	case c.EmbedKey && c.Alg != "HS256":
		return errors.New("--embed-key belongs to --alg HS256: RS256 shares no key")
	case c.EmbedKey && c.Out == "":
		return errors.New("--embed-key needs --out: the module type will hold the signing key, which must " +
			"not end up on a screen or in a log")
	case c.KeyFile != "" && !c.EmbedKey:
		return errors.New("--key-file belongs to --embed-key: without it no key is needed")
	case c.Audience != "" && c.Alg == "HS256" && !c.EmbedKey:
		return errors.New("--audience is part of the token here: give it to \"relayctl token\"")
	case strings.TrimSpace(c.Title) == "":
		return errors.New("--title must not be empty")
	}
	return nil
}
