package qualys

import "time"

// Event is one EDR event as GET /ioc/events returns it, reduced to what the relay reads. Every part may be
// missing: an absent, null or oddly typed field leaves its zero value, and an unknown field is passed
// over. Texts are cut at 8 KiB.
type Event struct {
	ID           string `json:"id"`     // F_<agent>_<n>, or in history F_<uuid>_<d-m-yyyy>; may be empty
	Type         string `json:"type"`   // FILE, PROCESS, NETWORK, MUTEX, REGISTRY, or one not known yet
	Action       string `json:"action"` // CREATED, RUNNING, …; no full list is published
	TimeSeriesID string `json:"timeSeriesId"`
	Source       string `json:"eventSource"` // "EDR", "Anti-malware"

	Time          time.Time `json:"dateTime"`           // on the endpoint, else ProcessedTime, else zero
	ProcessedTime time.Time `json:"eventProcessedTime"` // at Qualys

	Score      Score       `json:"score"`
	Indicators []Indicator `json:"indicator2"` // entries without content are left out

	File     *File     `json:"file"`
	Process  *Process  `json:"process"`
	Network  *Network  `json:"network"`
	Registry *Registry `json:"registry"`
	Actor    *Actor    `json:"actor"`
	Asset    Asset     `json:"asset"`

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
	Score      Score  `json:"score"`
	SHA256     string `json:"sha256"`  // the file that the verdict is about; may be empty
	Verdict    string `json:"verdict"` // KNOWN, UNKNOWN, SUSPICIOUS, MALICIOUS, REMEDIATED, or a new one
	FamilyName string `json:"familyName"`
	ThreatName string `json:"threatName"`
	Category   string `json:"category"`
}

// File is the object of a FILE event.
type File struct {
	FullPath string `json:"fullPath"`
	Name     string `json:"fileName"`
	MD5      string `json:"md5"`
	SHA256   string `json:"sha256"`
}

// Process is the object of a PROCESS event, and the process that acted in a NETWORK or MUTEX event.
type Process struct {
	Name      string `json:"processName"`
	FullPath  string `json:"fullPath"`
	Arguments string `json:"arguments"`
	UserName  string `json:"userName"`
	PID       int64  `json:"pid"` // 0 where absent
	ParentPID int64  `json:"parentPid"`

	ProcessFile `json:"processFile"`
}

// ProcessFile is the image of a process.
type ProcessFile struct {
	SHA256 string `json:"sha256"`
	MD5    string `json:"md5"`
}

// Network is the connection of a NETWORK event. Only the addresses and the name are seen in published
// events; ports, protocol and direction are read where they are there under names in the same style.
type Network struct {
	LocalIP    string `json:"localIP"`
	RemoteIP   string `json:"remoteIP"`
	RemoteDNS  string `json:"remoteDns"`
	LocalPort  int64  `json:"localPort"`
	RemotePort int64  `json:"remotePort"`
	Protocol   string `json:"protocol"`
	Direction  string `json:"direction"`
}

// Registry is the object of a REGISTRY event. No published event shows its fields: the names are those of
// the search tokens registry.key, registry.value.name and registry.value.data, in the style of the others.
type Registry struct {
	Key       string `json:"key"`
	ValueName string `json:"valueName"`
	ValueData string `json:"valueData"`
}

// Actor is the process that caused a FILE event (events of 2025 and later).
type Actor struct {
	ProcessName   string `json:"processName"`
	ImageFullPath string `json:"imageFullPath"`
	ProcessID     int64  `json:"processId"`
}

// Asset is the endpoint on which the event happened.
type Asset struct {
	AgentID     string      `json:"agentId"`
	HostName    string      `json:"hostName"`
	NetBIOSName string      `json:"netBiosName"`
	FullOSName  string      `json:"fullOSName"`
	Platform    string      `json:"platform"`
	Interfaces  []Interface `json:"interfaces"` // entries without content are left out
}

// Interface is one network interface of an asset.
type Interface struct {
	IPAddress  string `json:"ipAddress"` // IPv4 or IPv6
	MACAddress string `json:"macAddress"`
}
