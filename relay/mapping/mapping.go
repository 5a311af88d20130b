// Package mapping turns Qualys events into CTIM entities. It is pure: no I/O, no clock, no randomness, so the same event gives the same bytes each
// time. It never fails: an event is mapped as far as its fields go, and an entity for which CTIM requires a field that the event lacks is left out.
//
// # What is judged
//
// Qualys judges files and the processes that run them. An analyst asks about addresses, domains, mutexes and folders too, and blocks what is called
// Malicious. So a judgement is about the asked observable only where that is the judged file itself; see judged in judgement.go.
//
// # Events without a time
//
// A sighting requires a time and is left out without one. An indicator and a judgement do not ("valid_time":{} is unbounded in CTIM): that Qualys
// called a hash malicious stays worth knowing, so they are given and joined to each other.
package mapping

import (
	"strconv"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// source is the name of the source in every entity, as Cisco's own relay for this product has it: XDR users filter by it.
const source = "Qualys IOC"

// Map turns one event, found for o, into entities. sourceURI is the page of the Qualys console that shows the search, or "". o.Type has to be one of
// CTIM's types. Relationships join entities of the result only.
func Map(o ctim.Observable, sourceURI string, e *qualys.Event) ctim.Entities {
	if e == nil {
		return ctim.Entities{}
	}
	m := newMapper(o, ctim.URI(sourceURI), e)
	out := ctim.Entities{Sighting: m.sighting(), Indicator: m.indicator(), Judgements: m.judgements()}
	out.Relationships = m.relationships(out)
	return out
}

// mapper is one event, the observable that it was found for, and what several entities need of them.
type mapper struct {
	asked ctim.Observable
	event *qualys.Event
	uri   string // already legal; may be empty
	key   string // what makes the event this one
	time  ctim.Time
	score qualys.Score
	rated string // what Qualys calls the score; "" where it is none

	common ctim.Base // of all its entities; without an id and a type
}

func newMapper(o ctim.Observable, uri string, e *qualys.Event) *mapper {
	m := &mapper{asked: o, event: e, uri: uri, key: e.ID, time: ctim.TimeOf(e.Time), score: score(e)}
	m.common = ctim.Base{SchemaVersion: ctim.SchemaVersion, TLP: ctim.TLPAmber, Source: source, SourceURI: uri}
	// An entity is as old as Qualys's record of the event, or where that is not told, as the event.
	if m.common.Timestamp = ctim.TimeOf(e.ProcessedTime); m.common.Timestamp.IsZero() {
		m.common.Timestamp = m.time
	}
	if rated(m.score) {
		m.rated = indicatorTitle(e.Type, m.score.Value)
	}
	if e.ID == "" {
		m.key = fingerprint(e)
	} else {
		m.common.ExternalIDs = []string{e.ID}
	}
	if uri != "" {
		m.common.ExternalReferences = []ctim.ExternalReference{{SourceName: source, Description: "The search in the Qualys console", URL: uri, ExternalID: e.ID}}
	}
	return m
}

// base is what every entity of the event has.
func (m *mapper) base(k ctim.Kind, id string) ctim.Base {
	b := m.common
	b.ID, b.Type = id, k
	return b
}

// indicator is what Qualys rated. It is about the event alone, whatever was asked; an event without a rating has none.
func (m *mapper) indicator() *ctim.Indicator {
	if m.rated == "" {
		return nil
	}
	return &ctim.Indicator{
		Base:             m.base(ctim.KindIndicator, ctim.NewID(ctim.KindIndicator, m.key)),
		Title:            m.rated,
		Description:      ctim.Long(m.indicatorDescription()),
		ShortDescription: "Qualys rated the event " + strconv.Itoa(m.score.Value) + " of 10",
		Producer:         source,
		Severity:         severity(m.score),
		Confidence:       indicatorConfidence(m.score.Value),
		ValidTime:        ctim.ValidTime{Start: m.time},
		Tags:             tags(m.event.Indicators),
	}
}

// tags are the names that Qualys gave to the threat, each once.
func tags(entries []qualys.Indicator) []string {
	var out []string
	for i := range entries {
		for _, name := range [...]string{entries[i].ThreatName, entries[i].FamilyName, entries[i].Category} {
			name = ctim.Short(strings.TrimSpace(name))
			if name != "" {
				out = addOnce(out, name)
			}
		}
	}
	return out
}

func (m *mapper) relationships(e ctim.Entities) []*ctim.Relationship {
	if len(e.Judgements) == 0 && (e.Sighting == nil || e.Indicator == nil) {
		return nil
	}
	most := 2*len(e.Judgements) + 1
	all := make([]ctim.Relationship, 0, most) // in one piece of memory
	out := make([]*ctim.Relationship, 0, most)
	join := func(from, kind, to string) {
		all = append(all, ctim.Relationship{
			Base:             m.base(ctim.KindRelationship, ctim.DerivedID(ctim.KindRelationship, kind, from, to)),
			RelationshipType: kind,
			SourceRef:        from,
			TargetRef:        to,
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

// fingerprint stands for the id of an event that has none: everything that sets one event apart from another, so that it too keeps its ids.
func fingerprint(e *qualys.Event) string {
	parts := []string{
		"event without id", e.Type, e.Action, e.TimeSeriesID, ctim.TimeOf(e.Time).String(), ctim.TimeOf(e.ProcessedTime).String(),
		e.Asset.AgentID, e.Asset.NetBIOSName, e.Asset.HostName,
	}
	if f := e.File; f != nil {
		parts = append(parts, "file", f.FullPath, f.Name, f.MD5, f.SHA256)
	}
	if p := e.Process; p != nil {
		parts = append(parts, "process", p.Name, p.FullPath, p.Arguments, strconv.FormatInt(p.PID, 10), p.SHA256)
	}
	if n := e.Network; n != nil {
		parts = append(parts, "network", n.LocalIP, strconv.FormatInt(n.LocalPort, 10), n.RemoteIP, strconv.FormatInt(n.RemotePort, 10), n.RemoteDNS)
	}
	if r := e.Registry; r != nil {
		parts = append(parts, "registry", r.Key, r.ValueName, r.ValueData)
	}
	for i := range e.Indicators {
		parts = append(parts, "indicator", e.Indicators[i].SHA256, e.Indicators[i].Verdict, e.Indicators[i].ThreatName)
	}
	return ctim.DerivedID(ctim.KindIndicator, parts...)
}

// addOnce appends v to vs unless it is there. The lists are a handful long.
func addOnce[T comparable](vs []T, v T) []T {
	for _, have := range vs {
		if have == v {
			return vs
		}
	}
	return append(vs, v)
}
