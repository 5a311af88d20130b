package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/ctim/ctimschema"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/mapping"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	page      = "https://qualysguard.qualys.example/ioc/#/hunting?search=x"
	sha       = "b1f6c0ffee00112233445566778899aabbccddeeff00112233445566778899aa"
	md5       = "00112233445566778899aabbccddeeff"
	otherSHA  = "0ddba11000112233445566778899aabbccddeeff00112233445566778899aabb"
	remoteIP  = "203.0.113.66"
	remoteDNS = "c2.badger.example"
	path      = `C:\Users\ana\Downloads\invoice.exe`
)

var when = time.Date(2026, 5, 4, 9, 15, 30, 123_000_000, time.UTC)

func observable(t ctim.ObservableType, v string) ctim.Observable {
	return ctim.Observable{Type: t, Value: v}
}

func scored(n int) qualys.Score { return qualys.Score{Value: n, Known: true} }

func asset() qualys.Asset {
	return qualys.Asset{
		AgentID: "5b49017b-90dd-4a6d-92ea-000000000007", HostName: "ws-07.corp.example",
		NetBIOSName: "WS-07",
		FullOSName:  "Microsoft Windows 11 Enterprise 10.0.26100", Platform: "WINDOWS",
		Interfaces: []qualys.Interface{{IPAddress: "192.0.2.29", MACAddress: "00:00:5E:00:53:29"},
			{IPAddress: "2001:db8::29", MACAddress: "00:00:5E:00:53:29"}},
	}
}

func malicious() qualys.Indicator {
	return qualys.Indicator{
		Score: scored(8), SHA256: sha, Verdict: "MALICIOUS", FamilyName: "Badger",
		ThreatName: "Win32.Trojan.Badger", Category: "Trojan",
	}
}

// fileEvent is a complete event; tests change what they are about.
func fileEvent() *qualys.Event {
	return &qualys.Event{
		ID: "F_5b49017b-90dd-4a6d-92ea-000000000007_1529094529078014264", Type: "FILE", Action: "CREATED",
		TimeSeriesID: "F_2508c73e-2309-37e9-a049-000000000001_4-5-2026",
		Source:       "EDR", Time: when, ProcessedTime: when.Add(5 * time.Minute), Score: scored(8),
		Indicators: []qualys.Indicator{malicious()},
		File:       &qualys.File{FullPath: path, Name: "invoice.exe", MD5: md5, SHA256: sha},
		Actor: &qualys.Actor{ProcessName: "outlook.exe",
			ImageFullPath: `C:\Program Files\Office\outlook.exe`, ProcessID: 2864},
		Asset: asset(), Active: true, Size: 1500,
	}
}

func processEvent() *qualys.Event {
	e := fileEvent()
	e.ID, e.Type, e.Action, e.File, e.Actor = "P_5b49017b-90dd-4a6d-92ea-000000000007_77_4242", "PROCESS",
		"RUNNING", nil, nil
	e.Process = &qualys.Process{
		Name: "invoice.exe", FullPath: path, Arguments: path + " /quiet", UserName: `CORP\ana`, PID: 4242,
		ParentPID: 2864, ProcessFile: qualys.ProcessFile{SHA256: sha, MD5: md5},
	}
	return e
}

func networkEvent() *qualys.Event {
	e := processEvent()
	e.ID, e.Type, e.Action = "N_5b49017b-90dd-4a6d-92ea-000000000007_-99_4242", "NETWORK", "ESTABLISHED"
	e.Network = &qualys.Network{
		LocalIP: "192.0.2.29", RemoteIP: remoteIP, RemoteDNS: remoteDNS, LocalPort: 50123, RemotePort: 443,
		Protocol: "TCP", Direction: "OUTBOUND",
	}
	return e
}

func mutexEvent() *qualys.Event {
	e := processEvent()
	e.ID, e.Type, e.Action = "M_5b49017b-90dd-4a6d-92ea-000000000007_-8_4242", "MUTEX", ""
	return e
}

func registryEvent() *qualys.Event {
	e := processEvent()
	e.ID, e.Type, e.Action = "R_5b49017b-90dd-4a6d-92ea-000000000007_3", "REGISTRY", "SET"
	e.Registry = &qualys.Registry{Key: `HKCU\Software\Microsoft\Windows\CurrentVersion\Run`,
		ValueName: "Badger", ValueData: path}
	return e
}

// with changes an event and gives it back.
func with(e *qualys.Event, change func(*qualys.Event)) *qualys.Event {
	change(e)
	return e
}

// answer wraps what Map gave as the relay does.
func answer(entities ...ctim.Entities) []byte {
	b := ctim.NewBundle(0)
	for _, e := range entities {
		b.Add(e)
	}
	return envelope(b)
}

func envelope(b *ctim.Bundle) []byte {
	return slices.Concat([]byte(`{"data":`), bytes.Join(b.Parts(nil), nil), []byte("}"))
}

// requireSound holds what each result has to hold: it is CTIM, it names no id that it lacks, and it is
// the same each time.
func requireSound(t *testing.T, o ctim.Observable, huntingURL string, e *qualys.Event) ctim.Entities {
	t.Helper()
	printed := func() string {
		return fmt.Sprintf("%+v %+v %+v %+v %+v %+v", e, e.File, e.Process, e.Network, e.Registry, e.Actor)
	}
	before := printed()
	got := mapping.New(o, huntingURL).Map(e)
	require.Equal(t, before, printed(), "other requests read the same event")
	doc := answer(got)
	require.NoError(t, ctimschema.Validate("ObserveResponse", doc))
	again := mapping.New(o, huntingURL)
	for _, other := range []*qualys.Event{fileEvent(), networkEvent(), registryEvent()} {
		again.Map(other)
	}
	require.Equal(t, string(doc), string(answer(again.Map(e))), "whatever was mapped before")

	ids := map[string]bool{}
	note := func(id string) {
		require.False(t, ids[id], "said twice: %s", id)
		ids[id] = true
	}
	if got.Sighting != nil {
		note(got.Sighting.ID)
		require.True(t, unique(got.Sighting.Relations), "a relation is said twice")
		for _, target := range got.Sighting.Targets {
			require.NotEmpty(t, target.Observables)
			require.True(t, unique(target.Observables), "an observable is said twice")
		}
	}
	if got.Indicator != nil {
		note(got.Indicator.ID)
	}
	for _, j := range got.Judgements {
		note(j.ID)
		require.Contains(t, []ctim.ObservableType{ctim.ObservableMD5, ctim.ObservableSHA256},
			j.Observable.Type)
		if strings.EqualFold(strings.TrimSpace(o.Value), j.Observable.Value) && o.Type == j.Observable.Type {
			require.Equal(t, o.Value, j.Observable.Value, "the asked hash is written as it was asked")
		}
	}
	for _, r := range got.Relationships {
		require.True(t, ids[r.SourceRef] && ids[r.TargetRef], "%s names an id that is not there", r.ID)
	}
	for _, r := range got.Relationships {
		note(r.ID)
	}
	return got
}

func unique[T comparable](vs []T) bool {
	seen := make(map[T]bool, len(vs))
	for _, v := range vs {
		seen[v] = true
	}
	return len(seen) == len(vs)
}

func TestMapGolden(t *testing.T) {
	mutexAsked := observable(ctim.ObservableMutex, "badger-lock")
	ipAsked := observable(ctim.ObservableIP, remoteIP)
	shaAsked := observable(ctim.ObservableSHA256, sha)
	type test struct {
		name  string
		asked ctim.Observable
		url   string
		event *qualys.Event
	}
	tests := []test{
		{"type_file", shaAsked, page, fileEvent()},
		{"type_process", observable(ctim.ObservableProcessName, "invoice.exe"), page, processEvent()},
		{"type_network", ipAsked, page, networkEvent()},
		{"type_mutex", mutexAsked, page, mutexEvent()},
		{"type_registry", shaAsked, page, registryEvent()},
		{"type_unknown", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.Type,
				e.Action = "DeviceControl", ""
		})},

		{"score_out_of_range", shaAsked, page, with(fileEvent(),
			func(e *qualys.Event) { e.Score = scored(11) })},
		{"score_unknown", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.Score, e.Indicators = qualys.Score{}, []qualys.Indicator{{SHA256: sha, Verdict: "UNKNOWN"}}
		})},

		{"odd_no_asset", shaAsked, page, with(fileEvent(),
			func(e *qualys.Event) { e.Asset = qualys.Asset{} })},
		{"odd_no_time", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.Time,
				e.ProcessedTime = time.Time{}, time.Time{}
		})},
		{"odd_no_id", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.ID, e.Key = "",
				"sha256:00ff"
		})},
		{"odd_no_page", shaAsked, "", fileEvent()},
		{"odd_empty_event", shaAsked, page, &qualys.Event{}},
		{"odd_time_and_nothing_else", mutexAsked, page, &qualys.Event{Time: when}},
		{"odd_several_indicators", observable(ctim.ObservableMD5, md5), page, with(fileEvent(),
			func(e *qualys.Event) {
				e.Indicators = []qualys.Indicator{
					malicious(), {SHA256: otherSHA, Verdict: "UNKNOWN"}, malicious(), {Verdict: "SUSPICIOUS",
						Score: scored(5), ThreatName: "PUA.Badger", Category: "PUA"},
					{SHA256: sha, Verdict: "REMEDIATED", Score: scored(1)},
				}
			})},
		{"odd_many_indicators", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.File.Name, e.File.FullPath = "", "/home/ana/\u0646\u200c\u200dé.sh"
			e.Indicators = make([]qualys.Indicator, 13)
			for i := range e.Indicators {
				e.Indicators[i] = qualys.Indicator{SHA256: sha, Verdict: "SUSPICIOUS",
					ThreatName: fmt.Sprintf("Threat %d", i)}
			}
		})},
		{"odd_hash_of_another_file", shaAsked, page, with(fileEvent(),
			func(e *qualys.Event) { e.Indicators[0].SHA256 = strings.ToUpper(otherSHA) })},
		{"odd_folder_asked", observable(ctim.ObservableFilePath, `C:\Users\ana`), page, fileEvent()},
		{"odd_address_asked_and_no_hash", ipAsked, page, with(networkEvent(), func(e *qualys.Event) {
			e.Indicators[0].SHA256, e.Process.SHA256, e.Process.MD5 = "", "", ""
		})},
		{"odd_ipv6", observable(ctim.ObservableIPv6, "2001:db8::66"), page, with(networkEvent(),
			func(e *qualys.Event) {
				e.Network.LocalIP, e.Network.RemoteIP = "FE80::29%eth0", "2001:DB8:0::66"
				e.Asset.Interfaces = []qualys.Interface{{IPAddress: "fe80::29%eth0"},
					{IPAddress: "::ffff:192.0.2.29"}, {IPAddress: "no address"}, {IPAddress: "0.0.0.0"}}
			})},
		{"odd_invalid_hashes", observable(ctim.ObservableFileName, "invoice.exe"), page, with(fileEvent(),
			func(e *qualys.Event) {
				e.File.SHA256, e.File.MD5, e.Indicators[0].SHA256 = sha[:63]+"z", md5[:31], "n/a"
			})},
		{"odd_upper_case_hashes", observable(ctim.ObservableFileName, "INVOICE.EXE"), page,
			with(fileEvent(), func(e *qualys.Event) {
				e.File.SHA256, e.File.MD5 = strings.ToUpper(sha), strings.ToUpper(md5)
				e.Indicators[0].SHA256, e.Indicators[0].Verdict = strings.ToUpper(sha), "malicious"
			})},
		{"odd_year_of_the_clock_battery", shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.Time, e.ProcessedTime = time.Unix(-1, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		})},
		{"odd_hostile_strings", observable(ctim.ObservableFileName, "`<script>`"), page, with(fileEvent(),
			func(e *qualys.Event) {
				e.File.Name = "`<script>`"
				e.File.FullPath = "C:\\\u202egpj.exe\x00\u2028[link](javascript:alert(1))"
				e.Indicators[0].ThreatName = `<img src=x onerror="alert(1)">`
				e.Indicators[0].FamilyName = "a\nb\tc"
				e.Asset.NetBIOSName = "WS\x1b[31m-\u061c07\xff"
			})},
	}
	for score := 0; score <= 10; score++ {
		tests = append(tests, test{fmt.Sprintf("score_%02d", score), mutexAsked, page, with(mutexEvent(),
			func(e *qualys.Event) {
				e.Score, e.Indicators = scored(score), nil
			})})
	}
	for _, v := range []string{"KNOWN", "UNKNOWN", "SUSPICIOUS", "MALICIOUS", "REMEDIATED", "PONDERED", ""} {
		name := "verdict_" + strings.ToLower(v)
		if v == "" {
			name = "verdict_missing"
		}
		tests = append(tests, test{name, shaAsked, page, with(fileEvent(), func(e *qualys.Event) {
			e.Score, e.Indicators = qualys.Score{}, []qualys.Indicator{{SHA256: sha, Verdict: v}}
		})})
	}
	wanted := map[string]bool{"decoded.golden.json": true, "decoded_2025.golden.json": true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := answer(requireSound(t, tt.asked, tt.url, tt.event))
			requireGolden(t, tt.name, doc)
		})
		wanted[tt.name+".golden.json"] = true
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.golden.json"))
	require.NoError(t, err)
	for _, f := range files {
		assert.True(t, wanted[filepath.Base(f)], "no test has the golden file %s", f)
	}
}

func requireGolden(t *testing.T, name string, doc []byte) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, doc, "", " "))
	pretty.WriteByte('\n')
	file := filepath.Join("testdata", name+".golden.json")
	if *update {
		require.NoError(t, os.WriteFile(file, pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String())
}

func TestRow(t *testing.T) {
	host, what := mapping.Row(with(fileEvent(), func(e *qualys.Event) { e.File.Name = "a|`b`" }))
	assert.Equal(t, "`WS-07`", host)
	assert.Equal(t, "`File created: a¦'b'`", what)
	host, what = mapping.Row(&qualys.Event{})
	assert.Empty(t, host)
	assert.Equal(t, "`Event`", what)
}

// TestTheHouseProfile holds complete events to the schema's stricter profile, which wants a reason where
// the design allows an empty one, and links on relationships, which the design leaves out.
func TestTheHouseProfile(t *testing.T) {
	for name, e := range map[string]*qualys.Event{
		"file": fileEvent(), "process": processEvent(), "network": networkEvent(), "mutex": mutexEvent(),
		"registry": registryEvent(),
	} {
		t.Run(name, func(t *testing.T) {
			got := mapping.New(observable(ctim.ObservableSHA256, sha), page).Map(e)
			for profile, entity := range map[string]any{
				"profileSighting": got.Sighting, "profileIndicator": got.Indicator,
				"profileJudgement": got.Judgements[0],
			} {
				doc, err := json.Marshal(entity)
				require.NoError(t, err)
				assert.NoError(t, ctimschema.Validate(profile, doc))
			}
		})
	}
}

// TestSeverityAndTitlesFollowTheScore goes through each score and type. The entry's own score, which is
// another, does not count where the event has one.
func TestSeverityAndTitlesFollowTheScore(t *testing.T) {
	for _, tt := range []struct {
		score    qualys.Score
		severity string
		level    string // of an event without a verdict of MALICIOUS; "" is no indicator
	}{
		{scored(0), "None", "Known Good"},
		{scored(1), "High", "Remediated"},
		{scored(2), "Low", "Suspicious Low"},
		{scored(3), "Low", "Suspicious Low"},
		{scored(4), "Low", "Suspicious Low"},
		{scored(5), "Medium", "Suspicious Medium"},
		{scored(6), "Medium", "Suspicious Medium"},
		{scored(7), "Medium", "Suspicious Medium"},
		{scored(8), "High", "Malicious"},
		{scored(9), "High", "Malicious"},
		{scored(10), "High", "Malicious"},
		{scored(11), "Unknown", ""},
		{scored(-1), "Unknown", ""},
		{qualys.Score{}, "Unknown", ""},
	} {
		for typ, noun := range map[string]string{
			"FILE": " File", "PROCESS": " Process", "network": " Network", "Mutex": " Mutex",
			"REGISTRY":      " Registry",
			"DeviceControl": "", "UserControl": "", "": "",
		} {
			for _, verdict := range []string{"MALICIOUS", "malicious ", "SUSPICIOUS", "REMEDIATED",
				"KNOWN", ""} {
				t.Run(fmt.Sprintf("%d_%v_%s_%s", tt.score.Value, tt.score.Known, typ, verdict),
					func(t *testing.T) {
						e := with(fileEvent(), func(e *qualys.Event) {
							e.Type, e.Score, e.Indicators[0].Verdict, e.Indicators[0].Score = typ, tt.score,
								verdict, scored(3)
							if !tt.score.Known {
								e.Indicators[0].Score = qualys.Score{}
							}
							e.Process = processEvent().Process
						})
						got := mapping.New(observable(ctim.ObservableSHA256, sha), page).Map(e)
						assert.Equal(t, tt.severity, got.Sighting.Severity)
						require.Len(t, got.Judgements, 1)
						assert.Equal(t, tt.severity, got.Judgements[0].Severity)
						if tt.level == "" {
							assert.Nil(t, got.Indicator, "no indicator without a rating")
							return
						}
						level := tt.level
						if strings.HasPrefix(strings.ToUpper(verdict), "MALICIOUS") {
							level = "Malicious"
						}
						assert.Equal(t, tt.severity, got.Indicator.Severity)
						assert.Equal(t, level+noun+" event", got.Indicator.Title)
						assert.Equal(t, strings.HasPrefix(level, "Suspicious"),
							got.Indicator.Confidence == "Medium")
					})
			}
		}
	}
}

func TestDescriptionsTellTheRatingWithoutAScale(t *testing.T) {
	e := with(fileEvent(), func(e *qualys.Event) { e.Score = scored(7) })
	got := requireSound(t, observable(ctim.ObservableSHA256, sha), page, e)
	assert.Equal(t, "Qualys rated this event 7 of 10: `MALICIOUS`, `Win32.Trojan.Badger`.",
		got.Indicator.Description)
	assert.Equal(t, "Found by the SHA256 in the endpoint's current state, rated 7 of 10.\n\n"+
		"- Verdict: `MALICIOUS`, `Win32.Trojan.Badger`, family `Badger`, category `Trojan`, score 8\n"+
		"- File: `"+path+"`\n- Caused by: `C:\\Program Files\\Office\\outlook.exe` (process 2864)\n"+
		"- Agent: `5b49017b-90dd-4a6d-92ea-000000000007`\n- Reported by: `EDR`", got.Sighting.Description)
	for _, text := range []string{got.Indicator.Description, got.Sighting.Description} {
		assert.NotContains(t, text, "suspicious")
	}
}

func TestAnEventWithoutAScoreIsRatedByItsWorstEntry(t *testing.T) {
	e := with(fileEvent(), func(e *qualys.Event) {
		e.Score = qualys.Score{}
		e.Indicators = []qualys.Indicator{{Score: scored(3)}, {Score: scored(7)}, {Score: scored(99)}, {}}
	})
	got := requireSound(t, observable(ctim.ObservableSHA256, sha), page, e)
	assert.Equal(t, "Medium", got.Sighting.Severity)
	assert.Equal(t, "Suspicious Medium File event", got.Indicator.Title)
}

func TestVerdictsBecomeDispositions(t *testing.T) {
	for verdict, want := range map[string]struct {
		disposition ctim.Disposition
		name        string
		confidence  string
		resolution  string
	}{
		"KNOWN":      {1, "Clean", "High", "detected"},
		"UNKNOWN":    {5, "Unknown", "Low", "detected"},
		"SUSPICIOUS": {3, "Suspicious", "Medium", "detected"},
		"MALICIOUS":  {2, "Malicious", "High", "detected"},
		"REMEDIATED": {2, "Malicious", "High", "contained"},
		"remediated": {2, "Malicious", "High", "contained"},
		"PONDERED":   {5, "Unknown", "Low", "detected"},
		"":           {5, "Unknown", "Low", "detected"},
	} {
		t.Run("verdict "+verdict, func(t *testing.T) {
			e := with(fileEvent(), func(e *qualys.Event) { e.Indicators[0].Verdict = verdict })
			got := requireSound(t, observable(ctim.ObservableSHA256, sha), page, e)
			require.Len(t, got.Judgements, 1)
			j := got.Judgements[0]
			assert.Equal(t, want.disposition, j.Disposition)
			assert.Equal(t, want.name, j.DispositionName)
			assert.Equal(t, want.confidence, j.Confidence)
			assert.Equal(t, 90, j.Priority)
			assert.Equal(t, "Win32.Trojan.Badger", j.Reason)
			assert.Equal(t, want.resolution, got.Sighting.Resolution)
		})
	}
}

func TestResolutionIsNotContainedWhileSomethingIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name     string
		score    int
		verdicts []string
		want     string
	}{
		{"all of it was remediated", 1, []string{"REMEDIATED", "KNOWN"}, "contained"},
		{"only the score says so", 1, nil, "contained"},
		{"one malicious file is left", 8, []string{"REMEDIATED", "MALICIOUS"}, "detected"},
		{"one suspicious file is left", 1, []string{"SUSPICIOUS", "REMEDIATED"}, "detected"},
		{"nothing was remediated", 8, []string{"UNKNOWN"}, "detected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := with(fileEvent(), func(e *qualys.Event) {
				e.Score, e.Indicators = scored(tt.score), nil
				for _, v := range tt.verdicts {
					e.Indicators = append(e.Indicators, qualys.Indicator{Verdict: v})
				}
			})
			assert.Equal(t, tt.want, requireSound(t, observable(ctim.ObservableSHA256, sha), page,
				e).Sighting.Resolution)
		})
	}
}

func TestTheVerdictLandsOnWhatWasJudged(t *testing.T) {
	var (
		askedSHA  = observable(ctim.ObservableSHA256, sha)
		askedMD5  = observable(ctim.ObservableMD5, md5)
		askedName = observable(ctim.ObservableFileName, "Invoice.EXE")
		askedPath = observable(ctim.ObservableFilePath, strings.ToLower(path))
		folder    = observable(ctim.ObservableFilePath, `C:\Users\ana\Downloads`)
		ip        = observable(ctim.ObservableIP, remoteIP)
		mutex     = observable(ctim.ObservableMutex, "badger-lock")
		process   = observable(ctim.ObservableProcessName, "invoice.exe")
		upper     = observable(ctim.ObservableSHA256, strings.ToUpper(sha))
		isSHA     = askedSHA
		isOther   = observable(ctim.ObservableSHA256, otherSHA)
		isMD5     = askedMD5
		nothing   = ctim.Observable{}
	)
	hash := func(h string) func(*qualys.Event) {
		return func(e *qualys.Event) { e.Indicators[0].SHA256 = h }
	}
	noHash := hash("")
	noHashAtAll := func(e *qualys.Event) {
		noHash(e)
		if e.File != nil {
			e.File.SHA256, e.File.MD5 = "", ""
		}
		if e.Process != nil {
			e.Process.SHA256, e.Process.MD5 = "", ""
		}
	}
	for _, tt := range []struct {
		name   string
		event  *qualys.Event
		change func(*qualys.Event)
		asked  ctim.Observable
		want   ctim.Observable
	}{
		// The entry names the event's file.
		{"the file's SHA256 was asked for", fileEvent(), nil, askedSHA, askedSHA},
		{"the file's SHA256 was asked for in capitals", fileEvent(), nil, upper, upper},
		{"the file's MD5 was asked for", fileEvent(), nil, askedMD5, askedMD5},
		{"the file's name was asked for", fileEvent(), nil, askedName, isSHA},
		{"the file's full path was asked for", fileEvent(), nil, askedPath, isSHA},
		{"a folder above the file was asked for", fileEvent(), nil, folder, isSHA},
		{"a name of another file was asked for", fileEvent(), nil, observable(ctim.ObservableFileName,
			"invoice"), isSHA},
		{"the process that wrote the file was asked for", fileEvent(), nil,
			observable(ctim.ObservableProcessName, "outlook.exe"), isSHA},
		{"the process's name was asked for", processEvent(), nil, process, isSHA},
		{"the process's image was asked for by name", processEvent(), nil, askedName, isSHA},
		{"the process's image was asked for by MD5", processEvent(), nil, askedMD5, askedMD5},
		{"the process's image was asked for by path", processEvent(), nil, askedPath, isSHA},
		{"an address that the process called was asked for", networkEvent(), nil, ip, isSHA},
		{"an IPv6 address was asked for", networkEvent(), nil, observable(ctim.ObservableIPv6,
			"2001:db8::66"), isSHA},
		{"a domain was asked for", networkEvent(), nil, observable(ctim.ObservableDomain, remoteDNS), isSHA},
		{"a host name was asked for", networkEvent(), nil, observable(ctim.ObservableHostname, remoteDNS),
			isSHA},
		{"a mutex was asked for", mutexEvent(), nil, mutex, isSHA},
		{"the process of a connection was asked for", networkEvent(), nil, process, isSHA},
		{"the process of a connection was asked for by MD5", networkEvent(), nil, askedMD5, askedMD5},

		// The entry names another file.
		{"the hash is another file's and the SHA256 was asked for", fileEvent(), hash(otherSHA), askedSHA,
			isOther},
		{"the hash is another file's and the MD5 was asked for", fileEvent(), hash(otherSHA), askedMD5,
			isOther},
		{"the hash is another file's and the name was asked for", fileEvent(), hash(otherSHA), askedName,
			isOther},
		{"the hash is another file's and the path was asked for", fileEvent(), hash(otherSHA), askedPath,
			isOther},
		{"the hash is another file's and an address was asked for", networkEvent(), hash(otherSHA), ip,
			isOther},
		{"the hash is the asked one though the event's file is another", fileEvent(), hash(otherSHA),
			isOther, isOther},
		{"the event has no file to compare the hash with", networkEvent(),
			func(e *qualys.Event) { e.Process = nil }, askedMD5, isSHA},
		{"the hash comes in capitals", networkEvent(), hash(strings.ToUpper(otherSHA)), ip, isOther},

		// The entry names no hash.
		{"no hash, and the file's SHA256 was asked for", fileEvent(), noHash, askedSHA, askedSHA},
		{"no hash, and the file's MD5 was asked for", fileEvent(), noHash, askedMD5, askedMD5},
		{"no hash, and the file's name was asked for", fileEvent(), noHash, askedName, isSHA},
		{"no hash anywhere, and the file's name was asked for", fileEvent(), noHashAtAll, askedName,
			nothing},
		{"no hash anywhere, and the file's path was asked for", fileEvent(), noHashAtAll, askedPath,
			nothing},
		{"no hash, and a folder was asked for", fileEvent(), noHash, folder, isSHA},
		{"no hash, and the file has an MD5 only", fileEvent(),
			func(e *qualys.Event) { noHash(e); e.File.SHA256 = "" }, folder, isMD5},
		{"no hash, and the process of a connection was not judged", networkEvent(), noHash, ip, nothing},
		{"no hash, and the process of a connection was asked for by its hash", networkEvent(), noHash,
			askedSHA, nothing},
		{"no hash, and the process of a registry event was not judged", registryEvent(), noHash, askedSHA,
			nothing},
		{"no hash, and the process of a process event was", processEvent(), noHash, process, isSHA},
		{"no hash, and the process's MD5 was asked for", processEvent(), noHash, askedMD5, askedMD5},
		{"no hash, and the process of a mutex was not judged", mutexEvent(), noHash, mutex, nothing},
		{"a hash that is none counts as no hash", processEvent(), hash("n/a"), ip, isSHA},
		{"no hash anywhere, and an address was asked for", networkEvent(), noHashAtAll, ip, nothing},
		{"no hash anywhere, and a domain was asked for", networkEvent(), noHashAtAll,
			observable(ctim.ObservableDomain, remoteDNS), nothing},
		{"no hash anywhere, and a mutex was asked for", mutexEvent(), noHashAtAll, mutex, nothing},
		{"no hash anywhere, and a folder was asked for", fileEvent(), noHashAtAll, folder, nothing},
		{"no hash anywhere, and a hash was asked for", fileEvent(), noHashAtAll, askedSHA, nothing},
		{"no hash and nothing else, and a hash was asked for", &qualys.Event{Time: when,
			Indicators: []qualys.Indicator{{Verdict: "MALICIOUS"}}}, nil, askedMD5, nothing},
		{"no hash, and a process event whose process is not known brings a file", fileEvent(),
			func(e *qualys.Event) { noHash(e); e.Type = "PROCESS" }, ip, nothing},
		{"no hash, and the asked hash is the process's, not the file's", fileEvent(), func(e *qualys.Event) {
			noHashAtAll(e)
			e.Process = &qualys.Process{Name: "p.exe", ProcessFile: qualys.ProcessFile{SHA256: otherSHA}}
		}, isOther, nothing},
		{"no hash, and the event's file is not the asked one", fileEvent(), noHash, isOther, isSHA},
		{"no hash, and a process event brings a file as well", processEvent(), func(e *qualys.Event) {
			noHash(e)
			e.File = &qualys.File{SHA256: otherSHA}
		}, ip, isSHA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.event)
			}
			got := requireSound(t, tt.asked, page, tt.event)
			if tt.want == nothing {
				assert.Empty(t, got.Judgements)
				assert.NotNil(t, got.Sighting, "the sighting is given all the same")
				return
			}
			require.Len(t, got.Judgements, 1)
			assert.Equal(t, tt.want, got.Judgements[0].Observable)
		})
	}
}

func TestRelations(t *testing.T) {
	name, full := observable(ctim.ObservableFileName, "invoice.exe"), observable(ctim.ObservableFilePath,
		path)
	hash, sum := observable(ctim.ObservableSHA256, sha), observable(ctim.ObservableMD5, md5)
	process, ip, domain := observable(ctim.ObservableProcessName, "invoice.exe"),
		observable(ctim.ObservableIP, remoteIP), observable(ctim.ObservableDomain, remoteDNS)
	type triple struct {
		from ctim.Observable
		how  string
		to   ctim.Observable
	}
	image := []triple{{name, "File_Name_Of", hash}, {name, "File_Name_Of", sum}, {full, "File_Path_Of",
		hash}, {full, "File_Path_Of", sum}}
	acting := []triple{{name, "File_Name_Of", hash}, {full, "File_Path_Of", hash}}
	for _, tt := range []struct {
		name  string
		event *qualys.Event
		want  []triple
	}{
		{"a file has a name and a path", fileEvent(), image},
		{"a process runs a file", processEvent(), image},
		{"a process opens a mutex", mutexEvent(), acting},
		{"a process sets a registry value", registryEvent(), acting},
		{"a process calls an address", networkEvent(), []triple{
			{process, "Connected_To", ip}, {process, "Connected_To", domain}, {hash, "Connected_To", ip},
			{hash, "Connected_To", domain},
			{domain, "Resolved_To", ip},
		}},
		{"the address alone is known", with(networkEvent(), func(e *qualys.Event) {
			e.Network.RemoteDNS = remoteIP
			e.Process = &qualys.Process{Name: "invoice.exe"}
		}), []triple{{process, "Connected_To", ip}}},
		{"the name alone is known", with(networkEvent(), func(e *qualys.Event) {
			e.Network.RemoteIP = "::"
			e.Process = &qualys.Process{Name: "invoice.exe"}
		}), []triple{{process, "Connected_To", domain}}},
		{"the process is not known", with(networkEvent(), func(e *qualys.Event) { e.Process = nil }),
			[]triple{{domain, "Resolved_To", ip}}},
		{"a file and a process that are the same are reported once", with(processEvent(),
			func(e *qualys.Event) { e.File = fileEvent().File }), image},
		{"nothing is known", &qualys.Event{Time: when, Network: &qualys.Network{}, File: &qualys.File{},
			Process: &qualys.Process{}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []triple
			for _, r := range requireSound(t, ip, page, tt.event).Sighting.Relations {
				got = append(got, triple{r.Source, r.Relation, r.Related})
				assert.Equal(t, "Qualys IOC", r.Origin)
				if !strings.HasPrefix(r.Relation, "File_") { // of these, CTIM's open vocabulary knows nothing
					assert.NoError(t, ctimschema.Validate("relationVocabulary", []byte(`"`+r.Relation+`"`)))
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRelationshipsPointTheWayThatCTIMDefines(t *testing.T) {
	got := requireSound(t, observable(ctim.ObservableSHA256, sha), page, fileEvent())
	s, i, j := got.Sighting.ID, got.Indicator.ID, got.Judgements[0].ID
	var arrows []string
	for _, r := range got.Relationships {
		arrows = append(arrows, r.SourceRef+" "+r.RelationshipType+" "+r.TargetRef)
		require.NoError(t, ctimschema.Validate("relationshipVocabulary", []byte(`"`+r.RelationshipType+`"`)))
	}
	assert.Equal(t, []string{j + " based-on " + i, s + " based-on " + j, s + " sighting-of " + i}, arrows)
}

func TestIDsAreStable(t *testing.T) {
	asked := observable(ctim.ObservableSHA256, sha)
	one := mapping.New(asked, page).Map(fileEvent())
	assert.Equal(t, ctim.NewID(ctim.KindIndicator, fileEvent().ID), one.Indicator.ID)

	byName := mapping.New(observable(ctim.ObservableFileName, "invoice.exe"), page).Map(fileEvent())
	assert.Equal(t, one.Indicator.ID, byName.Indicator.ID, "an indicator is about the event")
	assert.NotEqual(t, one.Sighting.ID, byName.Sighting.ID, "a sighting is of what was asked for")
	assert.Equal(t, one.Judgements[0].ID, byName.Judgements[0].ID, "a judgement is about the file")

	elsewhere := mapping.New(asked, "https://qualysguard.other.example/").Map(fileEvent())
	assert.Equal(t, one.Sighting.ID, elsewhere.Sighting.ID, "the console's page does not define anything")

	nameless := func(key string) string {
		return mapping.New(asked, page).Map(with(fileEvent(), func(e *qualys.Event) {
			e.ID, e.Key = "",
				key
		})).Indicator.ID
	}
	assert.NotEqual(t, nameless("sha256:a"), nameless("sha256:b"),
		"an event without an id is known by its key")
}

func TestWithoutATimeTheJudgementStays(t *testing.T) {
	got := requireSound(t, observable(ctim.ObservableSHA256, sha), page, with(fileEvent(),
		func(e *qualys.Event) { e.Time = time.Time{} }))
	assert.Nil(t, got.Sighting)
	require.NotNil(t, got.Indicator)
	require.Len(t, got.Judgements, 1)
	assert.Equal(t, ctim.ValidTime{}, got.Judgements[0].ValidTime)
	require.Len(t, got.Relationships, 1)
	assert.Equal(t, got.Indicator.ID, got.Relationships[0].TargetRef)
}

func TestThePageIsLeftOutWhereCTIMRefusesIt(t *testing.T) {
	for _, url := range []string{"", "https://q.example/" + strings.Repeat("a", 2048),
		"javascript:alert(1)", "https://q.example/a b"} {
		got := requireSound(t, observable(ctim.ObservableSHA256, sha), url, fileEvent())
		assert.Empty(t, got.Sighting.SourceURI)
		assert.Empty(t, got.Sighting.ExternalReferences)
		assert.Empty(t, got.Indicator.SourceURI)
		assert.Empty(t, got.Judgements[0].SourceURI)
	}
}

func TestLongValuesStayWholeWhereCTIMLetsThem(t *testing.T) {
	name := strings.Repeat("n", 10_000)
	e := with(fileEvent(), func(e *qualys.Event) {
		e.File.Name, e.File.FullPath, e.Indicators[0].ThreatName, e.Asset.NetBIOSName = name, `C:\`+name,
			name, name
	})
	got := requireSound(t, observable(ctim.ObservableFileName, name), page, e)
	assert.Equal(t, name, got.Sighting.Observables[0].Value)
	assert.Equal(t, name, got.Sighting.Relations[0].Source.Value)
	assert.Equal(t, name, got.Sighting.Targets[0].Observables[0].Value)
	assert.Equal(t, name[:1024], got.Judgements[0].Reason)
	assert.Equal(t, name[:1024], got.Indicator.Tags[0])
	assert.Equal(t, name[:1024], got.Sighting.Context.FileCreate[0].FileName)
	assert.Len(t, got.Sighting.Context.FileCreate[0].FilePath, 2048)
	assert.Equal(t, "File created on "+name[:120]+"…: "+name[:120]+"…", got.Sighting.Title)
}

func TestVerdictOfMappedEventsIsCTIM(t *testing.T) {
	asked := observable(ctim.ObservableMD5, md5)
	var js []*ctim.Judgement
	m := mapping.New(asked, page) // its judgements outlast the next event
	for _, e := range []*qualys.Event{
		fileEvent(),
		with(fileEvent(), func(e *qualys.Event) {
			e.ID, e.Time, e.Indicators[0].Verdict = "F_later", e.Time.Add(time.Hour), "REMEDIATED"
		}),
		with(fileEvent(), func(e *qualys.Event) {
			e.ID, e.Time, e.Indicators[0].SHA256 = "F_another_file", e.Time.Add(2*time.Hour), otherSHA
		}),
	} {
		js = append(js, m.Map(e).Judgements...)
	}
	v, j := ctim.VerdictOf(asked, js)
	require.NotNil(t, v)
	assert.Equal(t, []string{"F_later"}, j.ExternalIDs)
	b := ctim.NewBundle(0)
	require.True(t, b.Add(ctim.Entities{Verdict: v, Judgements: []*ctim.Judgement{j}}))
	require.NoError(t, ctimschema.Validate("DeliberateResponse", envelope(b)))
}

// TestTheAskedThingHasOneSpelling asks for things in other spellings than the event's and looks for the
// event's in the whole answer.
func TestTheAskedThingHasOneSpelling(t *testing.T) {
	const sha, md5 = "b1f6c0ffee00112233445566778899aabbccddeeff00112233445566778899aa",
		"00112233445566778899aabbccddeeff"
	network := func(change func(*qualys.Network)) *qualys.Event {
		return with(networkEvent(), func(e *qualys.Event) { change(e.Network) })
	}
	for _, tt := range []struct {
		asked  ctim.Observable
		event  *qualys.Event
		absent string // the event's spelling; it is nowhere in the answer
		times  int    // that the asked spelling is there at least, in sighting, relations and judgement
	}{
		{observable(ctim.ObservableSHA256, strings.ToUpper(sha)), fileEvent(), sha, 4},
		{observable(ctim.ObservableSHA256, " "+strings.ToUpper(sha)+"\n"), processEvent(), sha, 4},
		{observable(ctim.ObservableSHA256, sha), with(networkEvent(), func(e *qualys.Event) {
			e.Process.SHA256, e.Indicators[0].SHA256 = strings.ToUpper(sha), strings.ToUpper(sha)
		}), strings.ToUpper(sha), 4},
		{observable(ctim.ObservableMD5, strings.ToUpper(md5)), fileEvent(), `"` + md5, 4},
		{observable(ctim.ObservableMD5, strings.ToUpper(md5)), with(fileEvent(),
			func(e *qualys.Event) { e.Indicators[0].SHA256 = "" }), `"` + md5, 4},
		{observable(ctim.ObservableFileName, "Invoice.EXE"), with(fileEvent(),
			func(e *qualys.Event) { e.File.FullPath = `C:\a` }), "invoice.exe", 4},
		{observable(ctim.ObservableFilePath, "c:/users/ANA/downloads/invoice.exe"), fileEvent(),
			strings.ReplaceAll(path, `\`, `\\`), 4},
		{observable(ctim.ObservableFilePath, `\\?\`+path),
			with(processEvent(), func(e *qualys.Event) { e.Process.Arguments = "" }),
			"`C:", 1},
		{observable(ctim.ObservableFilePath, "/opt/cafe\u0301"),
			with(fileEvent(), func(e *qualys.Event) { e.File.FullPath = "/opt/caf\u00e9" }),
			"caf\u00e9", 4},
		{observable(ctim.ObservableProcessName, "INVOICE.exe"), with(networkEvent(), func(e *qualys.Event) {
			e.Process.FullPath, e.Process.Arguments = "", ""
		}), "invoice.exe", 5},
		{observable(ctim.ObservableDomain, "C2.Badger.Example."), networkEvent(), "c2.badger.example", 4},
		{observable(ctim.ObservableHostname, "C2.badger.example"), networkEvent(), "c2.badger.example", 4},
		{observable(ctim.ObservableDomain, "m\u00fcnchen.example"),
			network(func(n *qualys.Network) { n.RemoteDNS = "xn--mnchen-3ya.example" }),
			"xn--", 4},
		{observable(ctim.ObservableIP, "::ffff:203.0.113.66"), networkEvent(), `"203.0.113.66"`, 4},
		{observable(ctim.ObservableIPv6, "2001:db8:0:0:0:0:0:66"),
			network(func(n *qualys.Network) { n.RemoteIP = "2001:db8::66" }),
			"2001:db8::66", 4},
		{observable(ctim.ObservableIPv6, "2001:db8::66"),
			network(func(n *qualys.Network) { n.RemoteIP = "2001:DB8:0:0:0:0:0:66" }),
			"2001:DB8", 4},
		{observable(ctim.ObservableIP, "::ffff:192.0.2.29"), networkEvent(), `"192.0.2.29"`, 3},
	} {
		t.Run(tt.asked.Value, func(t *testing.T) {
			got := requireSound(t, tt.asked, page, tt.event)
			doc := string(answer(got))
			assert.NotContains(t, doc, tt.absent)
			quoted, err := json.Marshal(tt.asked.Value)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, strings.Count(doc, strings.Trim(string(quoted), `"`)), tt.times)
			for _, r := range got.Sighting.Relations {
				for _, o := range []ctim.Observable{r.Source, r.Related} {
					if o.Value == tt.asked.Value {
						assert.Equal(t, tt.asked, o, "XDR joins by type and value")
					}
				}
			}
		})
	}
}

// TestAnAnswerOfAHundredEventsIsSmall holds the figure of the design with a page of Qualys's own console
// as the link.
func TestAnAnswerOfAHundredEventsIsSmall(t *testing.T) {
	const link = "https://qualysguard.qg2.apps.qualys.com/ioc/#/hunting?search=" +
		"file.hash.sha256%3A%20%22" + sha + "%22"
	b := ctim.NewBundle(0)
	for _, e := range hundred() {
		require.True(t, b.Add(mapping.New(observable(ctim.ObservableSHA256, sha), link).Map(e)))
	}
	require.Equal(t, 100, b.Counts()["sighting"])
	require.Equal(t, 100, b.Counts()["judgement"])
	assert.LessOrEqual(t, b.Len()/100, 5500)
}
