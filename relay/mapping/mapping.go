// Package mapping turns Qualys events into CTIM entities. It is pure: no I/O, no clock, no randomness, so
// the same event gives the same bytes each time. It never fails: an event is mapped as far as its fields
// go, and an entity for which CTIM requires a field that the event lacks is left out.
//
// # What is judged
//
// Qualys judges the contents of files. A file name, a path, an address or a mutex is not one file, and an
// analyst may block what is called Malicious. So a judgement is always about a hash; see judged in
// judgement.go.
//
// # Spelling
//
// The asked observable may be written in many ways: a hash in capitals, an address in its long form, a
// path with other slashes. Wherever an entity names it, it is written as it was asked: XDR joins equal
// values only.
//
// # Events without a time
//
// A sighting requires a time and is left out without one. An indicator and a judgement do not
// ("valid_time":{} is unbounded in CTIM): that Qualys called a hash malicious stays worth knowing, so
// they are given and joined to each other.
package mapping

import (
	"cmp"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

const (
	// source is the name of the source in every entity. Cisco's own relay for this product used it, and
	// XDR users filter by it.
	source = "Qualys IOC"
	// endpoint is the sensor of every sighting and the type of every target: Qualys's agent sits there.
	endpoint = "endpoint"
)

// columns of a sighting's data. CTIM has no boolean type.
var columns = []ctim.Column{{Name: "Active", Type: "string"}}

// Mapper maps the events that were found for one observable. It keeps what they share, and the memory for
// the one that is being mapped. It is not safe for concurrent use.
type Mapper struct {
	asked       ctim.Observable
	normal      string // of the asked value
	huntingURL  string // legal, or empty
	observables []ctim.Observable
	references  []ctim.ExternalReference
	data        ctim.DataTable // its one cell is the event's

	// Copies, in which the asked observable is written as it was asked. What the event points to is in the
	// fields behind it, each zero where it has none.
	event    qualys.Event
	entries  []qualys.Indicator
	file     qualys.File
	process  qualys.Process
	actor    qualys.Actor
	network  qualys.Network
	registry qualys.Registry

	fileHashes, processHashes hashes

	key       string   // tells events apart
	ids       []string // external ids of the entities
	time      ctim.Time
	timestamp ctim.Time
	noun      string  // see nouns
	verdict   verdict // that an analyst reads first, see worst
	score     qualys.Score
	severity  string
	level     string // see rating; "" where the event has no known score

	// Memory of the last result and of its texts, used again.
	lastSighting      ctim.Sighting
	lastIndicator     ctim.Indicator
	lastRelationships []ctim.Relationship
	text              prose
}

// New makes the mapper of o. huntingURL is the page of the Qualys console that shows the search; where it
// is empty or not a URL that CTIM accepts, the entities do without.
func New(o ctim.Observable, huntingURL string) *Mapper {
	m := &Mapper{
		asked: o, normal: o.Normal(), huntingURL: ctim.URI(huntingURL), observables: []ctim.Observable{o},
		data: ctim.DataTable{Columns: columns, Rows: [][]string{{""}}, RowCount: 1},
		text: make(prose, 0, 512),
	}
	if m.huntingURL != "" {
		m.references = []ctim.ExternalReference{{
			SourceName: source, Description: "The search in Qualys", URL: m.huntingURL,
		}}
	}
	return m
}

// Map turns one event into entities. Relationships join entities of the result only. The event is not
// changed. Apart from the judgements, the result holds until the next event is mapped.
func (m *Mapper) Map(e *qualys.Event) ctim.Entities {
	m.read(e)
	out := ctim.Entities{Sighting: m.sighting(), Indicator: m.indicator(), Judgements: m.judgements()}
	out.Relationships = m.relationships(out)
	return out
}

// read takes e in, and what several entities need of it.
func (m *Mapper) read(e *qualys.Event) {
	m.event, m.entries = *e, append(m.entries[:0], e.Indicators...)
	m.file = *cmp.Or(e.File, &qualys.File{})
	m.process = *cmp.Or(e.Process, &qualys.Process{})
	m.actor = *cmp.Or(e.Actor, &qualys.Actor{})
	m.network = *cmp.Or(e.Network, &qualys.Network{})
	m.registry = *cmp.Or(e.Registry, &qualys.Registry{})
	m.respell()
	m.fileHashes = m.hashes(m.file.SHA256, m.file.MD5)
	m.processHashes = m.hashes(m.process.SHA256, m.process.MD5)

	m.key, m.ids = cmp.Or(e.Key, e.ID), nil
	if e.ID != "" {
		m.ids = []string{e.ID}
	}
	// An entity is as old as Qualys's record of the event, or where that is missing, as the event.
	m.time = ctim.TimeOf(e.Time)
	m.timestamp = cmp.Or(ctim.TimeOf(e.ProcessedTime), m.time)
	m.noun = nouns[upper(e.Type)]
	m.verdict, m.score = verdictOf(worst(m.entries)), score(e)
	m.severity, m.level = rating(m.score)
	if m.level != "" && m.verdict == malicious { // since 2025 malware is rated from 4 on
		m.level = "Malicious"
	}
}

// base is what every entity has. A relationship has nothing more: it is most of an answer's documents. Amber
// keeps what is ours inside the organisation that asked.
func base(k ctim.Kind, id string) ctim.Base {
	return ctim.Base{ID: id, Type: k, SchemaVersion: ctim.SchemaVersion, TLP: "amber", Source: source}
}

// base is what the sighting, the indicator and the judgements have.
func (m *Mapper) base(k ctim.Kind, id string) ctim.Base {
	b := base(k, id)
	b.SourceURI, b.Timestamp, b.ExternalIDs = m.huntingURL, m.timestamp, m.ids
	return b
}

// indicator is what Qualys rated. It is about the event alone, whatever was asked; an event without a
// rating has none.
func (m *Mapper) indicator() *ctim.Indicator {
	if m.level == "" {
		return nil
	}
	confidence := "High" // as the judgements have it: what Qualys only suspects is Medium
	if strings.HasPrefix(m.level, "Suspicious") {
		confidence = "Medium"
	}
	m.lastIndicator = ctim.Indicator{
		Base:        m.base(ctim.KindIndicator, ctim.NewID(ctim.KindIndicator, m.key)),
		Title:       strings.Replace(m.level+" "+m.noun+" event", "  ", " ", 1), // there may be no noun
		Description: ctim.Long(m.indicatorDescription()),
		Producer:    source,
		Severity:    m.severity,
		Confidence:  confidence,
		ValidTime:   ctim.ValidTime{Start: m.time},
		Tags:        m.tags(),
	}
	return &m.lastIndicator
}

// tags are the names that Qualys gave to the threat, each once.
func (m *Mapper) tags() []string {
	out := slices.Grow(m.lastIndicator.Tags[:0], 3)
	for _, entry := range m.entries {
		for _, name := range [...]string{entry.ThreatName, entry.FamilyName, entry.Category} {
			out = addOnce(out, ctim.Short(strings.TrimSpace(name)))
		}
	}
	return out
}

func (m *Mapper) relationships(e ctim.Entities) []ctim.Relationship {
	out := slices.Grow(m.lastRelationships[:0], 2*len(e.Judgements)+1)
	join := func(from, kind, to string) {
		id := ctim.NewID(ctim.KindRelationship, kind, from, to)
		out = append(out, ctim.Relationship{
			Base: base(ctim.KindRelationship, id), RelationshipType: kind, SourceRef: from, TargetRef: to,
		})
	}
	for _, j := range e.Judgements {
		if e.Indicator != nil {
			join(j.ID, "based-on", e.Indicator.ID)
		}
		if e.Sighting != nil {
			join(e.Sighting.ID, "based-on", j.ID)
		}
	}
	if e.Sighting != nil && e.Indicator != nil {
		join(e.Sighting.ID, "sighting-of", e.Indicator.ID)
	}
	m.lastRelationships = out
	return out
}

// addOnce appends v to vs unless it is zero or there. The lists are a handful long.
func addOnce[T comparable](vs []T, v T) []T {
	if v == *new(T) || slices.Contains(vs, v) {
		return vs
	}
	return append(vs, v)
}
