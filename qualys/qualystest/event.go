package qualystest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Event is one document of the fake gateway, and what a search finds it by. File, Process, Network, Mutex
// and Registry make one with an everyday asset, a date in 2026 and no verdict; its methods return changed
// copies:
//
//	qualystest.File(`C:\Users\ana\invoice.exe`, sha256, md5).
//		At("2026-03-04T09:15:00Z").Verdict("MALICIOUS", 8, "Win32.Worm.Kolab").Current()
type Event struct {
	// Fields maps each search token to the values that the event has for it. It is apart from the
	// document, since not all of them are in there: nobody knows in which field the name of a mutex is.
	Fields map[string][]string

	active bool
	time   time.Time
	doc    document
	raw    string // in place of doc
}

// document is an event as Qualys writes it.
type document struct {
	DateTime      string          `json:"dateTime,omitempty"`
	Score         json.RawMessage `json:"score,omitempty"`
	ProcessedTime string          `json:"eventProcessedTime,omitempty"`
	File          *fileDoc        `json:"file,omitempty"`
	Process       *processDoc     `json:"process,omitempty"`
	Network       *networkDoc     `json:"network,omitempty"`
	Registry      *registryDoc    `json:"registry,omitempty"`
	TimeSeriesID  string          `json:"timeSeriesId,omitempty"`
	Source        string          `json:"eventSource,omitempty"`
	Action        string          `json:"action,omitempty"`
	Indicators    []indicatorDoc  `json:"indicator2,omitempty"`
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Actor         *actorDoc       `json:"actor,omitempty"`
	Asset         assetDoc        `json:"asset"`
}

type fileDoc struct {
	FullPath  string `json:"fullPath"`
	Path      string `json:"path,omitempty"`
	Extension string `json:"extension,omitempty"`
	FileName  string `json:"fileName"`
	Created   string `json:"createdDate,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	MD5       string `json:"md5,omitempty"`
}

type processDoc struct {
	FullPath    string   `json:"fullPath,omitempty"`
	ProcessFile *fileDoc `json:"processFile,omitempty"`
	EventID     string   `json:"processEventId,omitempty"`
	Name        string   `json:"processName"`
	Elevated    bool     `json:"elevated"`
	ParentPID   int      `json:"parentPid,omitempty"`
	Arguments   string   `json:"arguments,omitempty"`
	PID         int      `json:"pid,omitempty"`
	UserName    string   `json:"userName,omitempty"`
}

type networkDoc struct {
	LocalIP   string `json:"localIP,omitempty"`
	RemoteIP  string `json:"remoteIP,omitempty"`
	RemoteDNS string `json:"remoteDns,omitempty"`
}

type registryDoc struct {
	Key       string `json:"key"`
	ValueName string `json:"valueName,omitempty"`
	ValueData string `json:"valueData,omitempty"`
}

type indicatorDoc struct {
	Score      *int   `json:"score,omitempty"` // a number here, a string at the event, as in the published ones
	SHA256     string `json:"sha256,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
	Verdict    string `json:"verdict"`
	ThreatName string `json:"threatName,omitempty"`
	Category   string `json:"category,omitempty"`
}

type actorDoc struct {
	ProcessID     int    `json:"processId"`
	ProcessName   string `json:"processName"`
	ImageFullPath string `json:"imageFullPath"`
}

type assetDoc struct {
	FullOSName       string         `json:"fullOSName"`
	HostName         string         `json:"hostName"`
	AgentID          string         `json:"agentId"`
	Interfaces       []interfaceDoc `json:"interfaces"`
	NetBIOSName      string         `json:"netBiosName"`
	LastLoggedOnUser string         `json:"lastLoggedOnUser,omitempty"`
	CustomerID       string         `json:"customerId"`
	Platform         string         `json:"platform"`
	AssetType        string         `json:"assetType,omitempty"`
	Tags             []tagDoc       `json:"tags,omitempty"`
}

type interfaceDoc struct {
	IPAddress  string `json:"ipAddress"`
	MACAddress string `json:"macAddress,omitempty"`
}

type tagDoc struct {
	Name string `json:"name"`
	ID   int    `json:"id"`
	UUID string `json:"uuid"`
}

// Host is an endpoint.
type Host struct {
	Name     string // also its NetBIOS name
	AgentID  string // a UUID; "" makes one of the name
	OS       string // "" is Windows 11
	Platform string // "" is WINDOWS
	User     string
	IPs      []string
	MACs     []string // of the first IPs
}

const customerID = "7b1f6a52-0d4e-4c39-9a55-3f2f0f6d8e11"

var everydayHost = Host{Name: "WS-EVERYDAY", User: `.\sam`, IPs: []string{"192.0.2.50"}}

// File makes a FILE event: the file was created.
func File(fullPath, sha256, md5 string) Event {
	e := event("FILE")
	e.doc.Action = "CREATED"
	e.doc.File = newFileDoc(fullPath, sha256, md5)
	e.field("file.fullPath", fullPath)
	e.field("file.name", e.doc.File.FileName)
	e.field("file.hash.sha256", sha256)
	e.field("file.hash.md5", md5)
	return e.on(everydayHost)
}

// Process makes a PROCESS event: the image at fullPath runs.
func Process(fullPath, arguments, sha256 string) Event {
	e := event("PROCESS")
	e.doc.Action = "RUNNING"
	image := newFileDoc(fullPath, sha256, "")
	e.doc.Process = &processDoc{
		FullPath: fullPath, ProcessFile: image, Name: image.FileName, Arguments: arguments, UserName: "sam",
		PID: 1000 + int(hash(fullPath, arguments)%60000), ParentPID: 812,
	}
	e.field("process.name", image.FileName)
	e.field("file.hash.sha256", sha256)
	return e.on(everydayHost)
}

// Network makes a NETWORK event: the process is connected. Empty values are left out.
func Network(processName, localIP, remoteIP, remoteDNS string) Event {
	e := event("NETWORK")
	e.doc.Action = "ESTABLISHED"
	e.doc.Process = &processDoc{Name: processName, PID: 1000 + int(hash(processName)%60000)}
	e.doc.Network = &networkDoc{LocalIP: localIP, RemoteIP: remoteIP, RemoteDNS: remoteDNS}
	e.field("process.name", processName)
	e.field("network.local.address.ip", localIP)
	e.field("network.remote.address.ip", remoteIP)
	e.field("network.remote.address.fqdn", remoteDNS)
	return e.on(everydayHost)
}

// Mutex makes a MUTEX event. The name is what it is found by, and not in the document.
func Mutex(name, processName string) Event {
	e := event("MUTEX")
	e.doc.Action = "RUNNING"
	e.doc.Process = &processDoc{Name: processName, PID: 1000 + int(hash(processName)%60000)}
	e.field("handle.name", name)
	e.field("process.name", processName)
	return e.on(everydayHost)
}

// Registry makes a REGISTRY event. No token that the relay searches by finds it, except through the
// process.
func Registry(key, valueName, valueData, processName string) Event {
	e := event("REGISTRY")
	e.doc.Action = "WRITTEN"
	e.doc.Registry = &registryDoc{Key: key, ValueName: valueName, ValueData: valueData}
	e.doc.Process = &processDoc{Name: processName, PID: 1000 + int(hash(processName)%60000)}
	e.field("process.name", processName)
	return e.on(everydayHost)
}

// Raw makes an event of the given document, sent as it is. Fields are pairs of a search token and a value.
// It is sorted as of the start of 2026.
func Raw(document string, fields ...string) Event {
	e := Event{raw: document, time: startOf2026}
	for i := 0; i+1 < len(fields); i += 2 {
		e.field(fields[i], fields[i+1])
	}
	return e
}

var startOf2026 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func event(kind string) Event {
	return Event{doc: document{Type: kind, Source: "EDR"}, time: startOf2026}
}

func (e *Event) field(name, value string) {
	if value == "" {
		return
	}
	fields := make(map[string][]string, len(e.Fields)+1)
	for k, v := range e.Fields {
		fields[k] = v
	}
	fields[name] = append(fields[name][:len(fields[name]):len(fields[name])], value)
	e.Fields = fields
}

// At sets the time, in RFC 3339. It panics where it is not.
func (e Event) At(at string) Event {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic("qualystest: " + err.Error())
	}
	e.time = t.UTC()
	return e
}

// On sets the endpoint.
func (e Event) On(h Host) Event { return e.on(h) }

func (e Event) on(h Host) Event {
	a := assetDoc{
		FullOSName: or(h.OS, "Microsoft Windows 11 Enterprise 10.0.26100 64-bit N/A Build 26100"),
		HostName:   h.Name, NetBIOSName: h.Name, Platform: or(h.Platform, "WINDOWS"),
		AgentID: or(h.AgentID, uuid("agent", h.Name)), LastLoggedOnUser: h.User, CustomerID: customerID,
		AssetType: "HOST", Tags: []tagDoc{
			{"Cloud Agent", 12552386, "0b61f0de-5d0a-4f2e-9b7e-6f6f3a4f1c01"},
			{"EDR", 13546632, "5a6cb0a4-9f0d-4b31-8f0c-0c5b1e8d7a02"},
		},
	}
	for i, ip := range h.IPs {
		n := interfaceDoc{IPAddress: ip}
		if i < len(h.MACs) {
			n.MACAddress = h.MACs[i]
		}
		a.Interfaces = append(a.Interfaces, n)
	}
	e.doc.Asset = a
	return e
}

// Verdict adds an entry to indicator2 and, for a score of 0 or more, sets the score of the event. The
// entry names the event's file or image.
func (e Event) Verdict(verdict string, score int, threat string) Event {
	i := indicatorDoc{Verdict: verdict, ThreatName: threat}
	if score >= 0 {
		i.Score = &score
		e.doc.Score = json.RawMessage(fmt.Sprintf(`"%d"`, score))
	}
	switch {
	case e.doc.File != nil:
		i.SHA256 = e.doc.File.SHA256
	case e.doc.Process != nil && e.doc.Process.ProcessFile != nil:
		i.SHA256 = e.doc.Process.ProcessFile.SHA256
	}
	if parts := strings.Split(threat, "."); threat != "" && len(parts) == 3 { // Win32.Worm.Kolab
		i.Category, i.FamilyName = parts[1], parts[2]
	}
	e.doc.Indicators = append(e.doc.Indicators[:len(e.doc.Indicators):len(e.doc.Indicators)], i)
	return e
}

// Judged sets the sha256 that the last entry of indicator2 is about: of the image behind a connection,
// say.
func (e Event) Judged(sha256 string) Event {
	is := append([]indicatorDoc(nil), e.doc.Indicators...)
	is[len(is)-1].SHA256 = sha256
	e.doc.Indicators = is
	return e
}

// Score sets the score of the event to any JSON: `"8"`, `8`, `null`; "" leaves it out.
func (e Event) Score(raw string) Event {
	e.doc.Score = json.RawMessage(raw)
	return e
}

// Action sets the action.
func (e Event) Action(action string) Event {
	e.doc.Action = action
	return e
}

// Image sets the process of a NETWORK, MUTEX or REGISTRY event to an image with a known path and hash.
func (e Event) Image(fullPath, sha256 string) Event {
	p := *e.doc.Process
	p.FullPath, p.ProcessFile = fullPath, newFileDoc(fullPath, sha256, "")
	e.doc.Process = &p
	e.field("file.hash.sha256", sha256)
	return e
}

// Actor sets the process that caused a FILE event.
func (e Event) Actor(imageFullPath string) Event {
	pid := 1000 + int(hash(imageFullPath)%60000)
	e.doc.Actor = &actorDoc{ProcessID: pid, ProcessName: base(imageFullPath), ImageFullPath: imageFullPath}
	return e
}

// ID sets the id. Without it the event has one made of its content, in Qualys's pattern for its type and
// dataset.
func (e Event) ID(id string) Event {
	e.doc.ID = id
	return e
}

// Current puts the event into the current state, which state=true searches. Without it, it is in the
// history.
func (e Event) Current() Event {
	e.active = true
	return e
}

// IsCurrent reports whether the event is in the current state.
func (e Event) IsCurrent() bool { return e.active }

// Both returns the event twice, as Qualys holds one that is still true: in the current state and in the
// history, where the first one's timeSeriesId names the second. An ID that was set is the first one's.
func (e Event) Both() []Event {
	past, now := e, e.Current()
	past.active = false
	past.doc.ID = e.historicalID()
	now.doc.ID = now.id()
	now.doc.TimeSeriesID = past.doc.ID
	return []Event{now, past}
}

// JSON returns the document as the server sends it.
func (e Event) JSON() []byte {
	if e.raw != "" {
		return []byte(e.raw)
	}
	d := e.doc
	d.ID = e.id()
	d.DateTime = e.time.Format(qualysTime)
	if e.active {
		d.ProcessedTime = e.time.Add(8 * time.Minute).Format(qualysTime)
		d.TimeSeriesID = or(d.TimeSeriesID, e.historicalID())
	} else {
		d.TimeSeriesID, d.Asset.Tags, d.Asset.AssetType, d.Asset.LastLoggedOnUser = "", nil, "", ""
	}
	b, err := json.Marshal(d)
	if err != nil { // only Score can be no JSON
		panic("qualystest: " + err.Error())
	}
	return b
}

// searchable is Fields, and the tokens that are not full text.
func (e Event) searchable() map[string][]string {
	fields := maps.Clone(e.Fields)
	if fields == nil {
		fields = make(map[string][]string)
	}
	fields[fieldTime] = []string{e.time.Format(rangeTime)}
	var doc struct {
		Type       any `json:"type"`
		Score      any `json:"score"`
		Indicators any `json:"indicator2"`
	}
	_ = json.Unmarshal(e.JSON(), &doc) // a raw document may be anything
	if t, ok := doc.Type.(string); ok {
		fields[fieldType] = []string{strings.ToLower(t)}
	}
	scores := []any{doc.Score}
	if list, ok := doc.Indicators.([]any); ok {
		for _, entry := range list {
			if m, ok := entry.(map[string]any); ok {
				scores = append(scores, m["score"])
			}
		}
	}
	for _, score := range scores {
		if score != nil {
			fields[fieldScore] = append(fields[fieldScore], fmt.Sprint(score))
		}
	}
	return fields
}

// qualysTime has an offset without a colon, which RFC 3339 does not allow.
const qualysTime = "2006-01-02T15:04:05.000-0700"

func (e Event) id() string {
	switch {
	case e.doc.ID != "":
		return e.doc.ID
	case !e.active:
		return e.historicalID()
	}
	number := int64(e.hash()) //nolint:gosec // Qualys's are signed too
	id := fmt.Sprintf("%c_%s_%d", e.doc.Type[0], e.doc.Asset.AgentID, number)
	if p := e.doc.Process; p != nil {
		id += fmt.Sprintf("_%d", p.PID)
	}
	return id
}

func (e Event) historicalID() string {
	day := fmt.Sprintf("%d-%d-%d", e.time.Day(), e.time.Month(), e.time.Year())
	return fmt.Sprintf("%c_%s_%s", e.doc.Type[0], uuid(fmt.Sprint(e.hash())), day)
}

// hash is of what makes the event the one it is.
func (e Event) hash() uint64 {
	d := e.doc
	object, _ := json.Marshal([]any{d.File, d.Process, d.Network, d.Registry, e.Fields["handle.name"]})
	return hash(d.ID, d.Type, d.Action, d.Asset.AgentID, e.time.String(), string(object))
}

// Body returns the answer that holds the events: a list of their documents.
func Body(events ...Event) []byte {
	b := []byte{'['}
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.JSON()...)
	}
	return append(b, ']')
}

func newFileDoc(fullPath, sha256, md5 string) *fileDoc {
	f := &fileDoc{FullPath: fullPath, FileName: base(fullPath), SHA256: sha256, MD5: md5}
	f.Created = startOf2026.Format(qualysTime)
	f.Path = strings.TrimRight(strings.TrimSuffix(fullPath, f.FileName), `\/`)
	if i := strings.LastIndexByte(f.FileName, '.'); i > 0 {
		f.Extension = f.FileName[i+1:]
	}
	return f
}

func base(path string) string { return path[strings.LastIndexAny(path, `\/`)+1:] }

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// digest is where all made-up ids and hashes come from.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

func hash(parts ...string) uint64 { return binary.BigEndian.Uint64(digest(parts...)) }

// uuid makes a made-up but stable UUID.
func uuid(parts ...string) string {
	d := digest(parts...)
	d[6], d[8] = d[6]&0x0f|0x30, d[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[0:4], d[4:6], d[6:8], d[8:10], d[10:16])
}
