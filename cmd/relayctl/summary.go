package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// observable is what a relay is asked about.
type observable struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (o observable) String() string { return o.Type + ":" + o.Value }

// is compares as the relay does: types exactly, values without regard to case.
func (o observable) is(other observable) bool {
	return o.Type == other.Type && strings.EqualFold(o.Value, other.Value)
}

// summary is an answer of the relay as a person reads it.
type summary struct {
	Findings  []finding    // one for each observable, in the order asked
	Sightings []sighting   // all of them, newest first
	Errors    []relayError // in the relay's order
}

// finding is what the relay knows of one observable.
type finding struct {
	Observable observable
	Sightings  int
	Active     int      // sightings of the current state, among them
	Severity   string   // the worst of them; empty without sightings
	Hosts      []string // where it was seen, sorted, each once
	Verdict    verdict
}

// verdict is the judgement that counts. Its disposition is empty where Qualys judged nothing.
type verdict struct {
	Disposition string     // Clean, Malicious, Suspicious, Common or Unknown
	Reason      string     // the name of the threat; may be empty
	About       observable // what was judged: not always what was asked for. A process that called an address is judged, the address is not
}

// relayError is an error as the relay sent it.
type relayError struct {
	Type    string `json:"type"` // fatal, error or warning
	Code    string `json:"code"`
	Message string `json:"message"`
}

// envelope is the part of an answer that is summarised. It is read leniently: what it does not know, it passes over.
type envelope struct {
	Data struct {
		Sightings     docs[sighting]     `json:"sightings"`
		Judgements    docs[judgement]    `json:"judgements"`
		Verdicts      docs[judgement]    `json:"verdicts"`
		Relationships docs[relationship] `json:"relationships"`
	} `json:"data"`
	Errors []relayError `json:"errors"`
}

type docs[T any] struct {
	Docs []T `json:"docs"`
}

type sighting struct {
	ID           string       `json:"id"`
	Title        string       `json:"title"`
	Severity     string       `json:"severity"`
	Confidence   string       `json:"confidence"`
	Resolution   string       `json:"resolution"`
	SourceURI    string       `json:"source_uri"`
	Observables  []observable `json:"observables"`
	ObservedTime struct {
		Start string `json:"start_time"`
	} `json:"observed_time"`
	Targets []struct {
		OS          string       `json:"os"`
		Observables []observable `json:"observables"`
	} `json:"targets"`
	Data struct {
		Columns []struct {
			Name string `json:"name"`
		} `json:"columns"`
		Rows [][]any `json:"rows"`
	} `json:"data"`
}

// active tells whether the sighting is of the current state: the cell under the column Active.
func (s *sighting) active() bool {
	for i, column := range s.Data.Columns {
		if column.Name != "Active" {
			continue
		}
		for _, row := range s.Data.Rows {
			if i < len(row) && strings.EqualFold(fmt.Sprint(row[i]), "true") {
				return true
			}
		}
	}
	return false
}

// hosts names the endpoints: by host name, else by address.
func (s *sighting) hosts() []string {
	var names []string
	for _, target := range s.Targets {
		best := ""
		for _, o := range target.Observables {
			if o.Type == "hostname" {
				best = o.Value
				break
			}
			if best == "" {
				best = o.Value
			}
		}
		if best != "" && !slices.Contains(names, best) {
			names = append(names, best)
		}
	}
	return names
}

type judgement struct {
	ID              string     `json:"id"`
	Observable      observable `json:"observable"`
	Disposition     int        `json:"disposition"`
	DispositionName string     `json:"disposition_name"`
	Priority        int        `json:"priority"`
	Reason          string     `json:"reason"`
	ValidTime       struct {
		Start string `json:"start_time"`
	} `json:"valid_time"`
}

type relationship struct {
	Source string `json:"source_ref"`
	Target string `json:"target_ref"`
}

// summarise reads an answer of observe or deliberate about the observables that were asked.
func summarise(asked []observable, body []byte) (summary, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return summary{}, fmt.Errorf("the answer is not a relay's: %w", err)
	}
	sightings := e.Data.Sightings.Docs
	slices.SortStableFunc(sightings, func(a, b sighting) int {
		return instant(b.ObservedTime.Start).Compare(instant(a.ObservedTime.Start))
	})
	s := summary{Sightings: sightings, Errors: e.Errors}
	judged := slices.Concat(e.Data.Judgements.Docs, e.Data.Verdicts.Docs)
	byID := make(map[string]judgement, len(judged))
	for _, j := range e.Data.Judgements.Docs {
		byID[j.ID] = j
	}
	basis := make(map[string][]judgement) // of sightings
	for _, r := range e.Data.Relationships.Docs {
		if j, ok := byID[r.Target]; ok {
			basis[r.Source] = append(basis[r.Source], j)
		}
	}
	for _, o := range asked {
		s.Findings = append(s.Findings, find(o, sightings, judged, basis))
	}
	return s, nil
}

// find picks what is about one observable.
func find(o observable, sightings []sighting, judged []judgement, basis map[string][]judgement) finding {
	f := finding{Observable: o}
	var own, near []judgement
	for i := range sightings {
		s := &sightings[i]
		if !slices.ContainsFunc(s.Observables, o.is) {
			continue
		}
		f.Sightings++
		if s.active() {
			f.Active++
		}
		if f.Severity == "" || rank(s.Severity) > rank(f.Severity) {
			f.Severity = cmp.Or(s.Severity, "Unknown")
		}
		f.Hosts = append(f.Hosts, s.hosts()...)
		near = append(near, basis[s.ID]...)
	}
	slices.Sort(f.Hosts)
	f.Hosts = slices.Compact(f.Hosts)
	for _, j := range judged {
		if j.Observable.is(o) {
			own = append(own, j)
		}
	}
	if len(own) == 0 {
		own = near
	}
	if len(own) > 0 {
		best := slices.MinFunc(own, compareJudgements)
		f.Verdict = verdict{Disposition: best.DispositionName, Reason: best.Reason, About: best.Observable}
	}
	return f
}

// compareJudgements puts first what counts, as CTIM says: the highest priority, then the newest, then the lower disposition number (Clean, Malicious,
// Suspicious, Common, Unknown).
func compareJudgements(a, b judgement) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		instant(b.ValidTime.Start).Compare(instant(a.ValidTime.Start)),
		cmp.Compare(a.Disposition, b.Disposition),
	)
}

// rank orders severities. CTIM knows Critical and Info, too, though the relay has no use for them.
func rank(severity string) int {
	return slices.Index([]string{"Unknown", "None", "Info", "Low", "Medium", "High", "Critical"}, severity)
}

// instant is a CTIM time; what cannot be read is older than everything.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// found tells whether there is anything about what was asked: a sighting, or a verdict.
func (s *summary) found() bool {
	return len(s.Sightings) > 0 || slices.ContainsFunc(s.Findings, func(f finding) bool { return f.Verdict.Disposition != "" })
}
