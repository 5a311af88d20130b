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

// moduleCommand groups what can be done with the module type.
type moduleCommand struct {
	Render moduleRenderCommand `cmd:"" default:"withargs" help:"Render the module type for Cisco XDR (\"relayctl module\" does it too)."`
	Push   modulePushCommand   `cmd:"" help:"Create or update the module type in XDR."`
	List   moduleListCommand   `cmd:"" help:"List the module types in XDR."`
	Delete moduleDeleteCommand `cmd:"" help:"Delete the module type in XDR."`
}

// Help is the group's manual.
func (moduleCommand) Help() string {
	return `A module type tells XDR where the relay is, what it can do and how XDR proves who it is.

Examples:

    relayctl module push --url https://relay-abc-ew.a.run.app --region eu
    relayctl module --url https://relay-abc-ew.a.run.app --region eu > module_type.json`
}

// regionFlag is the region of XDR.
type regionFlag struct {
	Region string `help:"Region of XDR: us (the default), eu or apjc." enum:"us,eu,apjc" default:"us"`
}

// moduleFlags are what a module type depends on.
type moduleFlags struct {
	URL      string `help:"The relay's URL, as XDR reaches it (RELAY_URL)." from:"RELAY_URL" required:"" placeholder:"URL"`
	Alg      string `help:"Who signs: XDR (RS256, the default) or you (HS256)." enum:"RS256,HS256" default:"RS256"`
	Title    string `help:"Name of the module type in XDR (${default})." default:"Qualys EDR" placeholder:"TEXT"`
	Audience string `help:"The aud claim of RS256 tokens; without it, the relay's origin." placeholder:"URL"`
}

// options checks the flags: XDR calls the relay over the internet.
func (f moduleFlags) options(region string) (moduletype.Options, error) {
	u, err := relayclient.ParseURL("--url", f.URL)
	if err != nil {
		return moduletype.Options{}, err
	}
	if u.Scheme != "https" {
		return moduletype.Options{}, fmt.Errorf("--url %q must be https: XDR calls it over the internet",
			f.URL)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || relayclient.IsLoopback(host) ||
		!strings.Contains(host, ".") {
		return moduletype.Options{}, fmt.Errorf("--url %q must have a public host name: "+
			"XDR calls it over the internet", f.URL)
	}
	if strings.TrimSpace(f.Title) == "" {
		return moduletype.Options{}, errors.New("--title must not be empty")
	}
	o := moduletype.Options{
		Title: f.Title, URL: strings.TrimRight(f.URL, "/"),
		Audience: cmp.Or(f.Audience, "https://"+u.Host), Region: moduletype.Regions()[region],
	}
	if f.Alg == "HS256" {
		o.Signing = moduletype.Before
	}
	return o, nil
}

// checkAudience refuses an audience that would have no effect.
func (f moduleFlags) checkAudience(xdrSigns bool) error {
	if f.Audience != "" && !xdrSigns {
		return errors.New("--audience is part of the token here: give it to \"relayctl token\"")
	}
	return nil
}

// moduleRenderCommand renders the module type that is registered in Cisco XDR.
type moduleRenderCommand struct {
	moduleFlags
	regionFlag
	EmbedKey bool   `help:"HS256 only: put the signing key into the module type and let XDR sign. Needs --out."`
	KeyFile  string `help:"Signing key for --embed-key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	Out      string `help:"Write to this file, mode 0600, instead of standard output." placeholder:"FILE"`
	Force    bool   `help:"Replace the file if it exists."`
}

// Help is the command's manual.
func (moduleRenderCommand) Help() string {
	return `The module type as JSON, to be looked at or posted by hand; "relayctl module push" registers it
without a file. The next steps are printed to standard error.

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
func (c *moduleRenderCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	o, err := c.options(c.Region)
	if err != nil {
		return err
	}
	if c.EmbedKey {
		o.Signing = moduletype.EmbedKey
		if o.Key, err = p.signingKey(ctx, c.KeyFile); err != nil {
			return err
		}
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

func (c *moduleRenderCommand) check() error {
	switch {
	case c.Force && c.Out == "":
		return errors.New("--force belongs to --out")
	case c.EmbedKey && c.Alg != "HS256":
		return errors.New("--embed-key belongs to --alg HS256: RS256 shares no key")
	case c.EmbedKey && c.Out == "":
		return errors.New("--embed-key needs --out: the module type will hold the signing key, " +
			"which must not end up on a screen or in a log")
	case c.KeyFile != "" && !c.EmbedKey:
		return errors.New("--key-file belongs to --embed-key: without it no key is needed")
	}
	return c.checkAudience(c.Alg == "RS256" || c.EmbedKey)
}
