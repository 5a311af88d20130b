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
	Events   []Event   // each once, however many observables found it; newest first
	Errors   []Error   // in the relay's order
}

// Finding is what is known about one observable.
type Finding struct {
	Observable ctim.Observable
	Skipped    string // why it was not searched for; usually empty
	Incomplete bool   // something failed or was truncated: there may be more events
	Events     int    // that it found
	Active     int    // events of the current state, among them
	Severity   string // the worst of them; empty without events
	Hosts      []string
	Verdict    *ctim.Judgement // about the observable itself; nil where Qualys did not judge it
	// the worst of its events, where there is no verdict: about something else; may be nil
	Judged *ctim.Judgement
}

// Event is one thing that happened on an endpoint: the sightings of it, one for each observable that found
// it.
type Event struct {
	ID        string // Qualys's, else that of the sighting
	Active    bool   // it is part of the current state
	Hosts     []string
	Judged    *ctim.Judgement // nil where Qualys judged nothing
	Sightings []*ctim.Sighting
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

// Opinion is a judgement in words, without what it is about: "Malicious: Win32.Trojan".
func Opinion(j *ctim.Judgement) string {
	if j.Reason == "" {
		return j.DispositionName
	}
	return j.DispositionName + ": " + j.Reason
}

// docs are the documents of a kind; what is null among them is nil.
type docs[T any] struct{ Docs []*T }

func (d docs[T]) all() []*T {
	return slices.DeleteFunc(d.Docs, func(doc *T) bool { return doc == nil })
}

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
	judgements := answer.Data.Judgements.all()
	byID := make(map[string]*ctim.Judgement)
	for _, j := range judgements {
		byID[j.ID] = j
	}
	basis := make(map[string][]*ctim.Judgement) // of sightings
	for _, r := range answer.Data.Relationships.all() {
		if j := byID[r.TargetRef]; j != nil {
			basis[r.SourceRef] = append(basis[r.SourceRef], j)
		}
	}
	r := &Report{Events: events(answer.Data.Sightings.all(), basis), Errors: answer.Errors}
	for _, o := range asked {
		f := Finding{Observable: o}
		f.addEvents(r.Events)
		if _, f.Verdict = ctim.VerdictOf(o, judgements); f.Verdict != nil {
			f.Judged = nil
		}
		r.Findings = append(r.Findings, f)
	}
	r.markIncomplete()
	return r, nil
}

// events joins the sightings of one event.
func events(sightings []*ctim.Sighting, basis map[string][]*ctim.Judgement) []Event {
	var list []Event
	index := make(map[string]int)
	judged := make(map[string][]*ctim.Judgement)
	for _, s := range sightings {
		id := s.ID
		if len(s.ExternalIDs) > 0 {
			id = s.ExternalIDs[0]
		}
		if _, seen := index[id]; !seen {
			index[id] = len(list)
			list = append(list, Event{ID: id, Hosts: hosts(s)})
		}
		e := &list[index[id]]
		e.Sightings = append(e.Sightings, s)
		e.Active = e.Active || active(s)
		judged[id] = append(judged[id], basis[s.ID]...)
	}
	for i := range list {
		list[i].Judged = ctim.Deciding(judged[list[i].ID])
	}
	slices.SortStableFunc(list, func(a, b Event) int {
		return cmp.Compare(b.first().ObservedTime.Start, a.first().ObservedTime.Start)
	})
	return list
}

// first tells what happened; the others differ in the observable that found it.
func (e Event) first() *ctim.Sighting { return e.Sightings[0] }

// foundBy is the sighting by which the observable found the event, or nil.
func (e Event) foundBy(o ctim.Observable) *ctim.Sighting {
	for _, s := range e.Sightings {
		if slices.ContainsFunc(s.Observables, func(seen ctim.Observable) bool { return Same(seen, o) }) {
			return s
		}
	}
	return nil
}

// active tells whether the sighting is of the current state: the cell under the column Active.
func active(s *ctim.Sighting) bool {
	if s.Data == nil {
		return false
	}
	column := slices.IndexFunc(s.Data.Columns, func(c ctim.Column) bool { return c.Name == "Active" })
	return slices.ContainsFunc(s.Data.Rows, func(row []string) bool {
		return column >= 0 && column < len(row) && strings.EqualFold(row[column], "true")
	})
}

// hosts names the endpoints: by host name, else by what there is.
func hosts(s *ctim.Sighting) []string {
	var names []string
	for _, target := range s.Targets {
		i := slices.IndexFunc(target.Observables,
			func(o ctim.Observable) bool { return o.Type == ctim.ObservableHostname })
		if len(target.Observables) > 0 && !slices.Contains(names, target.Observables[max(i, 0)].Value) {
			names = append(names, target.Observables[max(i, 0)].Value)
		}
	}
	return names
}

// addEvents adds the events that the observable found.
func (f *Finding) addEvents(events []Event) {
	for _, e := range events {
		if e.foundBy(f.Observable) == nil {
			continue
		}
		f.Events++
		if e.Active {
			f.Active++
		}
		severity := cmp.Or(string(e.first().Severity), "Unknown")
		if f.Severity == "" || rank(severity) > rank(f.Severity) {
			f.Severity = severity
		}
		if f.Judged == nil || e.Judged != nil && gravity(e.Judged) > gravity(f.Judged) {
			f.Judged = e.Judged
		}
		f.Hosts = append(f.Hosts, e.Hosts...)
	}
	slices.Sort(f.Hosts)
	f.Hosts = slices.Compact(f.Hosts)
}

// rank orders severities. CTIM knows Critical and Info, too, though the relay has no use for them.
func rank(severity string) int {
	return slices.Index([]string{"Unknown", "None", "Info", "Low", "Medium", "High", "Critical"}, severity)
}

// gravity orders judgements of different things, of which ctim.Deciding would not be right.
func gravity(j *ctim.Judgement) int {
	return slices.Index([]string{"Clean", "Common", "Unknown", "Suspicious", "Malicious"}, j.DispositionName)
}

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
	const searched = "Names are searched for as the remote ends of connections: " +
		"what happened on an endpoint is not found by its name."
	var endpoints []string
	for _, e := range r.Events {
		endpoints = append(endpoints, e.Hosts...)
	}
	var notes []string
	for _, f := range r.Findings {
		label, _, _ := strings.Cut(f.Observable.Value, ".")
		isEndpoint := slices.ContainsFunc(endpoints, func(host string) bool {
			return strings.EqualFold(host, f.Observable.Value) || strings.EqualFold(host, label)
		})
		isHostname := f.Observable.Type == ctim.ObservableHostname
		switch {
		case f.Events > 0 || !isHostname && f.Observable.Type != ctim.ObservableDomain:
		case isEndpoint:
			notes = append(notes, Name(f.Observable)+" is an endpoint in this answer. "+searched)
		case isHostname:
			notes = append(notes, Name(f.Observable)+" was not connected to, as far as is known. "+searched)
		}
	}
	return notes
}
