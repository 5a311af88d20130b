package ctim

import (
	"cmp"
	"strings"
)

// SchemaVersion is the release of CTIM that the entities are written against.
const SchemaVersion = "1.3.28"

// Kind is the type of an entity, as its "type" field and its id name it.
type Kind string

// The kinds of entity that the relay emits.
const (
	KindSighting     Kind = "sighting"
	KindIndicator    Kind = "indicator"
	KindJudgement    Kind = "judgement"
	KindRelationship Kind = "relationship"
	KindVerdict      Kind = "verdict"
)

// ObservableType is a type of CTIM's closed list of observables. The constants are those that the relay
// is asked about or emits.
type ObservableType string

// Types of observables.
const (
	ObservableIP          ObservableType = "ip"
	ObservableIPv6        ObservableType = "ipv6"
	ObservableDomain      ObservableType = "domain"
	ObservableHostname    ObservableType = "hostname"
	ObservableFileName    ObservableType = "file_name"
	ObservableFilePath    ObservableType = "file_path"
	ObservableMutex       ObservableType = "mutex"
	ObservableMD5         ObservableType = "md5"
	ObservableSHA256      ObservableType = "sha256"
	ObservableProcessName ObservableType = "process_name"
	ObservableMACAddress  ObservableType = "mac_address"
)

// Name is what a person calls the type: "IP", "file name", "SHA256". It fits into "Search for this …".
func (t ObservableType) Name() string {
	return cmp.Or(abbreviations[t], strings.ReplaceAll(string(t), "_", " "))
}

var abbreviations = map[ObservableType]string{
	ObservableIP: "IP", ObservableIPv6: "IP", ObservableMD5: "MD5", ObservableSHA256: "SHA256",
}

// Disposition is the number of a judgement or a verdict: 1 Clean, 2 Malicious, 3 Suspicious, 4 Common,
// 5 Unknown. That is also the order in which CTIM breaks ties between judgements. It refuses an entity
// whose number and name disagree.
type Disposition int
