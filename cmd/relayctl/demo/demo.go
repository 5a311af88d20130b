// Package demo is what shows the relay at work on one machine: a fake Qualys gateway that holds the story of
// a workstation that met malware, the relay in front of it, and what there is to ask.
package demo

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/secret"
	"qualysrelay.example/cmd/relayctl/token"
	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys/qualystest"
	"qualysrelay.example/relay"
	"qualysrelay.example/relay/accesslog"
)

// The user of the gateway: short and without characters that a shell would read.
const (
	User     = "acme_ab1"
	Password = "glasswing"
)

// Gateway starts the fake gateway at a loopback address, and notes what it rejects. The caller closes it.
func Gateway(address string, note func(format string, args ...any)) (*qualystest.Server, error) {
	users := map[string]string{User: Password}
	return qualystest.Listen(qualystest.Config{Addr: address, Users: users, Events: qualystest.Story()},
		func(format string, args ...any) { note("The fake gateway rejected a request: "+format, args...) })
}

// Relay makes the relay in front of a gateway, as it is deployed but for these settings and the cache, which
// would hide what a question costs, and a token of the gateway's user for it. It logs errors only.
func Relay(gateway string, settings map[string]string, log io.Writer) (*relay.Service, secret.Value, error) {
	key := secret.NewKey()
	environment := map[string]string{"SECRET_KEY": string(key), "API_URL": gateway,
		"PLATFORM_URL": "https://qualysguard.example", "SEARCH_CACHE": "0"}
	maps.Copy(environment, settings)
	config, err := relay.ConfigFromEnv(func(name string) string { return environment[name] })
	if err != nil {
		return nil, "", err
	}
	config.Now = qualystest.StoryEnd // the dashboard shows the days until then
	signed, err := token.Claims{User: User, Password: Password}.Sign(key, time.Now())
	if err != nil {
		return nil, "", err
	}
	service, err := relay.New(config, accesslog.New(log, slog.LevelError, ""))
	return service, signed, err
}

// Observables are everything in the story that the relay can be asked about.
func Observables() (all []ctim.Observable) {
	for _, o := range qualystest.StoryObservables() {
		all = append(all, ctim.Observable{Type: ctim.ObservableType(o.Type), Value: o.Value})
	}
	return all
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

// commands has one for each endpoint: at RELAY, with the token in AUTH, about a FILE.
const commands = `curl -sX POST RELAY/health AUTH
curl -sX POST RELAY/observe/observables AUTH -d FILE
curl -sX POST RELAY/deliberate/observables AUTH -d FILE
curl -sX POST RELAY/refer/observables AUTH -d FILE
curl -sX POST RELAY/tiles AUTH
curl -sX POST RELAY/tiles/tile AUTH -d '{"tile_id":"qualys-detections"}'
curl -sX POST RELAY/tiles/tile-data AUTH -d '{"tile_id":"qualys-detections","period":"last_7_days"}'
curl -sX POST RELAY/version
curl -s RELAY/watchdog -H 'Health-Check: hello'
`

// WriteCommands writes commands to paste for the relay at base. Where jq is installed, it indents the
// answers.
func WriteCommands(w io.Writer, base *url.URL, token secret.Value) {
	end := "\n"
	if _, err := exec.LookPath("jq"); err == nil {
		end = " | jq .\n"
	}
	fmt.Fprintf(w, "TOKEN=%s\n", string(token))
	_, _ = strings.NewReplacer("RELAY", base.String(), "AUTH", `-H "Authorization: Bearer $TOKEN"`,
		"FILE", `'[{"type":"sha256","value":"`+qualystest.StoryObservables()[1].Value+`"}]'`, "\n", end).
		WriteString(w, commands)
}
