// Package demo is the relay at work on one machine: a fake Qualys gateway that holds the story of a
// workstation that met malware, and the relay in front of it.
package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/accesslog"
)

// The user of the gateway that runs alone: short and without characters that a shell would read.
const (
	GatewayUser     = "acme_ab1"
	GatewayPassword = "glasswing"
)

// platform stands for the Qualys console, which the demo has none of.
const platform = "https://qualysguard.example"

// Gateway starts the fake gateway alone, at a loopback address, and notes what it rejects. The caller closes it.
func Gateway(address string, note func(format string, args ...any)) (*qualystest.Server, error) {
	return listen(qualystest.Config{Addr: address, Users: map[string]string{GatewayUser: GatewayPassword}}, note)
}

func listen(config qualystest.Config, note func(format string, args ...any)) (*qualystest.Server, error) {
	config.Events = qualystest.Story()
	return qualystest.Listen(config, func(format string, args ...any) {
		note("The fake gateway rejected a request: "+format, args...)
	})
}

// Demo is a gateway with a relay in front of it.
type Demo struct {
	Client *relayclient.Client // nil until Connect

	gateway *qualystest.Server
	service *relay.Service
	token   secret.Value
}

// New starts the gateway and makes the relay, as it is deployed but for the log, whose lines would hide the
// table, and the cache, which would hide what a question costs. The caller closes the demo.
func New(now time.Time, note func(format string, args ...any)) (*Demo, error) {
	gateway, err := listen(qualystest.Config{}, note)
	if err != nil {
		return nil, err
	}
	d := &Demo{gateway: gateway}
	key := secret.NewKey()
	settings := map[string]string{
		"SECRET_KEY": string(key), "API_URL": gateway.URL, "PLATFORM_URL": platform, "LOG_LEVEL": "error",
		"SEARCH_CACHE": "0",
	}
	config, err := relay.ConfigFromEnv(func(name string) string { return settings[name] })
	if err == nil {
		d.token, err = token.Claims{User: qualystest.User, Password: qualystest.Password}.Sign(key, now)
	}
	if err == nil {
		config.Now = qualystest.StoryEnd // the dashboard shows the days until then
		d.service, err = relay.New(config, accesslog.New(os.Stderr, config.LogLevel, ""))
	}
	if err != nil {
		gateway.Close()
	}
	return d, err
}

// Close ends relay and gateway.
func (d *Demo) Close() {
	d.service.Close()
	d.gateway.Close()
}

// Handler serves the console's page, and the relay at every path that is not the page's.
func (d *Demo) Handler(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/assets/", "/api/"} {
		mux.Handle(path, page)
	}
	mux.Handle("/", d.service)
	return mux
}

// Connect tells the demo where its handler is served.
func (d *Demo) Connect(address string) error {
	base, err := relayclient.ParseURL("the address", address)
	if err == nil {
		d.Client = relayclient.New(base, d.token, time.Minute)
	}
	return err
}

// Look asks the relay about everything in the story.
func (d *Demo) Look(ctx context.Context) (*report.Report, error) {
	var all []ctim.Observable
	for _, o := range qualystest.StoryObservables() {
		all = append(all, ctim.Observable{Type: ctim.ObservableType(o.Type), Value: o.Value})
	}
	got, err := d.Client.Observe(ctx, all)
	if err != nil {
		return nil, err
	}
	return report.Read(all, got.Body)
}

// WriteCommands writes commands to paste, one for each endpoint of the relay.
func (d *Demo) WriteCommands(w io.Writer) {
	readable := "" // what indents the answers, where this machine has such a program
	for _, formatter := range []string{"python3 -m json.tool", "jq ."} {
		name, _, _ := strings.Cut(formatter, " ")
		if _, err := exec.LookPath(name); err == nil {
			readable = " | " + formatter
		}
	}
	all := qualystest.StoryObservables()
	o := all[slices.IndexFunc(all, func(o qualystest.Observable) bool { return o.Type == "sha256" })]
	const authorized = ` -H "Authorization: Bearer $TOKEN"`
	body := fmt.Sprintf(`%s -d '[{"type":%q,"value":%q}]'`, authorized, o.Type, o.Value)
	tile := authorized + ` -d '{"tile_id":"qualys-detections"`
	fmt.Fprintf(w, "TOKEN=%s\n", string(d.token))
	for _, c := range []struct{ method, path, rest string }{
		{"X POST", relayclient.PathHealth, authorized}, {"X POST", relayclient.PathObserve, body},
		{"X POST", relayclient.PathDeliberate, body}, {"X POST", relayclient.PathRefer, body},
		{"X POST", relayclient.PathTiles, authorized}, {"X POST", relayclient.PathTile, tile + "}'"},
		{"X POST", relayclient.PathTileData, tile + `,"period":"last_7_days"}'`},
		{"X POST", relayclient.PathVersion, ""}, {"", relayclient.PathWatchdog, " -H 'Health-Check: hello'"},
	} {
		fmt.Fprintf(w, "curl -s%s %s%s%s%s\n", c.method, d.Client.Base, c.path, c.rest, readable)
	}
}

// Report is a text about the story as an analyst would write it, with an observable on each line.
func Report() string {
	var b strings.Builder
	b.WriteString("What the analysts noted on the incident of 17 March:\n")
	for _, o := range qualystest.StoryObservables() {
		fmt.Fprintf(&b, "%s: %s:%s\n", o.Label, o.Type, o.Value)
	}
	return b.String()
}
