// Package report reads an answer of observe as a person would: what it says about each observable, which
// events there were, and what it does not say. It writes that as a table, as CSV and as a list of events.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
)

// Report is an answer of observe.
type Report struct {
	Findings []Finding // one for each observable asked for, in that order
	Events   []*Event  // each once, however many observables found it; newest first
	Errors   []Error   // in the relay's order
}

// Finding is what is known about one observable.
type Finding struct {
	Observable ctim.Observable
	Skipped    string          // why it was not searched for; usually empty
	Incomplete bool            // something failed or was truncated: there may be more events
	Verdict    *ctim.Judgement // about the observable itself; nil where Qualys did not judge it

	hits []hit // newest first
}

// hit is an event that an observable found, and the sighting of it for that observable.
type hit struct {
	event    *Event
	sighting *ctim.Sighting
}

// Event is one thing that happened on an endpoint: the sightings of it, one for each observable that found
// it.
type Event struct {
	ID        string // Qualys's, else that of the sighting
	Active    bool   // it is part of the current state
	Hosts     []string
	Judged    *ctim.Judgement // nil where Qualys judged nothing
	Sightings []*ctim.Sighting

	judgements []*ctim.Judgement // that the sightings are based on
}

// Error is an error as the relay sent it.
type Error struct {
	Type    string `json:"type"` // fatal, error or warning
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Name is an observable as it is typed, type:value.
func Name(o ctim.Observable) string { return strings.TrimPrefix(string(o.Type)+":"+o.Value, ":") }

// Same compares as the relay does: types exactly, values without regard to case.
func Same(a, b ctim.Observable) bool { return a.Type == b.Type && strings.EqualFold(a.Value, b.Value) }

// opinion is a judgement in words, without what it is about: "Malicious: Win32.Trojan".
func opinion(j *ctim.Judgement) string {
	return strings.TrimSuffix(j.DispositionName+": "+j.Reason, ": ")
}

// docs are the documents of a kind.
type docs[T any] struct{ Docs []T }

// Read reads an answer about the observables that were asked for. What is no envelope of a relay is an
// error.
func Read(asked []ctim.Observable, body []byte) (*Report, error) {
	var answer struct {
		Data struct {
			Sightings     docs[ctim.Sighting]
			Judgements    docs[ctim.Judgement]
			Relationships docs[ctim.Relationship]
		}
		Errors []Error
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer is not a relay's: %w", err)
	}
	var events []*Event
	byID, bySighting := make(map[string]*Event), make(map[string]*Event)
	for _, s := range answer.Data.Sightings.Docs {
		id := s.ID
		if len(s.ExternalIDs) > 0 {
			id = s.ExternalIDs[0]
		}
		e := byID[id]
		if e == nil {
			e = &Event{ID: id, Hosts: hosts(&s)}
			byID[id] = e
			events = append(events, e)
		}
		bySighting[s.ID] = e
		e.Sightings = append(e.Sightings, &s)
		e.Active = e.Active || active(&s)
	}
	var judgements []*ctim.Judgement
	judgement := make(map[string]*ctim.Judgement)
	for _, j := range answer.Data.Judgements.Docs {
		judgements = append(judgements, &j)
		judgement[j.ID] = &j
	}
	for _, r := range answer.Data.Relationships.Docs {
		if e, j := bySighting[r.SourceRef], judgement[r.TargetRef]; e != nil && j != nil {
			e.judgements = append(e.judgements, j)
			e.Judged = ctim.Deciding(e.judgements)
		}
	}
	slices.SortStableFunc(events, func(a, b *Event) int {
		return cmp.Compare(b.Sightings[0].ObservedTime.Start, a.Sightings[0].ObservedTime.Start)
	})
	r := &Report{Events: events, Errors: answer.Errors}
	for _, o := range asked {
		f := Finding{Observable: o}
		_, f.Verdict = ctim.VerdictOf(o, judgements)
		same := func(seen ctim.Observable) bool { return Same(seen, o) }
		by := func(s *ctim.Sighting) bool { return slices.ContainsFunc(s.Observables, same) }
		for _, e := range events {
			if i := slices.IndexFunc(e.Sightings, by); i >= 0 {
				f.hits = append(f.hits, hit{e, e.Sightings[i]})
			}
		}
		r.Findings = append(r.Findings, f)
	}
	r.markIncomplete()
	return r, nil
}

// active tells whether the sighting is of the current state: the cell under the column Active.
func active(s *ctim.Sighting) bool {
	if s.Data == nil {
		return false
	}
	column := slices.IndexFunc(s.Data.Columns, func(c ctim.Column) bool { return c.Name == "Active" })
	return column >= 0 && slices.ContainsFunc(s.Data.Rows, func(row []string) bool {
		return column < len(row) && strings.EqualFold(row[column], "true")
	})
}

// hosts names the endpoints: by host name, else by what there is.
func hosts(s *ctim.Sighting) []string {
	isName := func(o ctim.Observable) bool { return o.Type == ctim.ObservableHostname }
	var names []string
	for _, target := range s.Targets {
		if all := target.Observables; len(all) > 0 {
			names = append(names, all[max(slices.IndexFunc(all, isName), 0)].Value)
		}
	}
	return distinct(names)
}

// distinct is the sorted list, with each text once.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// markIncomplete finds the observables about which the answer may not say all: those that an error names,
// else all.
func (r *Report) markIncomplete() {
	for _, e := range r.Errors {
		named := func(f Finding) bool { return strings.Contains(e.Message, nameInMessage(f.Observable)) }
		all := !slices.ContainsFunc(r.Findings, named)
		for i, f := range r.Findings {
			r.Findings[i].Incomplete = f.Incomplete || all || named(f)
		}
	}
}

// nameInMessage is how the relay's messages name an observable, SHA256 "0123…", cut after 100 characters.
func nameInMessage(o ctim.Observable) string {
	if value := []rune(o.Value); len(value) > 100 {
		return o.Type.Name() + ` "` + string(value[:100])
	}
	return o.Type.Name() + ` "` + o.Value + `"`
}

// Found tells whether there is anything about what was asked for: an event, or a verdict.
func (r *Report) Found() bool {
	judged := func(f Finding) bool { return f.Verdict != nil }
	return len(r.Events) > 0 || slices.ContainsFunc(r.Findings, judged)
}

// Notes explains what is easily misread: a hostname is searched for as the remote end of a connection, so
// that the events on an endpoint are not found by the endpoint's name.
func (r *Report) Notes() []string {
	const searched = ". Names are searched for as the remote ends of connections: " +
		"what happened on an endpoint is not found by its name."
	var notes []string
	for _, f := range r.Findings {
		name := f.Observable.Value
		label, _, _ := strings.Cut(name, ".")
		isEndpoint := slices.ContainsFunc(r.Events, func(e *Event) bool {
			return slices.ContainsFunc(e.Hosts, func(host string) bool {
				return strings.EqualFold(host, name) || strings.EqualFold(host, label)
			})
		})
		isHostname := f.Observable.Type == ctim.ObservableHostname
		switch {
		case len(f.hits) > 0 || !isHostname && f.Observable.Type != ctim.ObservableDomain:
		case isEndpoint:
			notes = append(notes, Name(f.Observable)+" is an endpoint in this answer"+searched)
		case isHostname:
			notes = append(notes, Name(f.Observable)+" was not connected to, as far as is known"+searched)
		}
	}
	return notes
}
