package qualys

import "time"

// Event is one EDR event as GET /ioc/events returns it, reduced to what the relay reads. Every part may be
// missing: an absent, null or oddly typed field leaves its zero value, and an unknown field is passed
// over. Texts are cut at 8 KiB.
type Event struct {
	ID           string `qualys:"id"`     // F_<agent>_<n>, or in history F_<uuid>_<d-m-yyyy>; may be empty
	Type         string `qualys:"type"`   // FILE, PROCESS, NETWORK, MUTEX, REGISTRY, or one not known yet
	Action       string `qualys:"action"` // CREATED, RUNNING, …; no full list is published
	TimeSeriesID string `qualys:"timeSeriesId"`
	Source       string `qualys:"eventSource"` // "EDR", "Anti-malware"

	Time          time.Time `qualys:"dateTime"`           // on the endpoint, else ProcessedTime, else zero
	ProcessedTime time.Time `qualys:"eventProcessedTime"` // at Qualys

	Score      Score       `qualys:"score"`
	Indicators []Indicator `qualys:"indicator2"` // entries without content are left out

	File     *File     `qualys:"file"`
	Process  *Process  `qualys:"process"`
	Network  *Network  `qualys:"network"`
	Registry *Registry `qualys:"registry"`
	Actor    *Actor    `qualys:"actor"`
	Asset    Asset     `qualys:"asset"`

	// Key tells events apart: the ID, or for an event that Qualys sends without one "sha256:" and the hash
	// of its JSON. Such an event that is sent twice has one key; two that differ in anything have two.
	Key    string
	Active bool // it came from the search with state=true
	Size   int  // bytes that the event takes in memory, an estimate
}

// Score is Qualys's 0 to 10 rating of an event or of an indicator. Its zero value is "not rated", never 0
// ("known good").
type Score struct {
	Value int
	Known bool
}

// Indicator is one entry of indicator2: what Qualys judged and how.
type Indicator struct {
	Score      Score  `qualys:"score"`
	SHA256     string `qualys:"sha256"`  // the file that the verdict is about; may be empty
	Verdict    string `qualys:"verdict"` // KNOWN, UNKNOWN, SUSPICIOUS, MALICIOUS, REMEDIATED, or a new one
	FamilyName string `qualys:"familyName"`
	ThreatName string `qualys:"threatName"`
	Category   string `qualys:"category"`
}

// File is the object of a FILE event.
type File struct {
	FullPath string `qualys:"fullPath"`
	Name     string `qualys:"fileName"`
	MD5      string `qualys:"md5"`
	SHA256   string `qualys:"sha256"`
}

// Process is the object of a PROCESS event, and the process that acted in a NETWORK or MUTEX event.
type Process struct {
	Name      string `qualys:"processName"`
	FullPath  string `qualys:"fullPath"`
	Arguments string `qualys:"arguments"`
	UserName  string `qualys:"userName"`
	PID       int64  `qualys:"pid"` // 0 where absent
	ParentPID int64  `qualys:"parentPid"`

	ProcessFile `qualys:"processFile"`
}

// ProcessFile is the image of a process.
type ProcessFile struct {
	SHA256 string `qualys:"sha256"`
	MD5    string `qualys:"md5"`
}

// Network is the connection of a NETWORK event. Only the addresses and the name are seen in published
// events; ports, protocol and direction are read where they are there under names in the same style.
type Network struct {
	LocalIP    string `qualys:"localIP"`
	RemoteIP   string `qualys:"remoteIP"`
	RemoteDNS  string `qualys:"remoteDns"`
	LocalPort  int64  `qualys:"localPort"`
	RemotePort int64  `qualys:"remotePort"`
	Protocol   string `qualys:"protocol"`
	Direction  string `qualys:"direction"`
}

// Registry is the object of a REGISTRY event. No published event shows its fields: the names are those of
// the search tokens registry.key, registry.value.name and registry.value.data, in the style of the others.
type Registry struct {
	Key       string `qualys:"key"`
	ValueName string `qualys:"valueName"`
	ValueData string `qualys:"valueData"`
}

// Actor is the process that caused a FILE event (events of 2025 and later).
type Actor struct {
	ProcessName   string `qualys:"processName"`
	ImageFullPath string `qualys:"imageFullPath"`
	ProcessID     int64  `qualys:"processId"`
}

// Asset is the endpoint on which the event happened.
type Asset struct {
	AgentID     string      `qualys:"agentId"`
	HostName    string      `qualys:"hostName"`
	NetBIOSName string      `qualys:"netBiosName"`
	FullOSName  string      `qualys:"fullOSName"`
	Platform    string      `qualys:"platform"`
	Interfaces  []Interface `qualys:"interfaces"` // entries without content are left out
}

// Interface is one network interface of an asset.
type Interface struct {
	IPAddress  string `qualys:"ipAddress"` // IPv4 or IPv6
	MACAddress string `qualys:"macAddress"`
}
