package qualys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// read reads a list of these elements, and leaves out what only estimates or hashes.
func read(t *testing.T, elements ...string) qualys.Page {
	t.Helper()
	page, err := qualys.ReadEvents(t.Context(), strings.NewReader("["+strings.Join(elements, ",")+"]"), 1000)
	require.NoError(t, err)
	for _, e := range page.Events {
		assert.NotEmpty(t, e.Key)
		if e.ID != "" {
			assert.Equal(t, e.ID, e.Key)
		}
		assert.Positive(t, e.Size)
		e.Key, e.Size = "", 0
	}
	return page
}

func TestPublishedEventsAreRead(t *testing.T) {
	for _, name := range []string{
		"file-active", "file-historical", "file-2025", "process-2025", "file-snapshots", "mutex-snapshots", "network-snapshots",
	} {
		body, err := os.ReadFile("testdata/events/" + name + ".json")
		require.NoError(t, err)
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal(body, &list))
		page, err := qualys.ReadEvents(t.Context(), bytes.NewReader(body), 100)
		require.NoError(t, err)
		assert.Len(t, page.Events, len(list), name)
		assert.Zero(t, page.Unreadable)
		for _, e := range page.Events {
			assert.False(t, e.Time.IsZero())
			assert.NotEmpty(t, e.Type)
		}
	}
}

func TestEveryFieldIsRead(t *testing.T) {
	body, err := os.ReadFile("testdata/events/file-active.json")
	require.NoError(t, err)
	page, err := qualys.ReadEvents(t.Context(), bytes.NewReader(body), 100)
	require.NoError(t, err)
	const id = "F_5b49017b-90dd-4a6d-92ea-7651bafdc1ec_1529094529078014264"
	assert.Equal(t, &qualys.Event{
		ID: id, Key: id, Size: page.Events[0].Size, Type: "FILE", Action: "CREATED",
		TimeSeriesID:  "F_2508c73e-2309-37e9-a049-d2b0e3a05036_17-3-2020",
		Time:          time.Date(2020, 3, 17, 12, 19, 31, 0, time.UTC),
		ProcessedTime: time.Date(2020, 3, 17, 12, 27, 36, 499_000_000, time.UTC),
		Score:         qualys.Score{Value: 0, Known: true},
		Indicators: []qualys.Indicator{{
			Score: qualys.Score{Known: true}, Verdict: "KNOWN",
			SHA256: "fee2396c1e6f6246b1dc3db83e78d8d4148628532fcd492a7bcf1d8e7a3195cd",
		}},
		File: &qualys.File{
			FullPath: `C:\ProgramData\Package Cache\{e2ee15e2-a480-4bc5-bfb7-e9803d1d9823}\VC_redist.x64.exe`,
			Name:     "VC_redist.x64.exe", MD5: "f8c95675fca1370d5c0164584be6952a",
			SHA256: "fee2396c1e6f6246b1dc3db83e78d8d4148628532fcd492a7bcf1d8e7a3195cd",
		},
		Asset: qualys.Asset{
			AgentID: "5b49017b-90dd-4a6d-92ea-7651bafdc1ec", HostName: "WIN7-HOST-01", NetBIOSName: "WIN7-HOST-01",
			Platform: "WINDOWS", FullOSName: "Microsoft Windows 7 Enterprise 6.1.1130 Service Pack 1 Build 1130",
			Interfaces: []qualys.Interface{{IPAddress: "10.10.10.29"}, {IPAddress: "fe80::f183:4a7b:3ee8:1576"}},
		},
	}, page.Events[0])

	page = read(t, `{
		"eventSource": "EDR", "process": {"processName": "a.exe", "fullPath": "C:\\a.exe", "arguments": "a \"b\"", "userName": "ana",
		"pid": 7728, "parentPid": "7672", "elevated": true, "processFile": {"sha256": "ab", "md5": "cd", "path": "C:\\"}},
		"network": {"localIP": "192.0.2.1", "remoteIP": "2001:db8::1", "remoteDns": "x.example", "localPort": 1, "remotePort": 443,
		"protocol": "TCP", "direction": "OUT"},
		"registry": {"key": "HKLM\\a", "valueName": "n", "valueData": "d"},
		"actor": {"processId": 2864, "processName": "b.exe", "imageFullPath": "C:\\b.exe"},
		"asset": {"interfaces": [{"ipAddress": "192.0.2.1", "macAddress": "00:00:5e:00:53:01"}]}
	}`)
	assert.Equal(t, []*qualys.Event{{
		Source: "EDR",
		Process: &qualys.Process{
			Name: "a.exe", FullPath: `C:\a.exe`, Arguments: `a "b"`, UserName: "ana", PID: 7728, ParentPID: 7672,
			ProcessFile: qualys.ProcessFile{SHA256: "ab", MD5: "cd"},
		},
		Network: &qualys.Network{
			LocalIP: "192.0.2.1", RemoteIP: "2001:db8::1", RemoteDNS: "x.example", LocalPort: 1, RemotePort: 443, Protocol: "TCP",
			Direction: "OUT",
		},
		Registry: &qualys.Registry{Key: `HKLM\a`, ValueName: "n", ValueData: "d"},
		Actor:    &qualys.Actor{ProcessName: "b.exe", ImageFullPath: `C:\b.exe`, ProcessID: 2864},
		Asset:    qualys.Asset{Interfaces: []qualys.Interface{{IPAddress: "192.0.2.1", MACAddress: "00:00:5e:00:53:01"}}},
	}}, page.Events)
}

func TestOddFieldsLeaveTheOthers(t *testing.T) {
	score := func(n int) qualys.Event { return qualys.Event{Score: qualys.Score{Value: n, Known: true}} }
	process := func(pid int64) qualys.Event { return qualys.Event{Process: &qualys.Process{PID: pid}} }
	indicators := func(is ...qualys.Indicator) qualys.Event { return qualys.Event{Indicators: is} }
	tests := []struct {
		name, fields string
		want         qualys.Event
	}{
		{"score is a string", `"score":"7"`, score(7)},
		{"score is a number", `"score":10`, score(10)},
		{"score is zero", `"score":0`, score(0)},
		{"score is a float", `"score":7.0`, score(7)},
		{"score is a float in a string", `"score":" 7.0 "`, score(7)},
		{"score has an exponent", `"score":1e1`, score(10)},
		{"score is null", `"score":null`, qualys.Event{}},
		{"score is empty", `"score":""`, qualys.Event{}},
		{"score is a word", `"score":"NA"`, qualys.Event{}},
		{"score is between two", `"score":7.5`, qualys.Event{}},
		{"score is negative", `"score":-1`, qualys.Event{}},
		{"score is over ten", `"score":11`, qualys.Event{}},
		{"score is a list", `"score":[7]`, qualys.Event{}},
		{"score overflows", `"score":1e999`, qualys.Event{}},
		{"score is no number", `"score":"NaN"`, qualys.Event{}},
		{"text is a number", `"action":12345678901234567890`, qualys.Event{Action: "12345678901234567890"}},
		{"text is null", `"action":null`, qualys.Event{}},
		{"text is an object", `"action":{"id":"x"}`, qualys.Event{}},
		{"text is true", `"action":true`, qualys.Event{}},
		{"text has escapes", `"action":"\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00"`, qualys.Event{Action: "\"\\/\b\f\n\r\tAé😀"}},
		{"text has half a surrogate", `"action":"\ud83dx\ude00"`, qualys.Event{Action: "\ufffdx\ufffd"}},
		{"text is not UTF-8", "\"action\":\"a\xff\xfeb\"", qualys.Event{Action: "a\ufffd\ufffdb"}},
		{"a name twice", `"action":"a","action":"b"`, qualys.Event{Action: "b"}},
		{"an object twice", `"asset":{"hostName":"a"},"asset":{"netBiosName":"b"}`, qualys.Event{Asset: qualys.Asset{NetBIOSName: "b"}}},
		{"an object and null", `"file":{"fileName":"a"},"indicator2":[{"verdict":"KNOWN"}],"file":null,"indicator2":null`, qualys.Event{}},
		{"pid is a string", `"process":{"pid":"12"}`, process(12)},
		{"pid is a list", `"process":{"pid":[12]}`, process(0)},
		{"pid overflows", `"process":{"pid":99999999999999999999}`, process(0)},
		{"process is a list", `"process":[1]`, qualys.Event{}},
		{"process is null", `"process":null`, qualys.Event{}},
		{"process is empty", `"process":{}`, process(0)},
		{"process file is a text", `"process":{"processFile":"x","pid":1}`, process(1)},
		{"file is a text", `"file":"x"`, qualys.Event{}},
		{"file is null", `"file":null`, qualys.Event{}},
		{"network is a number", `"network":1`, qualys.Event{}},
		{"registry is false", `"registry":false`, qualys.Event{}},
		{"registry value is an object", `"registry":{"key":"k","valueName":{"name":"v"}}`, qualys.Event{Registry: &qualys.Registry{Key: "k"}}},
		{"actor is a list of objects", `"actor":[{"processId":1}]`, qualys.Event{}},
		{"asset is a text", `"asset":"x"`, qualys.Event{}},
		{"asset is null", `"asset":null`, qualys.Event{}},
		{"interfaces are an object", `"asset":{"hostName":"h","interfaces":{}}`, qualys.Event{Asset: qualys.Asset{HostName: "h"}}},
		{"interfaces without content", `"asset":{"interfaces":[null,3,{},{"ipAddress":""},{"ipAddress":"192.0.2.1"}]}`,
			qualys.Event{Asset: qualys.Asset{Interfaces: []qualys.Interface{{IPAddress: "192.0.2.1"}}}}},
		{"indicators are an object", `"indicator2":{"verdict":"KNOWN"}`, qualys.Event{}},
		{"indicators are null", `"indicator2":null`, qualys.Event{}},
		{"indicators without content", `"indicator2":[null,"x",[{}],{},{"score":"NA"},{"verdict":null},{"verdict":"KNOWN"},{"score":"3"}]`,
			indicators(qualys.Indicator{Verdict: "KNOWN"}, qualys.Indicator{Score: qualys.Score{Value: 3, Known: true}})},
		{"unknown fields", `"eventMetadata":{"a":[{"b":null}]},"_provenance":[[]]`, qualys.Event{}},
		{"data of another kind", `"data":"x","sortValues":{}`, qualys.Event{}},
		{"data beside an event", `"data":{"id":"inner"}`, qualys.Event{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := read(t, `{"id":"F_1",`+tt.fields+`,"type":"FILE"}`)
			require.Len(t, page.Events, 1)
			assert.Zero(t, page.Unreadable)
			tt.want.ID, tt.want.Type = "F_1", "FILE"
			assert.Equal(t, tt.want, *page.Events[0])
		})
	}
}

func TestWhatIsNoEventIsCounted(t *testing.T) {
	page := read(t, `null`, `7`, `"text"`, `true`, `[]`, `[{"id":"in a list"}]`, `{}`, `{"foo":1}`, `{"data":{}}`, `{"data":null}`,
		`{"data":{"data":{"id":"too deep"}}}`, `{"id":"F_1"}`, `{"asset":{"hostName":"no id"}}`, `{"sortValues":[1],"data":{"id":"F_2"}}`)
	assert.Equal(t, []string{"F_1", "", "F_2"}, ids(page))
	assert.Equal(t, 11, page.Unreadable)
	assert.False(t, page.Full)
	full, err := qualys.ReadEvents(t.Context(), strings.NewReader(`[null,{"id":"F_1"}]`), 2)
	require.NoError(t, err)
	assert.True(t, full.Full, "there may be more behind what cannot be read")
}

func TestEventsWithoutAnIDAreTwo(t *testing.T) {
	keys := func(body string) (keys []string) {
		page, err := qualys.ReadEvents(t.Context(), strings.NewReader(body), 10)
		require.NoError(t, err)
		for _, e := range page.Events {
			assert.Empty(t, e.ID)
			keys = append(keys, e.Key)
		}
		return keys
	}
	const a, b, c = `{"id":null,"type":"MUTEX","unknown":"a"}`, `{"id":null,"type":"MUTEX","unknown":"b"}`, `{"type":"FILE"}`
	both := keys("[" + a + "," + b + "," + c + "]")
	assert.Len(t, both, 3)
	assert.NotEqual(t, both[0], both[1], "they differ in what is not read")
	assert.NotEqual(t, both[0], both[2])
	assert.Equal(t, []string{both[1], both[0], both[1]}, keys(" [ "+b+" ,\n"+a+","+b+"]"), "wherever it stands, an event has its key")
}

func TestTimes(t *testing.T) {
	noon := time.Date(2026, 3, 17, 12, 0, 0, 0, time.UTC)
	day := time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		in   string
		want time.Time
	}{
		{`"2026-03-17T12:00:00.000+0000"`, noon},
		{`"2026-03-17T12:00:00.175+0000"`, noon.Add(175 * time.Millisecond)},
		{`"2026-03-17T12:00:00.175123+0000"`, noon.Add(175_123 * time.Microsecond)},
		{`"2026-03-17T12:00:00.123456789Z"`, noon.Add(123_456_789)},
		{`"2026-03-17T12:00:00,5Z"`, noon.Add(500 * time.Millisecond)},
		{`"2026-03-17T12:00:00+0000"`, noon},
		{`"2026-03-17T12:00:00Z"`, noon},
		{`"2026-03-17T17:30:00.000+05:30"`, noon},
		{`"2026-03-17T04:00:00.000-0800"`, noon},
		{`"2026-03-17T14:00:00+02"`, noon},
		{`"2026-03-17T12:00:00.000"`, noon},
		{`"2026-03-17 12:00:00"`, noon},
		{`"2026-03-17 14:00:00.000+0200"`, noon},
		{`" 2026-03-17t12:00:00z "`, noon},
		{`"2026-03-17T12:00Z"`, noon},
		{`"2026-03-17"`, day},
		{`"20260317T120000Z"`, noon},
		{`"17 March 2026"`, day},
		{`"17 mar 2026 12:00"`, noon},
		{`"March 17, 2026"`, day},
		{`"Mar 17, 2026 12:00:00 PM"`, noon},
		{`"17-Mar-2026 12:00:00"`, noon},
		{`"Tue, 17 Mar 2026 12:00:00 GMT"`, noon},
		{`"Tue, 17 Mar 2026 14:00:00 +0200"`, noon},
		{`"Tue Mar 17 12:00:00 2026"`, noon},
		{`1773748800`, noon},
		{`1773748800000`, noon},
		{`"1773748800000"`, noon},
		{`1773748800000000`, noon},
		{`1773748800000000000`, noon},
		{`1.7737488e12`, noon},
		{`"2024-02-29T00:00:00Z"`, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},

		{`""`, time.Time{}}, {`null`, time.Time{}}, {`{}`, time.Time{}}, {`true`, time.Time{}}, {`[1773748800000]`, time.Time{}},
		{`"yesterday at noon"`, time.Time{}}, {`"03/04/2026"`, time.Time{}}, {`"Tue, 17 Mar 2026 12:00:00 PST"`, time.Time{}},
		{`"2026-02-29T00:00:00Z"`, time.Time{}}, {`"2026-13-01T00:00:00Z"`, time.Time{}}, {`"2026-01-01T24:00:00Z"`, time.Time{}},
		{`"2026-01-01T00:00:00Zulu"`, time.Time{}}, {`"0000-06-01T00:00:00Z"`, time.Time{}},
		{`"9999-12-31T23:59:59-0100"`, time.Time{}}, {`20260317`, time.Time{}}, {`"20260317120000"`, time.Time{}}, {`0`, time.Time{}},
		{`-1773748800000`, time.Time{}}, {`9999999999999`, time.Time{}}, {`99999999999999999999999`, time.Time{}}, {`"Inf"`, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			assert.Equal(t, tt.want, read(t, `{"id":"1","dateTime":`+tt.in+`}`).Events[0].Time)
			processed := read(t, `{"id":"1","dateTime":`+tt.in+`,"eventProcessedTime":"2026-03-18T00:00:00Z"}`).Events[0]
			if tt.want.IsZero() {
				assert.Equal(t, processed.ProcessedTime, processed.Time, "the time at Qualys stands in")
			} else {
				assert.Equal(t, tt.want, processed.Time)
			}
		})
	}
}

func TestPartsAndTextsAreBounded(t *testing.T) {
	long := strings.Repeat("ü", 5000) + "x"
	page := read(t, `{"id":"1","process":{"arguments":"`+long+`"},"registry":{"valueData":"a`+long+`"},"indicator2":[`+
		strings.Repeat(`{"verdict":"KNOWN"},`, 1000)+`{"verdict":"MALICIOUS"}],"asset":{"interfaces":[`+strings.Repeat(`{"ipAddress":"192.0.2.1"},`, 1000)+`{}]}}`)
	e := page.Events[0]
	assert.Len(t, e.Indicators, 256)
	assert.Len(t, e.Asset.Interfaces, 256)
	assert.Equal(t, strings.Repeat("ü", 4096), e.Process.Arguments)
	assert.Equal(t, "a"+strings.Repeat("ü", 4095), e.Registry.ValueData, "no letter is cut in two")
}

// FuzzReadEvents holds the reader to encoding/json: both take the same bodies, and nothing of a list goes
// missing.
func FuzzReadEvents(f *testing.F) {
	for _, s := range []string{
		"", "null", "{}", "[]", "[null]", `[{"id":"F_1"},{"id":null}]`, `{"data":[{"id":"1"}]}`, `{"message":"no"}`, `[{"sortValues":[],"data":{"id":"1"}}]`,
		`[{"id":"\ud83d","dateTime":"17 March 2026"}]`, `[{"indicator2":[{},{"score":"7"}]}]`, "[1]]", `[{"id":1e5}`, "[\"\xff\"]",
	} {
		f.Add([]byte(s))
	}
	f.Add(qualystest.Body(qualystest.Story()[:3]...))
	f.Fuzz(func(t *testing.T, body []byte) {
		const size = 50
		page, err := qualys.ReadEvents(t.Context(), bytes.NewReader(body), size)
		var list []json.RawMessage
		isList := json.Unmarshal(body, &list) == nil && bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
		if err != nil {
			assert.False(t, isList && len(list) <= size, "%q: %v", body, err)
			return
		}
		assert.True(t, json.Valid(body), "%q", body)
		if isList {
			assert.Len(t, list, len(page.Events)+page.Unreadable)
			assert.Equal(t, len(list) == size, page.Full)
		}
		for _, e := range page.Events {
			assert.NotEmpty(t, e.Key)
			assert.GreaterOrEqual(t, e.Size, len(e.ID))
			assert.True(t, utf8.ValidString(e.ID+e.Type+e.Action))
			assert.True(t, e.Time.IsZero() || e.Time.Location() == time.UTC && e.Time.Year() >= 1 && e.Time.Year() <= 9999)
			assert.True(t, !e.Score.Known && e.Score.Value == 0 || e.Score.Value >= 0 && e.Score.Value <= 10)
			assert.LessOrEqual(t, len(e.Indicators), 256)
		}
	})
}

// TestKeyOfAnEventWithoutID: the same JSON has the same key wherever it stands, whether it is read in one
// pass or, since a field has an odd type, in two.
func TestKeyOfAnEventWithoutID(t *testing.T) {
	usual, odd := `{"type":"FILE"}`, `{"type":7,"process":{"pid":"1","x":[{}]}}`
	body := "{\"message\":\"\",\"data\":[ " + usual + "\n,\t" + odd + `,5,{"id":"F_1"},` + odd + " , " + usual + " ]}"
	page, err := qualys.ReadEvents(t.Context(), strings.NewReader(body), 10)
	require.NoError(t, err)
	assert.Equal(t, 1, page.Unreadable)
	var keys []string
	for _, e := range page.Events {
		keys = append(keys, e.Key)
	}
	sum := func(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }
	assert.Equal(t, []string{sum(usual), sum(odd), "F_1", sum(odd), sum(usual)}, keys)
}

func BenchmarkReadEvents100(b *testing.B) {
	body := qualystest.Body(qualystest.Generate(1, 100, qualystest.Values{})...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		page, err := qualys.ReadEvents(b.Context(), bytes.NewReader(body), 100)
		if err != nil || len(page.Events) != 100 {
			b.Fatal(err, len(page.Events))
		}
	}
}
