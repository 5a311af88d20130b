package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"qualysrelay.example/cmd/relayctl/console"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
)

// demoCommand shows the relay at work, with everything that it needs embedded.
type demoCommand struct {
	Once   bool   `help:"End after the table: 0 where all went well, else 1."`
	Listen string `help:"Loopback address to serve on; port 0 takes a free one (${default})." default:"127.0.0.1:0" placeholder:"ADDRESS"`
}

// Help is the command's manual.
func (demoCommand) Help() string {
	return `Starts a fake Qualys gateway, which holds the story of a workstation that met malware, and the relay in front of it; asks the
relay over HTTP about everything in the story; and serves the relay and the console until Ctrl-C. Nothing leaves this machine.

Example:

    relayctl demo`
}

// demoPlatform stands for the Qualys console, which the demo has none of.
const demoPlatform = "https://qualysguard.example"

// Run tells the story.
func (c *demoCommand) Run(ctx context.Context, p *program) error {
	if !isLoopbackAddress(c.Listen) {
		return fmt.Errorf("--listen %q is not a loopback address: the demo is for this machine only", c.Listen)
	}
	var mistakes atomic.Int64
	gateway, err := qualystest.Listen(qualystest.Config{Events: qualystest.Story()}, func(format string, args ...any) {
		mistakes.Add(1)
		p.note("The gateway took offence: "+format, args...)
	})
	if err != nil {
		return err
	}
	defer gateway.Close()
	key := newKey()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"user": qualystest.User, "pass": qualystest.Password, "iat": p.now().Unix()}).SignedString([]byte(key))
	if err != nil {
		return err
	}
	service, err := demoRelay(gateway.URL, key)
	if err != nil {
		return err
	}
	defer func() { _ = service.Close() }()

	// The relay and the console share an address: the console asks through the same door as everybody.
	var client *relayClient
	page, err := console.New(console.Options{
		Ask: func(ctx context.Context, path string, body []byte) (console.Reply, error) {
			return client.askConsole(ctx, path, body)
		},
		RelayURL: "the demo's relay",
		Examples: demoExamples(),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	for _, path := range []string{pathHealth, pathObserve, pathDeliberate, pathRefer, pathVersion, pathWatchdog} {
		mux.Handle(path, service)
	}

	serving, stop := context.WithCancel(ctx)
	defer stop()
	var told error
	err = p.serve(serving, c.Listen, mux, func(address string) {
		base, err := url.Parse(strings.TrimSuffix(address, "/"))
		if err != nil {
			told = err
			stop()
			return
		}
		client = newRelayClient(base, secret(token), time.Minute)
		if told = c.tell(ctx, p, client, token); c.Once || told != nil {
			stop()
		}
	})
	if mistakes.Load() > 0 && told == nil {
		told = &answerNo{"The relay sent Qualys something that it does not take."}
	}
	return errors.Join(told, err)
}

// demoRelay is the relay as it is deployed, but for the log, whose lines would hide the table, and the cache, which would hide what a question costs.
func demoRelay(gateway string, key secret) (*relay.Service, error) {
	settings := map[string]string{"SECRET_KEY": string(key), "API_URL": gateway, "PLATFORM_URL": demoPlatform, "LOG_LEVEL": "error", "SEARCH_CACHE": "0"}
	config, err := relay.ConfigFromEnv(func(name string) string { return settings[name] })
	if err != nil {
		return nil, err
	}
	return relay.New(config)
}

// tell asks about the story and prints what the relay knows, then how to ask oneself.
func (c *demoCommand) tell(ctx context.Context, p *program, client *relayClient, token string) error {
	fmt.Fprintf(p.stdout, "A workstation met malware. This is what the relay at %s knows of it from a fake Qualys gateway:\n\n", client.base)
	var findings []finding
	missing := make(map[string]bool)
	for _, o := range qualystest.StoryObservables() {
		asked := []observable{{Type: o.Type, Value: o.Value}}
		got, err := client.observables(ctx, pathObserve, asked)
		if err == nil {
			err = got.problem()
		}
		if err != nil {
			return err
		}
		s, err := summarise(asked, got.Body)
		if err != nil {
			return err
		}
		if len(s.Errors) > 0 {
			p.tellErrors(s.Errors)
			return &answerNo{"The relay could not answer all."}
		}
		if _, before := missing[o.Type]; !before || s.found() {
			missing[o.Type] = !s.found()
		}
		findings = append(findings, s.Findings...)
	}
	if err := writeTable(p.stdout, findings); err != nil {
		return err
	}
	for _, kind := range []string{"ip", "domain", "file_name", "file_path", "mutex", "md5", "sha256"} {
		if found, asked := missing[kind]; found || !asked {
			return &answerNo{"Nothing was found about any " + kind + "."}
		}
	}
	if c.Once {
		return nil
	}
	fmt.Fprintf(p.stdout, "\nSee it:  %s/\n\nAsk yourself:\n\n%s\nCtrl-C ends the demo.\n", client.base, curls(client.base.String(), token))
	return nil
}

// curls are commands to paste, one for each endpoint.
func curls(base, token string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "TOKEN=%s\n", token)
	post := func(path, body string) {
		if body != "" {
			body = " -d '" + body + "'"
		}
		fmt.Fprintf(&b, "curl -sX POST %s%s -H \"Authorization: Bearer $TOKEN\"%s\n", base, path, body)
	}
	one := qualystest.StoryObservables()[slices.IndexFunc(qualystest.StoryObservables(), func(o qualystest.Observable) bool { return o.Type == "sha256" })]
	body := fmt.Sprintf(`[{"type":%q,"value":%q}]`, one.Type, one.Value)
	post(pathHealth, "")
	post(pathObserve, body)
	post(pathDeliberate, body)
	post(pathRefer, body)
	fmt.Fprintf(&b, "curl -sX POST %s%s\n", base, pathVersion)
	fmt.Fprintf(&b, "curl -s %s%s -H 'Health-Check: hello'\n", base, pathWatchdog)
	return b.String()
}

// demoExamples are texts for the console: the whole story, and a few parts of it.
func demoExamples() []console.Example {
	var all strings.Builder
	all.WriteString("What the analysts noted on the incident of 17 March:\n")
	for _, o := range qualystest.StoryObservables() {
		fmt.Fprintf(&all, "%s: %s:%s\n", o.Label, o.Type, o.Value)
	}
	return []console.Example{
		{Label: "The whole story", Text: all.String()},
		{Label: "A report with defanged addresses", Text: "The loader calls hxxps://cdn[.]glasswing[.]example/ at 198.51.100[.]23 and mines at pool[.]glasswing[.]example."},
		{Label: "An everyday address", Text: "198.51.100.2"},
		{Label: "Nothing known", Text: "203.0.113.77"},
	}
}
