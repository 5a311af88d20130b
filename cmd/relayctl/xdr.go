package main

import (
	"context"
	"errors"
	"strings"

	"github.com/alecthomas/kong"

	"qualysrelay.example/cmd/relayctl/moduletype"
	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/xdr"
)

// xdrFlags are the flags of the commands that call XDR.
type xdrFlags struct {
	regionFlag
	ClientFile string `help:"API client: its id and its secret, on a line each; else XDR_CLIENT_ID and XDR_CLIENT_SECRET." placeholder:"FILE"`
}

// typeFlags are the flags of the commands about a module type that is in XDR.
type typeFlags struct {
	Title string `help:"Title of the module type (${default})." default:"Qualys EDR" placeholder:"TEXT"`
	ID    string `name:"id" help:"Id of the module type, instead of its title." placeholder:"ID"`
	xdrFlags
}

// changeFlags are the flags of the commands that change something in XDR after they have asked.
type changeFlags struct {
	DryRun bool `help:"Print the request instead of sending it. What it depends on is read from XDR all the same."`
	Yes    bool `help:"Do not ask."`
}

// AfterApply is kong's hook after parsing. It gives the Run method XDR in the region, called as the API
// client in the file or in the environment.
func (f *xdrFlags) AfterApply(ctx context.Context, k *kong.Context, p *program) error {
	idAndSecret := secret.Value(p.getenv("XDR_CLIENT_ID") + "\n" + p.getenv("XDR_CLIENT_SECRET"))
	if f.ClientFile != "" {
		var err error
		if idAndSecret, err = secret.ReadFile(f.ClientFile); err != nil {
			return err
		}
	}
	words := strings.Fields(string(plain.Decode([]byte(idAndSecret))))
	if len(words) != 2 {
		return errors.New("no API client: set XDR_CLIENT_ID and XDR_CLIENT_SECRET, or give --client-file " +
			"with its id and its secret, on a line each")
	}
	k.Bind(xdr.New(ctx, moduletype.Host(f.Region), words[0], secret.Value(words[1]), p.xdr))
	return nil
}

// find is the module type that the flags choose, with its integrations.
func (f *typeFlags) find(ctx context.Context, client *xdr.Client) (xdr.ModuleType, []xdr.Instance, error) {
	t, err := client.FindModuleType(ctx, f.ID, f.Title)
	if err != nil {
		return nil, nil, err
	}
	uses, err := client.Instances(ctx, t)
	return t, uses, err
}

// send shows the request, or asks the user and sends it. sent tells whether it did.
func (f *changeFlags) send(
	ctx context.Context, p *program, client *xdr.Client, request xdr.Request, into any,
) (sent bool, err error) {
	switch {
	case f.DryRun:
		return false, client.Show(p.Out, request)
	case f.Yes:
	case !p.Interactive():
		return false, errors.New("nothing was changed: there is no terminal to ask at; --yes goes ahead without")
	default:
		answer, err := p.Ask(ctx, "Go ahead? [y/N] ")
		if err != nil {
			return false, err
		}
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return false, &answerNo{"Nothing was changed."}
		}
	}
	err = client.Send(ctx, request, into)
	return err == nil, err
}
