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
)

type moduleCommand struct {
	Render moduleRenderCommand `cmd:"" default:"withargs" help:"Render the module type for Cisco XDR (\"relayctl module\" does it too)."`
	Push   modulePushCommand   `cmd:"" help:"Create or update the module type in XDR."`
	List   moduleListCommand   `cmd:"" help:"List the module types in XDR."`
	Delete moduleDeleteCommand `cmd:"" help:"Delete the module type in XDR."`
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

// options checks the flags: XDR calls the relay over the internet. With embedKey, HS256 is signed by XDR
// too.
func (f moduleFlags) options(region string, embedKey bool) (moduletype.Options, error) {
	u, err := relayclient.ParseURL("--url", f.URL)
	if err != nil {
		return moduletype.Options{}, err
	}
	_, noName := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "https":
		err = fmt.Errorf("--url %q must be https: XDR calls it over the internet", f.URL)
	case noName == nil, !strings.Contains(u.Hostname(), "."):
		err = fmt.Errorf("--url %q must have a public host name: XDR calls it over the internet", f.URL)
	case strings.TrimSpace(f.Title) == "":
		err = errors.New("--title must not be empty")
	case f.Audience != "" && f.Alg == "HS256" && !embedKey:
		err = errors.New(`--audience is part of the token here: give it to "relayctl token"`)
	}
	return moduletype.Options{
		Title: f.Title, URL: strings.TrimRight(f.URL, "/"), Audience: cmp.Or(f.Audience, "https://"+u.Host),
		Region: moduletype.Regions()[region], Alg: f.Alg,
	}, err
}

type moduleRenderCommand struct {
	moduleFlags
	regionFlag
	EmbedKey bool   `help:"HS256 only: put the signing key into the module type and let XDR sign. Needs --out."`
	KeyFile  string `help:"Signing key for --embed-key; else SECRET_KEY, else asked for." placeholder:"FILE"`
	outFlags
}

func (c *moduleRenderCommand) Run(ctx context.Context, p *program) error {
	switch {
	case c.EmbedKey && c.Alg != "HS256":
		return errors.New("--embed-key belongs to --alg HS256: RS256 shares no key")
	case c.EmbedKey && c.Out == "":
		return errors.New("--embed-key needs --out: the module type will hold the signing key, " +
			"which must not end up on a screen or in a log")
	case c.KeyFile != "" && !c.EmbedKey:
		return errors.New("--key-file belongs to --embed-key: without it no key is needed")
	}
	o, err := c.options(c.Region, c.EmbedKey)
	if err == nil && c.EmbedKey {
		o.Key, err = p.signingKey(ctx, c.KeyFile)
	}
	if err != nil {
		return err
	}
	doc, err := o.Render()
	if err != nil {
		return err
	}
	if err := c.write(p, doc); err != nil {
		return err
	}
	steps, err := o.NextSteps(cmp.Or(c.Out, "the JSON above"))
	if err == nil {
		p.Note("%s", steps)
	}
	return err
}
