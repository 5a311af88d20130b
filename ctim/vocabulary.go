package ctim

import "strings"

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
	switch t {
	case ObservableIP, ObservableIPv6:
		return "IP"
	case ObservableMD5:
		return "MD5"
	case ObservableSHA256:
		return "SHA256"
	case ObservableMACAddress:
		return "MAC address"
	}
	return strings.ReplaceAll(string(t), "_", " ")
}

// Severity is how bad a thing is (CTIM severity; Critical and Info are never ours).
type Severity string

// Severities.
const (
	SeverityNone    Severity = "None"
	SeverityLow     Severity = "Low"
	SeverityMedium  Severity = "Medium"
	SeverityHigh    Severity = "High"
	SeverityUnknown Severity = "Unknown"
)

// Confidence is how sure the source is (CTIM HighMedLow).
type Confidence string

// Confidences.
const (
	ConfidenceLow    Confidence = "Low"
	ConfidenceMedium Confidence = "Medium"
	ConfidenceHigh   Confidence = "High"
)

// Disposition is the number of a judgement or a verdict. CTIM refuses an entity whose number and name
// disagree: take the name from [Disposition.Name].
type Disposition int

// Dispositions. Their order is also the order in which CTIM breaks ties between judgements.
const (
	DispositionClean      Disposition = 1
	DispositionMalicious  Disposition = 2
	DispositionSuspicious Disposition = 3
	DispositionCommon     Disposition = 4
	DispositionUnknown    Disposition = 5
)

// Name is the disposition_name that belongs to the number; a number outside CTIM's five is called Unknown.
func (d Disposition) Name() string {
	names := [...]string{"Unknown", "Clean", "Malicious", "Suspicious", "Common"}
	if d < 0 || int(d) >= len(names) {
		return names[0]
	}
	return names[d]
}

// Values of smaller vocabularies.
const (
	// TLPAmber keeps what is ours inside the organisation that asked (Traffic Light Protocol).
	TLPAmber = "amber"

	// SensorEndpoint is the sensor of every sighting and the type of every target: Qualys's agent sits on
	// endpoints.
	SensorEndpoint = "endpoint"

	// Resolutions of a sighting.
	ResolutionDetected  = "detected"
	ResolutionContained = "contained"

	// Relationships between entities. CTIM defines judgement based-on indicator, sighting based-on
	// judgement and sighting sighting-of indicator, each in that direction only
	// (doc/defined_relationships.md).
	RelationshipBasedOn    = "based-on"
	RelationshipSightingOf = "sighting-of"

	// Relations between the observables of a sighting. The first two are not in CTIM's (open) vocabulary,
	// but XDR users know them well.
	RelationFileNameOf  = "File_Name_Of"
	RelationFilePathOf  = "File_Path_Of"
	RelationConnectedTo = "Connected_To"
	RelationResolvedTo  = "Resolved_To"

	// Directions of [Traffic].
	DirectionIncoming = "incoming"
	DirectionOutgoing = "outgoing"
)
