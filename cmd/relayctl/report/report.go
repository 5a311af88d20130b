// Package report reads an answer of observe as a person would: what it says about each observable, which
// events there were, and what it does not say. It writes that as a table, as CSV and as a list of events.
package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
)

// Report is an answer of observe.
type Report struct {
	Findings []Finding     // one for each observable asked for, in that order
	Events   [][]*Sighting // newest first; of each event the sightings, one for each observable that found it
	Errors   []Error       // in the relay's order
}

// Finding is what is known about one observable.
type Finding struct {
	Observable ctim.Observable
	Skipped    string          // why it was not searched for; usually empty
	Incomplete bool            // something failed or was truncated: there may be more events
	Verdict    *ctim.Judgement // about the observable itself; nil where Qualys did not judge it

	sightings []*Sighting // one for each event that it found, newest first
	active    int         // events
	severity  int         // of the worst event, in severities
	judged    *ctim.Judgement
	hosts     []string
}

// severities and dispositions are in the order in which the worst is looked for. CTIM has Critical and Info,
// too, though the relay has no use for them.
var (
	severities   = []string{"", "Unknown", "None", "Info", "Low", "Medium", "High", "Critical"}
	dispositions = []string{"Clean", "Common", "Unknown", "Suspicious", "Malicious"}
)

// add adds an event that was found. What Qualys judged in several events are different things, so that
// ctim.Deciding would not be right: the worst judgement counts.
func (f *Finding) add(s *Sighting) {
	f.sightings = append(f.sightings, s)
	f.hosts = append(f.hosts, s.hosts...)
	if s.state == "active" {
		f.active++
	}
	f.severity = max(f.severity, 1, slices.Index(severities, s.Severity))
	rank := func(j *ctim.Judgement) int { return slices.Index(dispositions, j.DispositionName) }
	if s.judged != nil && (f.judged == nil || rank(s.judged) > rank(f.judged)) {
		f.judged = s.judged
	}
}

// Sighting is an event that an observable found.
type Sighting struct {
	ctim.Sighting

	event  string // its id: Qualys's, else that of the sighting
	state  string // of the event: active where it is part of the current state, else past
	hosts  []string
	judged *ctim.Judgement // what Qualys judged in the event, or nil
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
	type data struct {
		Sightings     docs[ctim.Sighting]
		Judgements    docs[ctim.Judgement]
		Relationships docs[ctim.Relationship]
	}
	var answer struct {
		Data   *data
		Errors []Error
	}
	err := json.Unmarshal(body, &answer)
	if err == nil && answer.Data == nil && len(answer.Errors) == 0 {
		err = errors.New("it has neither data nor errors")
	}
	if err != nil {
		return nil, fmt.Errorf("the answer is not a relay's: %w", err)
	}
	found := cmp.Or(answer.Data, &data{})
	var judgements []*ctim.Judgement
	byID := make(map[string]*ctim.Judgement)
	for _, j := range found.Judgements.Docs {
		judgements = append(judgements, &j)
		byID[j.ID] = &j
	}
	judged := make(map[string][]*ctim.Judgement) // by the sighting that is based on them
	for _, r := range found.Relationships.Docs {
		if j := byID[r.TargetRef]; j != nil {
			judged[r.SourceRef] = append(judged[r.SourceRef], j)
		}
	}
	var sightings []*Sighting
	for _, s := range found.Sightings.Docs {
		event := append(s.ExternalIDs, s.ID)[0]
		sightings = append(sightings, &Sighting{s, event, state(&s), hosts(&s), ctim.Deciding(judged[s.ID])})
	}
	slices.SortStableFunc(sightings, func(a, b *Sighting) int {
		return cmp.Compare(b.ObservedTime.Start, a.ObservedTime.Start)
	})
	r := &Report{Errors: answer.Errors}
	place := make(map[string]int) // of events
	for _, s := range sightings {
		if _, known := place[s.event]; !known {
			place[s.event] = len(r.Events)
			r.Events = append(r.Events, nil)
		}
		r.Events[place[s.event]] = append(r.Events[place[s.event]], s)
	}
	for _, o := range asked {
		f := Finding{Observable: o}
		_, f.Verdict = ctim.VerdictOf(o, judgements)
		for _, s := range sightings {
			if slices.ContainsFunc(s.Observables, func(seen ctim.Observable) bool { return Same(seen, o) }) {
				f.add(s)
			}
		}
		r.Findings = append(r.Findings, f)
	}
	r.markIncomplete()
	return r, nil
}

// state reads the only cell, under the column Active.
func state(s *ctim.Sighting) string {
	if s.Data != nil && len(s.Data.Rows) > 0 && slices.Contains(s.Data.Rows[0], "True") {
		return "active"
	}
	return "past"
}

// hosts names the endpoints: by host name, else by what there is.
func hosts(s *ctim.Sighting) (names []string) {
	isName := func(o ctim.Observable) bool { return o.Type == ctim.ObservableHostname }
	for _, target := range s.Targets {
		if all := target.Observables; len(all) > 0 {
			names = append(names, all[max(slices.IndexFunc(all, isName), 0)].Value)
		}
	}
	return names
}

// markIncomplete finds the observables about which the answer may not say all: the one that an error names as
// the relay does, SHA256 "0123…"; those after it where the error says so; all where none is named.
func (r *Report) markIncomplete() {
	for _, e := range r.Errors {
		named := func(f Finding) bool {
			return strings.Contains(e.Message, f.Observable.Type.Name()+` "`+f.Observable.Value+`"`)
		}
		first := slices.IndexFunc(r.Findings, named)
		others := first < 0 || strings.Contains(e.Message, "the observables after it")
		for i, f := range r.Findings {
			r.Findings[i].Incomplete = f.Incomplete || others && i > first || named(f)
		}
	}
}

// Found tells whether there is anything about what was asked for: an event, or a verdict.
func (r *Report) Found() bool {
	judged := func(f Finding) bool { return f.Verdict != nil }
	return len(r.Events) > 0 || slices.ContainsFunc(r.Findings, judged)
}

// Note explains what is easily misread: that there are no events about a name. It is empty where there is no
// such name.
func (r *Report) Note() string {
	unseen := func(f Finding) bool {
		kind := f.Observable.Type
		return len(f.sightings) == 0 && (kind == ctim.ObservableHostname || kind == ctim.ObservableDomain)
	}
	if !slices.ContainsFunc(r.Findings, unseen) {
		return ""
	}
	return "note: names are searched for as the remote ends of connections: " +
		"what happened on an endpoint is not found by its name."
}
