package qualys

import "time"

// Event is one EDR event as GET /ioc/events returns it, reduced to what the relay reads. Every part may be missing: an absent, null or oddly
// typed field leaves its zero value, and an unknown field is passed over.
type Event struct {
	ID           string // "F_<agent>_<n>" in the current state, "F_<uuid>_<d-m-yyyy>" in history; may be empty
	Type         string // FILE, PROCESS, NETWORK, MUTEX, REGISTRY, or one not known yet
	Action       string // CREATED, RUNNING, …; no full list is published
	TimeSeriesID string // on a current-state event: the id of the same occurrence in history
	Source       string // eventSource: "EDR", "Anti-malware"

	Time          time.Time // dateTime, on the endpoint; zero where absent or unreadable
	ProcessedTime time.Time // eventProcessedTime, at Qualys

	Score      Score
	Indicators []Indicator // indicator2

	File     *File
	Process  *Process
	Network  *Network
	Registry *Registry
	Actor    *Actor
	Asset    Asset

	Active bool // it came from the search with state=true
	Size   int  // bytes of its JSON as received
}

// Score is Qualys's 0 to 10 rating of an event or of an indicator. Its zero value is "not rated", never 0 ("known good").
type Score struct {
	Value int
	Known bool
}

// Indicator is one entry of indicator2: what Qualys judged and how.
type Indicator struct {
	Score      Score
	SHA256     string // the file that the verdict is about; may be empty
	Verdict    string // KNOWN, UNKNOWN, SUSPICIOUS, MALICIOUS, REMEDIATED, or one not known yet
	FamilyName string
	ThreatName string
	Category   string
}

// File is the object of a FILE event.
type File struct {
	FullPath  string
	Path      string // folder
	Name      string // fileName
	Extension string
	MD5       string
	SHA256    string
	Created   time.Time // createdDate
}

// Process is the object of a PROCESS event, and the process that acted in a NETWORK or MUTEX event.
type Process struct {
	Name      string // processName
	FullPath  string
	Arguments string
	UserName  string
	PID       int64 // 0 where absent
	ParentPID int64
	Elevated  bool
	SHA256    string // processFile.sha256
	MD5       string // processFile.md5
}

// Network is the connection of a NETWORK event. Only the addresses and the name are seen in published events; ports, protocol and direction are
// read where they are there under the names tried in decode.go.
type Network struct {
	LocalIP    string
	RemoteIP   string
	RemoteDNS  string
	LocalPort  int64
	RemotePort int64
	Protocol   string
	Direction  string
}

// Registry is the object of a REGISTRY event. No published event shows its fields: the names are those of the search tokens.
type Registry struct {
	Key       string
	ValueName string
	ValueData string
}

// Actor is the process that caused a FILE event (events of 2025 and later).
type Actor struct {
	ProcessName   string
	ImageFullPath string
	ProcessID     int64
}

// Asset is the endpoint on which the event happened.
type Asset struct {
	AgentID     string
	HostName    string
	NetBIOSName string
	FullOSName  string
	Platform    string
	Interfaces  []Interface
}

// Interface is one network interface of an asset.
type Interface struct {
	IPAddress  string // IPv4 or IPv6
	MACAddress string
}
