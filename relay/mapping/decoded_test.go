package mapping_test

import (
	_ "embed"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

//go:embed testdata/events.json
var wire []byte

//go:embed testdata/events_2025.json
var wire2025 []byte

// decoded is the events of a list as the client reads them, without those that it cannot read.
func decoded(t *testing.T, list []byte) []*qualys.Event {
	t.Helper()
	s := qualystest.New(t, qualystest.Config{})
	s.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(200, string(list))})
	client := qualys.NewClient(qualys.Options{})
	t.Cleanup(client.Close)
	page, err := client.Events(t.Context(), s.Tenant(), qualys.EventQuery{})
	require.NoError(t, err)
	return page.Events
}

// TestMapEventsOffTheWire follows events of the shapes of 2020 and 2025, from the gateway's JSON to one
// answer.
func TestMapEventsOffTheWire(t *testing.T) {
	events := decoded(t, wire)
	require.Len(t, events, 3, "one of them holds nothing but nulls")
	var all []ctim.Entities
	for _, e := range events {
		all = append(all, requireSound(t, observable(ctim.ObservableFileName, "invoice.exe"), page, e))
	}
	requireGolden(t, "decoded", answer(all...))
	assert.Equal(t, "Medium", all[1].Sighting.Severity, "rated by its entry alone")
	assert.Empty(t, all[2].Judgements, "nothing was judged that has a hash")
	assert.Equal(t, "Known Good Network event", all[2].Indicator.Title)
}

// TestMapEventsOf2025 follows events as Qualys sends them since 2025: scores that no longer tell
// suspicious from malicious, rated registry and mutex events, verdicts on a connection, hosts with one
// name, masked addresses.
func TestMapEventsOf2025(t *testing.T) {
	events := decoded(t, wire2025)
	require.Len(t, events, 8)
	var all []ctim.Entities
	var titles, hosts []string
	for _, e := range events {
		got := requireSound(t, observable(ctim.ObservableHostname, "x.example"), page, e)
		all = append(all, got)
		title := "none"
		if got.Indicator != nil {
			title = got.Indicator.Title
		}
		titles = append(titles, title)
		host := got.Sighting.Targets[0].OS + ":"
		for _, o := range got.Sighting.Targets[0].Observables {
			host += " " + o.Value
		}
		hosts = append(hosts, host)
	}
	requireGolden(t, "decoded_2025", answer(all...))
	assert.Equal(t, []string{
		"Malicious File event", "Malicious Registry event", "Malicious Mutex event",
		"Suspicious Medium File event",
		"Malicious File event", "none", "Malicious Network event", "Malicious event",
	}, titles)
	assert.Equal(t, []string{
		"Microsoft Windows 11 Pro 10.0.26100 64-bit: " +
			"FIN-31 fin-31.corp.example 192.0.2.31 00:00:5E:00:53:31",
		"Windows: FIN-31",
		": FIN-31",
		"LINUX: db-32 192.0.2.32 00:00:5E:00:53:32 fe80::250:56ff:fe00:5332",
		"LINUX: web-33 2001:db8::33 00:00:5E:00:53:33",
		"Windows: HR-34",
		"Windows: HR-34",
		": HR-34",
	}, hosts)
	assert.Equal(t, "Medium", all[0].Judgements[0].Severity)
	assert.Empty(t, all[2].Judgements, "the process that opened a mutex was not judged")
	assert.Equal(t, ctim.ObservableMD5, all[4].Judgements[0].Observable.Type)
	assert.Empty(t, all[6].Judgements, "a browser that was led to a phishing site was not judged")
}
