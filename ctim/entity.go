package ctim

// Base is what every entity with an id carries. Type, ID and SchemaVersion are required.
type Base struct {
	ID                 string              `json:"id"`
	Type               Kind                `json:"type"`
	SchemaVersion      string              `json:"schema_version"`
	ExternalIDs        []string            `json:"external_ids,omitempty"`
	ExternalReferences []ExternalReference `json:"external_references,omitempty"`
	Timestamp          Time                `json:"timestamp,omitzero"`
	TLP                string              `json:"tlp,omitzero"`        // Traffic Light Protocol
	Source             string              `json:"source,omitzero"`     // at most 2048 characters
	SourceURI          string              `json:"source_uri,omitzero"` // as [URI] returns it
}

// Sighting says that something was seen at a time on an endpoint.
type Sighting struct {
	Base
	Title            string       `json:"title,omitzero"`       // at most 1024 characters
	Description      string       `json:"description,omitzero"` // Markdown, at most 5000 characters
	Confidence       string       `json:"confidence"`           // Low, Medium or High (CTIM HighMedLow)
	Count            int          `json:"count"`
	Internal         bool         `json:"internal"`
	Severity         string       `json:"severity,omitzero"` // None, Low, Medium, High or Unknown
	Resolution       string       `json:"resolution,omitzero"`
	Sensor           string       `json:"sensor,omitzero"`
	ObservedTime     ObservedTime `json:"observed_time"`
	ActivityInterval ObservedTime `json:"activity_interval,omitzero"` // when what was seen went on
	Observables      []Observable `json:"observables,omitempty"`
	Targets          []Target     `json:"targets,omitempty"`
	Relations        []Relation   `json:"relations,omitempty"`
	Data             *DataTable   `json:"data,omitzero"`
	Context          *Context     `json:"context,omitzero"`
}

// Indicator is the pattern that a sighting saw: here, what Qualys rated and how.
type Indicator struct {
	Base
	Title       string    `json:"title,omitzero"`
	Description string    `json:"description,omitzero"`
	Producer    string    `json:"producer"` // at most 1024 characters
	Severity    string    `json:"severity,omitzero"`
	Confidence  string    `json:"confidence,omitzero"`
	ValidTime   ValidTime `json:"valid_time"`
	Tags        []string  `json:"tags,omitempty"` // each at most 1024 characters
}

// Judgement is what a source thinks of one observable. It has neither title nor description.
type Judgement struct {
	Base
	Observable      Observable  `json:"observable"`
	Disposition     Disposition `json:"disposition"`
	DispositionName string      `json:"disposition_name"`
	Priority        int         `json:"priority"` // 0 to 100; by custom at most 90 for an automatic source
	Confidence      string      `json:"confidence"`
	Severity        string      `json:"severity"`
	Reason          string      `json:"reason"` // at most 1024 characters; may be empty
	ValidTime       ValidTime   `json:"valid_time"`
}

// Relationship joins two entities of the same answer by their ids. CTIM defines judgement based-on indicator,
// sighting based-on judgement and sighting sighting-of indicator, each in that direction only
// (doc/defined_relationships.md).
type Relationship struct {
	Base
	RelationshipType string `json:"relationship_type"`
	SourceRef        string `json:"source_ref"`
	TargetRef        string `json:"target_ref"`
}

// Verdict is the judgement that counts for an observable. It is no entity of its own: it has no id.
type Verdict struct {
	Type            Kind        `json:"type"`
	Disposition     Disposition `json:"disposition"`
	DispositionName string      `json:"disposition_name,omitzero"`
	Observable      Observable  `json:"observable"`
	JudgementID     string      `json:"judgement_id,omitzero"`
	ValidTime       ValidTime   `json:"valid_time"`
}

// ExternalReference points at more about an entity outside CTIM.
type ExternalReference struct {
	SourceName  string `json:"source_name"`
	Description string `json:"description,omitzero"`
	URL         string `json:"url,omitzero"`
}

// Target is the endpoint on which a sighting happened (CTIM IdentitySpecification).
type Target struct {
	Type         string       `json:"type"`
	Observables  []Observable `json:"observables"`
	ObservedTime ObservedTime `json:"observed_time"`
	OS           string       `json:"os,omitzero"`
}

// Relation is a fact that joins two observables: Source Relation Related, as in "a.exe File_Name_Of
// 0123…" (CTIM ObservedRelation). CTIM's vocabulary of relations is open.
type Relation struct {
	Origin   string     `json:"origin"`
	Relation string     `json:"relation"`
	Source   Observable `json:"source"`
	Related  Observable `json:"related"`
}

// DataTable is extra data of a sighting, one list for each row (CTIM SightingDataTable). Ours holds
// strings only.
type DataTable struct {
	Columns  []Column   `json:"columns"`
	Rows     [][]string `json:"rows"`
	RowCount int        `json:"row_count"`
}

// Column names one column of a [DataTable]. CTIM has no boolean type.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Entities is what one event gives, or the verdict on an observable with the judgement that it comes from.
// What is nil could not be filled.
type Entities struct {
	Sighting      *Sighting
	Indicator     *Indicator
	Judgements    []*Judgement
	Relationships []Relationship
	Verdict       *Verdict
}
