// Package demo is what shows the relay at work on one machine: a fake Qualys gateway that holds the story of a
// workstation that met malware, the relay in front of it, and what there is to ask.
package demo

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/relayclient"
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
	return qualystest.Listen(
		qualystest.Config{Addr: address, Users: map[string]string{User: Password}, Events: qualystest.Story()},
		func(format string, args ...any) { note("The fake gateway rejected a request: "+format, args...) })
}

// Relay makes the relay in front of a gateway, and a token of the gateway's user for it. It is as it is deployed
// but for its settings, and for the cache, which would hide what a question costs. It logs errors only.
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

// WriteCommands writes commands to paste, one for each endpoint of the relay at base.
func WriteCommands(w io.Writer, base *url.URL, token secret.Value) {
	readable := "" // what indents the answers, where this machine has such a program
	for _, formatter := range []string{"python3 -m json.tool", "jq ."} {
		name, _, _ := strings.Cut(formatter, " ")
		if _, err := exec.LookPath(name); err == nil {
			readable = " | " + formatter
		}
	}
	all := Observables()
	o := all[slices.IndexFunc(all, func(o ctim.Observable) bool { return o.Type == ctim.ObservableSHA256 })]
	const authorized = ` -H "Authorization: Bearer $TOKEN"`
	body := fmt.Sprintf(`%s -d '[{"type":%q,"value":%q}]'`, authorized, o.Type, o.Value)
	tile := authorized + ` -d '{"tile_id":"qualys-detections"`
	fmt.Fprintf(w, "TOKEN=%s\n", string(token))
	for _, c := range []struct{ method, path, rest string }{
		{"X POST", relayclient.PathHealth, authorized}, {"X POST", relayclient.PathObserve, body},
		{"X POST", relayclient.PathDeliberate, body}, {"X POST", relayclient.PathRefer, body},
		{"X POST", relayclient.PathTiles, authorized}, {"X POST", relayclient.PathTile, tile + "}'"},
		{"X POST", relayclient.PathTileData, tile + `,"period":"last_7_days"}'`},
		{"X POST", relayclient.PathVersion, ""}, {"", relayclient.PathWatchdog, " -H 'Health-Check: hello'"},
	} {
		fmt.Fprintf(w, "curl -s%s %s%s%s%s\n", c.method, base, c.path, c.rest, readable)
	}
}
