// Package demo is the relay at work on one machine: a fake Qualys gateway that holds the story of a
// workstation that met malware, and the relay in front of it.
package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
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

// Note is told what the user should know.
type Note func(format string, args ...any)

// Gateway starts the fake gateway alone, at a loopback address. The caller closes it.
func Gateway(address string, note Note) (*qualystest.Server, error) {
	users := map[string]string{GatewayUser: GatewayPassword}
	return listen(qualystest.Config{Addr: address, Users: users}, note)
}

func listen(config qualystest.Config, note Note) (*qualystest.Server, error) {
	config.Events = qualystest.Story()
	return qualystest.Listen(config, func(format string, args ...any) {
		note("The fake gateway rejected a request: "+format, args...)
	})
}

// Demo is a gateway with a relay in front of it.
type Demo struct {
	Client *relayclient.Client // nil until Connect

	gateway  *qualystest.Server
	service  *relay.Service
	token    secret.Value
	rejected atomic.Bool
}

// New starts the gateway and makes the relay. The caller closes the demo.
func New(now time.Time, note Note) (*Demo, error) {
	d := &Demo{}
	var err error
	d.gateway, err = listen(qualystest.Config{}, func(format string, args ...any) {
		d.rejected.Store(true)
		note(format, args...)
	})
	if err != nil {
		return nil, err
	}
	key := secret.NewKey()
	d.token, err = token.Claims{User: qualystest.User, Password: qualystest.Password}.Sign(key, now)
	if err == nil {
		d.service, err = newRelay(d.gateway.URL, key)
	}
	if err != nil {
		d.gateway.Close()
		return nil, err
	}
	return d, nil
}

// newRelay is the relay as it is deployed, but for the log, whose lines would hide the table, and the
// cache, which would hide what a question costs.
func newRelay(gateway string, key secret.Value) (*relay.Service, error) {
	settings := map[string]string{
		"SECRET_KEY": string(key), "API_URL": gateway, "PLATFORM_URL": platform, "LOG_LEVEL": "error",
		"SEARCH_CACHE": "0",
	}
	config, err := relay.ConfigFromEnv(func(name string) string { return settings[name] })
	if err != nil {
		return nil, err
	}
	config.Now = qualystest.StoryEnd // the dashboard shows the days until then
	return relay.New(config, accesslog.New(os.Stderr, config.LogLevel, ""))
}

// Close ends relay and gateway.
func (d *Demo) Close() {
	d.service.Close()
	d.gateway.Close()
}

// Handler serves the relay, and a page at every other path.
func (d *Demo) Handler(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", page)
	for _, path := range []string{relayclient.PathHealth, relayclient.PathObserve, relayclient.PathDeliberate,
		relayclient.PathRefer, relayclient.PathTiles, relayclient.PathTile, relayclient.PathTileData,
		relayclient.PathVersion, relayclient.PathWatchdog} {
		mux.Handle(path, d.service)
	}
	return mux
}

// Connect tells the demo where its handler is served.
func (d *Demo) Connect(base *url.URL) { d.Client = relayclient.New(base, d.token, time.Minute) }

// Rejected tells whether the gateway rejected a request of the relay.
func (d *Demo) Rejected() bool { return d.rejected.Load() }

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
	base, body := d.Client.Base.String(), fmt.Sprintf(` -d '[{"type":%q,"value":%q}]'`, o.Type, o.Value)
	fmt.Fprintf(w, "TOKEN=%s\n", string(d.token))
	for _, endpoint := range []struct{ path, body string }{
		{relayclient.PathHealth, ""}, {relayclient.PathObserve, body}, {relayclient.PathDeliberate, body},
		{relayclient.PathRefer, body}, {relayclient.PathTiles, ""},
		{relayclient.PathTile, ` -d '{"tile_id":"qualys-detections"}'`},
		{relayclient.PathTileData, ` -d '{"tile_id":"qualys-detections","period":"last_7_days"}'`},
	} {
		fmt.Fprintf(w, "curl -sX POST %s%s -H \"Authorization: Bearer $TOKEN\"%s%s\n",
			base, endpoint.path, endpoint.body, readable)
	}
	fmt.Fprintf(w, "curl -sX POST %s%s%s\n", base, relayclient.PathVersion, readable)
	fmt.Fprintf(w, "curl -s %s%s -H 'Health-Check: hello'%s\n", base, relayclient.PathWatchdog, readable)
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
