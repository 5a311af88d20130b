package qualys_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// reference decodes as DecodeEvents does, slowly, over encoding/json's maps. It takes what encoding/json takes.
func reference(body []byte) ([]*qualys.Event, bool) {
	if len(bytes.Trim(body, " \t\r\n")) == 0 {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc any
	if !json.Valid(body) || d.Decode(&doc) != nil {
		return nil, false
	}
	list, ok := doc.([]any)
	if doc != nil && !ok {
		return nil, false
	}
	var events []*qualys.Event
	for _, v := range list {
		if o, ok := v.(map[string]any); ok {
			events = append(events, refEvent(o))
		}
	}
	return events, true
}

func refEvent(o map[string]any) *qualys.Event {
	e := &qualys.Event{
		ID: refString(o["id"]), Type: refString(o["type"]), Action: refString(o["action"]), TimeSeriesID: refString(o["timeSeriesId"]),
		Source: refString(o["eventSource"]), Time: qualys.ParseTime(refString(o["dateTime"])),
		ProcessedTime: qualys.ParseTime(refString(o["eventProcessedTime"])), Score: refScore(o["score"]),
	}
	for _, i := range refObjects(o["indicator2"]) {
		e.Indicators = append(e.Indicators, qualys.Indicator{
			Score: refScore(i["score"]), SHA256: refString(i["sha256"]), Verdict: refString(i["verdict"]),
			FamilyName: refString(i["familyName"]), ThreatName: refString(i["threatName"]), Category: refString(i["category"]),
		})
	}
	if f, ok := o["file"].(map[string]any); ok {
		e.File = &qualys.File{
			FullPath: refString(f["fullPath"]), Path: refString(f["path"]), Name: refString(f["fileName"]), Extension: refString(f["extension"]),
			MD5: refString(f["md5"]), SHA256: refString(f["sha256"]), Created: qualys.ParseTime(refString(f["createdDate"])),
		}
	}
	if p, ok := o["process"].(map[string]any); ok {
		image, _ := p["processFile"].(map[string]any)
		e.Process = &qualys.Process{
			Name: refString(p["processName"]), FullPath: refString(p["fullPath"]), Arguments: refString(p["arguments"]),
			UserName: refString(p["userName"]), PID: refInt(p["pid"]), ParentPID: refInt(p["parentPid"]),
			Elevated: p["elevated"] == true || p["elevated"] == "true", SHA256: refString(image["sha256"]), MD5: refString(image["md5"]),
		}
	}
	if n, ok := o["network"].(map[string]any); ok {
		e.Network = &qualys.Network{
			LocalIP: refString(n["localIP"]), RemoteIP: refString(n["remoteIP"]), RemoteDNS: refString(n["remoteDns"]),
			LocalPort: refInt(n["localPort"]), RemotePort: refInt(n["remotePort"]),
			Protocol: refString(n["protocol"]), Direction: refString(n["direction"]),
		}
	}
	if r, ok := o["registry"].(map[string]any); ok {
		e.Registry = &qualys.Registry{Key: refString(r["key"]), ValueName: refString(r["valueName"]), ValueData: refString(r["valueData"])}
	}
	if a, ok := o["actor"].(map[string]any); ok {
		e.Actor = &qualys.Actor{
			ProcessName: refString(a["processName"]), ImageFullPath: refString(a["imageFullPath"]), ProcessID: refInt(a["processId"]),
		}
	}
	a, _ := o["asset"].(map[string]any)
	e.Asset = qualys.Asset{
		AgentID: refString(a["agentId"]), HostName: refString(a["hostName"]), NetBIOSName: refString(a["netBiosName"]),
		FullOSName: refString(a["fullOSName"]), Platform: refString(a["platform"]),
	}
	for _, i := range refObjects(a["interfaces"]) {
		e.Asset.Interfaces = append(e.Asset.Interfaces, qualys.Interface{IPAddress: refString(i["ipAddress"]), MACAddress: refString(i["macAddress"])})
	}
	return e
}

func refObjects(v any) (objects []map[string]any) {
	list, _ := v.([]any)
	for _, v := range list {
		if o, ok := v.(map[string]any); ok && len(objects) < 256 {
			objects = append(objects, o)
		}
	}
	return objects
}

func refString(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func refInt(v any) int64 {
	s := refString(v)
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) <= 1<<53 && f == math.Trunc(f) {
		return int64(f)
	}
	return 0
}

func refScore(v any) qualys.Score {
	s := strings.TrimSpace(refString(v))
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "0123456789+-.eE") == "" && f >= 0 && f <= 10 && f == math.Trunc(f) {
		return qualys.Score{Value: int(f), Known: true}
	}
	return qualys.Score{}
}

// sizeless sets Size aside, which the reference does not know.
func sizeless(events []*qualys.Event) []*qualys.Event {
	for _, e := range events {
		e.Size = 0
	}
	return events
}

func published(t testing.TB) map[string][]byte {
	files, err := filepath.Glob("testdata/events/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	bodies := make(map[string][]byte)
	for _, f := range files {
		bodies[filepath.Base(f)], err = os.ReadFile(f)
		require.NoError(t, err)
	}
	return bodies
}

func TestDecodeReadsPublishedEvents(t *testing.T) {
	counts := map[string]int{
		"file-active.json": 5, "file-historical.json": 1, "file-2025.json": 1, "process-2025.json": 1,
		"file-snapshots.json": 11, "network-snapshots.json": 2, "mutex-snapshots.json": 2,
	}
	bodies := published(t)
	require.Len(t, bodies, len(counts))
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			got, err := qualys.DecodeEvents(body)
			require.NoError(t, err)
			assert.Len(t, got, counts[name])
			want, ok := reference(body)
			require.True(t, ok)
			assert.Equal(t, want, sizeless(got))
		})
	}
}

func TestDecodeReadsEveryField(t *testing.T) {
	active, err := qualys.DecodeEvents(published(t)["file-active.json"])
	require.NoError(t, err)
	assert.Equal(t, &qualys.Event{
		ID: "F_5b49017b-90dd-4a6d-92ea-7651bafdc1ec_1529094529078014264", Type: "FILE", Action: "CREATED",
		TimeSeriesID:  "F_2508c73e-2309-37e9-a049-d2b0e3a05036_17-3-2020",
		Time:          time.Date(2020, 3, 17, 12, 19, 31, 0, time.UTC),
		ProcessedTime: time.Date(2020, 3, 17, 12, 27, 36, 499_000_000, time.UTC),
		Score:         qualys.Score{Value: 0, Known: true},
		Indicators: []qualys.Indicator{{
			Score: qualys.Score{Known: true}, SHA256: "fee2396c1e6f6246b1dc3db83e78d8d4148628532fcd492a7bcf1d8e7a3195cd", Verdict: "KNOWN",
		}},
		File: &qualys.File{
			FullPath: `C:\ProgramData\Package Cache\{e2ee15e2-a480-4bc5-bfb7-e9803d1d9823}\VC_redist.x64.exe`,
			Path:     `C:\ProgramData\Package Cache\{e2ee15e2-a480-4bc5-bfb7-e9803d1d9823}`,
			Name:     "VC_redist.x64.exe", Extension: "exe", MD5: "f8c95675fca1370d5c0164584be6952a",
			SHA256:  "fee2396c1e6f6246b1dc3db83e78d8d4148628532fcd492a7bcf1d8e7a3195cd",
			Created: time.Date(2018, 10, 2, 19, 2, 54, 45_000_000, time.UTC),
		},
		Asset: qualys.Asset{
			AgentID: "5b49017b-90dd-4a6d-92ea-7651bafdc1ec", HostName: "WIN7-HOST-01", NetBIOSName: "WIN7-HOST-01", Platform: "WINDOWS",
			FullOSName: "Microsoft Windows 7 Enterprise 6.1.1130 Service Pack 1 Build 1130",
			Interfaces: []qualys.Interface{{IPAddress: "10.10.10.29"}, {IPAddress: "fe80::f183:4a7b:3ee8:1576"}},
		},
	}, sizeless(active)[0])

	others, err := qualys.DecodeEvents([]byte(`[{
		"eventSource": "EDR", "process": {"processName": "a.exe", "fullPath": "C:\\a.exe", "arguments": "a \"b\"", "userName": "ana", "pid": 7728,
		"parentPid": "7672", "elevated": true, "processFile": {"sha256": "ab", "md5": "cd"}},
		"network": {"localIP": "192.0.2.1", "remoteIP": "2001:db8::1", "remoteDns": "x.example", "localPort": 1, "remotePort": 443,
		"protocol": "TCP", "direction": "OUT"},
		"registry": {"key": "HKLM\\a", "valueName": "n", "valueData": "d"},
		"actor": {"processId": 2864, "processName": "b.exe", "imageFullPath": "C:\\b.exe"},
		"asset": {"interfaces": [{"ipAddress": "192.0.2.1", "macAddress": "00:00:5e:00:53:01"}]}
	}, {"registry": {"key": "HKCU", "value": {"name": "n2", "data": "d2"}}}]`))
	require.NoError(t, err)
	assert.Equal(t, []*qualys.Event{{
		Source: "EDR",
		Process: &qualys.Process{
			Name: "a.exe", FullPath: `C:\a.exe`, Arguments: `a "b"`, UserName: "ana", PID: 7728, ParentPID: 7672, Elevated: true,
			SHA256: "ab", MD5: "cd",
		},
		Network: &qualys.Network{
			LocalIP: "192.0.2.1", RemoteIP: "2001:db8::1", RemoteDNS: "x.example", LocalPort: 1, RemotePort: 443, Protocol: "TCP", Direction: "OUT",
		},
		Registry: &qualys.Registry{Key: `HKLM\a`, ValueName: "n", ValueData: "d"},
		Actor:    &qualys.Actor{ProcessName: "b.exe", ImageFullPath: `C:\b.exe`, ProcessID: 2864},
		Asset:    qualys.Asset{Interfaces: []qualys.Interface{{IPAddress: "192.0.2.1", MACAddress: "00:00:5e:00:53:01"}}},
	}, {Registry: &qualys.Registry{Key: "HKCU", ValueName: "n2", ValueData: "d2"}}}, sizeless(others))
}

func TestDecodeCountsTheBytesOfEachEvent(t *testing.T) {
	events := qualystest.Generate(1, 20, qualystest.Values{})
	got, err := qualys.DecodeEvents(qualystest.Body(events...))
	require.NoError(t, err)
	require.Len(t, got, len(events))
	for i, e := range got {
		assert.Equal(t, len(events[i].JSON()), e.Size)
	}
}

func TestDecodeTakesOddFields(t *testing.T) {
	score := func(n int) qualys.Event { return qualys.Event{Score: qualys.Score{Value: n, Known: true}} }
	tests := []struct {
		name, event string
		want        qualys.Event
	}{
		{"empty object", `{}`, qualys.Event{}},
		{"score is a string", `{"score":"7"}`, score(7)},
		{"score is a number", `{"score":10}`, score(10)},
		{"score is zero", `{"score":0}`, score(0)},
		{"score is a float", `{"score":7.0}`, score(7)},
		{"score is a float in a string", `{"score":" 7.0 "}`, score(7)},
		{"score has an exponent", `{"score":1e1}`, score(10)},
		{"score is null", `{"score":null}`, qualys.Event{}},
		{"score is empty", `{"score":""}`, qualys.Event{}},
		{"score is a word", `{"score":"high"}`, qualys.Event{}},
		{"score is between two", `{"score":7.5}`, qualys.Event{}},
		{"score is negative", `{"score":-1}`, qualys.Event{}},
		{"score is over ten", `{"score":11}`, qualys.Event{}},
		{"score is a list", `{"score":[7]}`, qualys.Event{}},
		{"score overflows", `{"score":1e999}`, qualys.Event{}},
		{"score is hexadecimal", `{"score":"0x7"}`, qualys.Event{}},
		{"id is a number", `{"id":12345678901234567890}`, qualys.Event{ID: "12345678901234567890"}},
		{"id is null", `{"id":null}`, qualys.Event{}},
		{"id is an object", `{"id":{"id":"x"}}`, qualys.Event{}},
		{"id is true", `{"id":true}`, qualys.Event{}},
		{"id has escapes", `{"id":"\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00"}`, qualys.Event{ID: "\"\\/\b\f\n\r\tAé😀"}},
		{"id has half a surrogate", `{"id":"\ud83dx\ude00"}`, qualys.Event{ID: "\ufffdx\ufffd"}},
		{"id ends in a backslash", `{"id":"C:\\"}`, qualys.Event{ID: `C:\`}},
		{"id is not UTF-8", "{\"id\":\"a\xff\xfeb\"}", qualys.Event{ID: "a\ufffd\ufffdb"}},
		{"id is given twice", `{"id":"a","id":"b"}`, qualys.Event{ID: "b"}},
		{"key has escapes", `{"\u0069d":"a"}`, qualys.Event{ID: "a"}},
		{"key is unknown", `{"_provenance":{"a":[1,{"b":null}],"c":"]}"},"id":"a"}`, qualys.Event{ID: "a"}},
		{"key differs in case", `{"ID":"a"}`, qualys.Event{}},
		{"file is null", `{"file":null}`, qualys.Event{}},
		{"file is a list", `{"file":[{"md5":"a"}]}`, qualys.Event{}},
		{"file is empty", `{"file":{}}`, qualys.Event{File: &qualys.File{}}},
		{"file is null after all", `{"file":{"md5":"a"},"file":null}`, qualys.Event{}},
		{"asset is null", `{"asset":null}`, qualys.Event{}},
		{"interfaces hold odd things", `{"asset":{"interfaces":[null,1,"x",[],{"ipAddress":"192.0.2.1"},{}]}}`,
			qualys.Event{Asset: qualys.Asset{Interfaces: []qualys.Interface{{IPAddress: "192.0.2.1"}, {}}}}},
		{"indicator2 is an object", `{"indicator2":{"verdict":"KNOWN"}}`, qualys.Event{}},
		{"indicator2 is empty", `{"indicator2":[]}`, qualys.Event{}},
		{"indicator2 holds odd things", `{"indicator2":[null,{"verdict":null,"score":"8"},7]}`,
			qualys.Event{Indicators: []qualys.Indicator{{Score: qualys.Score{Value: 8, Known: true}}}}},
		{"pid is a string", `{"process":{"pid":"12"}}`, qualys.Event{Process: &qualys.Process{PID: 12}}},
		{"pid is a word", `{"process":{"pid":"x"}}`, qualys.Event{Process: &qualys.Process{}}},
		{"elevated is a string", `{"process":{"elevated":"true"}}`, qualys.Event{Process: &qualys.Process{Elevated: true}}},
		{"elevated is a number", `{"process":{"elevated":1}}`, qualys.Event{Process: &qualys.Process{}}},
		{"time is in epoch milliseconds", `{"dateTime":1584447571123}`,
			qualys.Event{Time: time.Date(2020, 3, 17, 12, 19, 31, 123_000_000, time.UTC)}},
		{"time is in epoch milliseconds in a string", `{"dateTime":"1584447571123"}`,
			qualys.Event{Time: time.Date(2020, 3, 17, 12, 19, 31, 123_000_000, time.UTC)}},
		{"time is null", `{"dateTime":null}`, qualys.Event{}},
		{"white space is everywhere", " \n{ \"id\" :\t\"a\" ,\r\n\"file\" : { } } ", qualys.Event{ID: "a", File: &qualys.File{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := qualys.DecodeEvents([]byte("[" + tt.event + "]"))
			require.NoError(t, err)
			assert.Equal(t, []*qualys.Event{&tt.want}, sizeless(got))
		})
	}
}

func TestDecodePassesOverElementsThatAreNoEvents(t *testing.T) {
	got, err := qualys.DecodeEvents([]byte(`[null, 7, "x", true, [], [{"id":"inner"}], {"id":"a"}, null, {"id":"b"}]`))
	require.NoError(t, err)
	assert.Equal(t, []*qualys.Event{{ID: "a"}, {ID: "b"}}, sizeless(got))
}

func TestDecodeTakesNothingForNoEvents(t *testing.T) {
	for _, body := range []string{"", " \n", "null", " null ", "[]", "[ ]", "[null]"} {
		got, err := qualys.DecodeEvents([]byte(body))
		require.NoError(t, err, "%q", body)
		assert.Nil(t, got, "%q", body)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"object", `{"events":[]}`, "the answer is not a list"},
		{"string", `"no events"`, "the answer is not a list"},
		{"number", `12`, "the answer is not a list"},
		{"HTML", "<!DOCTYPE html><html></html>", "the answer is not JSON"},
		{"word", "Unauthorized", "the answer is not JSON"},
		{"word that starts like null", "not found", "the answer is not JSON"},
		{"list of words", "[error]", "the answer is not JSON"},
		{"trailing comma", `[{"id":"a"},]`, "the answer is not JSON"},
		{"missing comma", `[{"id":"a"} {"id":"b"}]`, "the answer is not JSON"},
		{"missing colon", `[{"id" "a"}]`, "the answer is not JSON"},
		{"key without quotes", `[{id:"a"}]`, "the answer is not JSON"},
		{"second list", `[] []`, "the answer is not JSON"},
		{"closed too often", `[]]`, "the answer is not JSON"},
		{"wrong bracket", `[}`, "the answer is not JSON"},
		{"open list", `[`, "the answer is cut short"},
		{"cut in a string", `[{"id":"F_`, "the answer is cut short"},
		{"cut behind an escape", `[{"id":"F_\"`, "the answer is cut short"},
		{"cut in a word", `[{"id":nul`, "the answer is cut short"},
		{"too many events", "[" + strings.Repeat("{},", 10_000) + "{}]", "the answer has too many events"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := qualys.DecodeEvents([]byte(tt.body))
			require.EqualError(t, err, tt.want)
			assert.Nil(t, got)
		})
	}
}

func TestDecodeRefusesEveryCut(t *testing.T) {
	body := qualystest.Body(qualystest.Story()[:2]...)
	for i := 1; i < len(body); i++ {
		_, err := qualys.DecodeEvents(body[:i])
		require.EqualError(t, err, "the answer is cut short", "after %d bytes: …%s", i, body[max(0, i-20):i])
	}
}

func TestDecodeTakesAnyDepth(t *testing.T) {
	for _, brackets := range []string{"[]", `{"a":}`} {
		half := len(brackets) - 1
		deep := strings.Repeat(brackets[:half], 100_000) + "1" + strings.Repeat(brackets[half:], 100_000)
		got, err := qualys.DecodeEvents([]byte(`[{"unknown":` + deep + `,"asset":` + deep + `,"id":"a"},` + deep + `]`))
		require.NoError(t, err)
		require.NotEmpty(t, got)
		assert.Equal(t, "a", got[0].ID)
	}
	_, err := qualys.DecodeEvents([]byte(strings.Repeat("[", 100_000)))
	require.EqualError(t, err, "the answer is cut short")
}

func TestDecodeBoundsTheParts(t *testing.T) {
	parts := strings.Repeat("{},", 1000) + "{}"
	got, err := qualys.DecodeEvents([]byte(`[{"indicator2":[` + parts + `],"asset":{"interfaces":[` + parts + `]}}]`))
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Len(t, got[0].Indicators, 256)
	assert.Len(t, got[0].Asset.Interfaces, 256)
}

func TestDecodedEventsDoNotKeepTheBodyAlive(t *testing.T) {
	body := []byte(`[{"id":"a","unknown":"` + strings.Repeat("x", 1<<20) + `","file":{"fullPath":"` + strings.Repeat("y", 1000) + `"}}]`)
	freed := make(chan struct{})
	runtime.AddCleanup(&body[0], func(freed chan struct{}) { close(freed) }, freed)
	got, err := qualys.DecodeEvents(body)
	require.NoError(t, err)
	body = nil
	for done := false; !done; {
		runtime.GC()
		select {
		case <-freed:
			done = true
		case <-t.Context().Done():
			t.Fatal("the body is still held")
		default:
			runtime.Gosched()
		}
	}
	assert.Nil(t, body)
	assert.Equal(t, "a", got[0].ID)
}

func FuzzDecodeEvents(f *testing.F) {
	for _, body := range published(f) {
		f.Add(body)
	}
	for _, e := range qualystest.Story() {
		f.Add(qualystest.Body(e))
	}
	for _, s := range []string{
		"", "null", "[]", "{}", "[null,{}]", `[{"id":"\ud83d\ude00\u00"}]`, "[{\"id\":\"\xff\\u12\"}]", `[{"score":"7.0","id":1e5}]`, "<html>",
		`[{"asset":{"interfaces":[{},null,{"ipAddress":1}]},"a":[[{}]]}]`, `[{"id":"a\\"},{"id":"\\\""}]`, `[{"file":{"a":1,"md5":null}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := qualys.DecodeEvents(body)
		want, ok := reference(body)
		if !ok {
			if json.Valid(body) {
				require.Error(t, err)
			}
			return // laxer than encoding/json
		}
		for _, v := range want { // the one thing that the reference reads otherwise: it has no nested form of a registry value
			if v.Registry != nil {
				return
			}
		}
		if strings.Count(string(body), "{") > 10_000 {
			return
		}
		require.NoError(t, err)
		if !reflect.DeepEqual(want, sizeless(got)) {
			assert.Equal(t, want, got)
		}
	})
}

// The events as a plain struct for encoding/json: what decoding would be without the decoder of this package.
type plainEvent struct {
	ID            string `json:"id"`
	Type          string `json:"type"`
	Action        string `json:"action"`
	TimeSeriesID  string `json:"timeSeriesId"`
	Source        string `json:"eventSource"`
	Time          string `json:"dateTime"`
	ProcessedTime string `json:"eventProcessedTime"`
	Score         string `json:"score"`
	Indicators    []struct {
		Score      int    `json:"score"`
		SHA256     string `json:"sha256"`
		Verdict    string `json:"verdict"`
		FamilyName string `json:"familyName"`
		ThreatName string `json:"threatName"`
		Category   string `json:"category"`
	} `json:"indicator2"`
	File *struct {
		FullPath  string `json:"fullPath"`
		Path      string `json:"path"`
		Name      string `json:"fileName"`
		Extension string `json:"extension"`
		MD5       string `json:"md5"`
		SHA256    string `json:"sha256"`
		Created   string `json:"createdDate"`
	} `json:"file"`
	Process *struct {
		Name      string `json:"processName"`
		FullPath  string `json:"fullPath"`
		Arguments string `json:"arguments"`
		UserName  string `json:"userName"`
		PID       int64  `json:"pid"`
		ParentPID int64  `json:"parentPid"`
		Elevated  bool   `json:"elevated"`
		Image     struct {
			SHA256 string `json:"sha256"`
			MD5    string `json:"md5"`
		} `json:"processFile"`
	} `json:"process"`
	Network *struct {
		LocalIP   string `json:"localIP"`
		RemoteIP  string `json:"remoteIP"`
		RemoteDNS string `json:"remoteDns"`
	} `json:"network"`
	Registry *struct {
		Key       string `json:"key"`
		ValueName string `json:"valueName"`
		ValueData string `json:"valueData"`
	} `json:"registry"`
	Actor *struct {
		ProcessName   string `json:"processName"`
		ImageFullPath string `json:"imageFullPath"`
		ProcessID     int64  `json:"processId"`
	} `json:"actor"`
	Asset struct {
		AgentID     string `json:"agentId"`
		HostName    string `json:"hostName"`
		NetBIOSName string `json:"netBiosName"`
		FullOSName  string `json:"fullOSName"`
		Platform    string `json:"platform"`
		Interfaces  []struct {
			IPAddress  string `json:"ipAddress"`
			MACAddress string `json:"macAddress"`
		} `json:"interfaces"`
	} `json:"asset"`
}

func BenchmarkDecode100(b *testing.B) {
	body := qualystest.Body(qualystest.Generate(7, 100, qualystest.Values{})...)
	b.Run("DecodeEvents", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if events, err := qualys.DecodeEvents(body); err != nil || len(events) != 100 {
				b.Fatal(len(events), err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var events []plainEvent
			if err := json.Unmarshal(body, &events); err != nil || len(events) != 100 {
				b.Fatal(len(events), err)
			}
		}
	})
}
