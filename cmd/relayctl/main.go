// Command relayctl is the operator's tool of the Qualys relay: it makes signing keys and configuration
// tokens, renders the module type that is registered in Cisco XDR, finds out what is wrong between XDR, a
// relay and Qualys, and looks observables up, on the terminal or in a local page.
//
// It exits with 0 when a command did what it was asked, with 1 when it worked and the answer is no (nothing
// found, token refused), and with 2 on errors and wrong usage. Results go to standard output, everything
// else to standard error. Secrets are read from the environment, from files, from standard input or from
// the terminal without echo; no flag takes one, because command lines end up in process lists and shell
// histories.
//
// A command is one file here with its flags and a Run method; what it does is in a package below this one.
package main

import (
	"cmp"
	"context"
	_ "embed" // the manual
	"errors"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/api/option"

	"qualysrelay.example/cmd/relayctl/terminal"
)

//go:generate go test -run ^TestDocuments$ -update .

// manual has the text of each command's help, in sections.
//
//go:embed manual.txt
var manual string

// Exit codes.
const (
	exitDone  = 0 // the command did what it was asked
	exitNo    = 1 // it worked, and the answer is no: nothing found, token refused
	exitError = 2 // errors and wrong usage
)

// commands is the command line: one field for each command, one file for each field.
type commands struct {
	Demo       demoCommand       `cmd:"" help:"Show the relay at work, everything embedded."`
	Key        keyCommand        `cmd:"" help:"Make a signing key."`
	Token      tokenCommand      `cmd:"" help:"Make, read and verify configuration tokens."`
	Module     moduleCommand     `cmd:"" help:"Render the module type for Cisco XDR, and register it."`
	Instance   instanceCommand   `cmd:"" help:"Add the integration in XDR, and check its health."`
	Check      checkCommand      `cmd:"" help:"Find out what is wrong between XDR, a relay and Qualys."`
	Probe      probeCommand      `cmd:"" help:"Test at Qualys what the relay believes about it."`
	Observe    observeCommand    `cmd:"" help:"Look observables up at a relay."`
	Console    consoleCommand    `cmd:"" help:"Investigate in a local web page."`
	Version    versionCommand    `cmd:"" help:"Print version, commit and Go version."`
	Completion completionCommand `cmd:"" help:"Print the line that makes a shell complete relayctl's commands and flags."`
	Complete   completeCommand   `cmd:"" hidden:"" help:"List completions of COMP_LINE, as bash's complete -C wants them."`
}

// program is the outside world of a command. Tests replace parts of it.
type program struct {
	terminal.Streams
	getenv func(string) string
	now    func() time.Time
	// secretManager configures the Secret Manager client. It is empty outside of tests and no flag or
	// variable sets it, so that a key can only ever be sent to Google's own endpoints.
	secretManager []option.ClientOption
	// xdr leads to a fake XDR. Like secretManager, it is nil outside of tests: credentials go to Cisco's
	// hosts only.
	xdr http.RoundTripper
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	p := &program{
		Streams: terminal.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		getenv:  os.Getenv, now: time.Now,
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// run is relayctl without the process around it: args are without the program's name, and the result is the
// exit code.
func (p *program) run(ctx context.Context, args []string) int {
	var cmds commands
	helped := false
	parser := kong.Must(&cmds,
		kong.Name("relayctl"),
		kong.Description("The operator's tool of the Qualys relay."),
		kong.Writers(p.Out, p.Err),
		kong.Exit(func(int) { helped = true }), // kong exits only after it printed the help
		kong.Resolvers(environment(p.getenv)),
		kong.PostBuild(func(k *kong.Kong) error { return kong.Visit(k.Model, addManual) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if i := slices.Index(args, "-once"); i >= 0 { // as Go's own commands write it
		args = slices.Replace(slices.Clone(args), i, i+1, "--once")
	}
	command, err := parser.Parse(args)
	if helped {
		return exitDone
	}
	if usage, ok := errors.AsType[*kong.ParseError](err); ok {
		code, node := p.fail(err), cmp.Or(usage.Context.Selected(), usage.Context.Model.Node)
		p.Note("Run \"%s --help\" for the usage.", node.FullPath())
		return code
	}
	if err == nil {
		err = command.Run()
	}
	if no, ok := errors.AsType[*answerNo](err); ok {
		p.Note("%s", no.message)
		return exitNo
	}
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	return p.fail(err)
}

// answerNo is the error of a command that worked and whose answer is no. The message may be empty where the
// command printed its answer already.
type answerNo struct{ message string }

func (e *answerNo) Error() string { return e.message }

// fail reports an error.
func (p *program) fail(err error) int {
	p.Note("relayctl: error: %s", err)
	return exitError
}

// addManual puts the manual's text about a command, where there is one, into the command's help.
func addManual(node kong.Visitable, next kong.Next) error {
	if command, ok := node.(*kong.Node); ok {
		if _, text, ok := strings.Cut(manual, "\n== "+command.FullPath()+"\n"); ok {
			command.Detail, _, _ = strings.Cut(text, "\n== ")
		}
	}
	return next(nil)
}

// environment gives a flag that was not on the command line the value of the variable that its `from` tag
// names.
func environment(getenv func(string) string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if value := getenv(flag.Tag.Get("from")); value != "" {
			return value, nil
		}
		return nil, nil
	})
}
