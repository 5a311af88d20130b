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

// source is the name of the source in every entity. Cisco's own relay for this product used it, and XDR
// users filter by it.
const source = "Qualys IOC"

// Map turns one event, found for o, into entities. huntingURL is the page of the Qualys console that
// shows the search; where it is empty or not a URL that CTIM accepts, the entities do without.
// Relationships join entities of the result only. The event is not changed.
func Map(o ctim.Observable, huntingURL string, e *qualys.Event) ctim.Entities {
	if e == nil {
		return ctim.Entities{}
	}
	m := newMapper(o, ctim.URI(huntingURL), e)
	out := ctim.Entities{Sighting: m.sighting(), Indicator: m.indicator(), Judgements: m.judgements()}
	out.Relationships = m.relationships(out)
	return out
}

// mapper is one event, the observable that it was found for, and what several entities need of them.
type mapper struct {
	asked      ctim.Observable
	normal     string        // of the asked value
	huntingURL string        // legal, or empty
	event      *qualys.Event // the asked observable in it is written as it was asked
	ids        []string      // external ids of the entities
	key        string        // tells events apart
	time       ctim.Time
	timestamp  ctim.Time
	score      qualys.Score
	severity   ctim.Severity
	level      string // see level; "" where the event has no known score

	file, process image
}

func newMapper(o ctim.Observable, huntingURL string, e *qualys.Event) mapper {
	m := mapper{
		asked: o, normal: o.Normal(), huntingURL: huntingURL,
		key: cmp.Or(e.Key, e.ID), time: ctim.TimeOf(e.Time), score: score(e),
	}
	m.severity, m.level = severity(m.score), level(e, m.score)
	// An entity is as old as Qualys's record of the event, or where that is missing, as the event.
	if m.timestamp = ctim.TimeOf(e.ProcessedTime); m.timestamp == "" {
		m.timestamp = m.time
	}
	if e.ID != "" {
		m.ids = []string{e.ID}
	}
	m.event = m.respell(e)
	if f := m.event.File; f != nil {
		m.file = m.image(f.SHA256, f.MD5)
	}
	if p := m.event.Process; p != nil {
		m.process = m.image(p.SHA256, p.MD5)
	}
	return m
}

// base is what every entity has. A relationship has nothing more: it is most of an answer's documents.
func base(k ctim.Kind, id string) ctim.Base {
	return ctim.Base{ID: id, Type: k, SchemaVersion: ctim.SchemaVersion, TLP: ctim.TLPAmber, Source: source}
}

// base is what the sighting, the indicator and the judgements have.
func (m *mapper) base(k ctim.Kind, id string) ctim.Base {
	b := base(k, id)
	b.SourceURI, b.Timestamp, b.ExternalIDs = m.huntingURL, m.timestamp, m.ids
	return b
}

// indicator is what Qualys rated. It is about the event alone, whatever was asked; an event without a
// rating has none.
func (m *mapper) indicator() *ctim.Indicator {
	if m.level == "" {
		return nil
	}
	confidence := ctim.ConfidenceHigh // as the judgements have it: what Qualys only suspects is Medium
	if strings.HasPrefix(m.level, "Suspicious") {
		confidence = ctim.ConfidenceMedium
	}
	return &ctim.Indicator{
		Base:        m.base(ctim.KindIndicator, ctim.NewID(ctim.KindIndicator, m.key)),
		Title:       m.indicatorTitle(),
		Description: ctim.Long(m.indicatorDescription()),
		Producer:    source,
		Severity:    m.severity,
		Confidence:  confidence,
		ValidTime:   ctim.ValidTime{Start: m.time},
		Tags:        tags(m.event.Indicators),
	}
}

// tags are the names that Qualys gave to the threat, each once.
func tags(entries []qualys.Indicator) []string {
	var out []string
	for i := range entries {
		for _, name := range [...]string{entries[i].ThreatName, entries[i].FamilyName, entries[i].Category} {
			if name = ctim.Short(strings.TrimSpace(name)); name != "" {
				out = addOnce(out, name)
			}
		}
	}
	return out
}

func (m *mapper) relationships(e ctim.Entities) []*ctim.Relationship {
	most := 2*len(e.Judgements) + 1
	all := make([]ctim.Relationship, 0, most) // in one piece of memory
	out := make([]*ctim.Relationship, 0, most)
	join := func(from, kind, to string) {
		id := ctim.DerivedID(ctim.KindRelationship, kind, from, to)
		all = append(all, ctim.Relationship{
			Base: base(ctim.KindRelationship, id), RelationshipType: kind, SourceRef: from, TargetRef: to,
		})
		out = append(out, &all[len(all)-1])
	}
	for _, j := range e.Judgements {
		if e.Indicator != nil {
			join(j.ID, ctim.RelationshipBasedOn, e.Indicator.ID)
		}
		if e.Sighting != nil {
			join(e.Sighting.ID, ctim.RelationshipBasedOn, j.ID)
		}
	}
	if e.Sighting != nil && e.Indicator != nil {
		join(e.Sighting.ID, ctim.RelationshipSightingOf, e.Indicator.ID)
	}
	return out
}

// addOnce appends v to vs unless it is there. The lists are a handful long.
func addOnce[T comparable](vs []T, v T) []T {
	if slices.Contains(vs, v) {
		return vs
	}
	return append(vs, v)
}
