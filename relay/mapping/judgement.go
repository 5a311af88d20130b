package mapping

import (
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// priority of every judgement: CTIM keeps more than 90 for people and curated lists.
const priority = 90

// verdict is one of Qualys's verdicts in upper case, "" where the entry has none.
type verdict string

const (
	verdictKnown      verdict = "KNOWN"
	verdictSuspicious verdict = "SUSPICIOUS"
	verdictMalicious  verdict = "MALICIOUS"
	verdictRemediated verdict = "REMEDIATED"
)

func verdictOf(entry *qualys.Indicator) verdict {
	return verdict(strings.ToUpper(strings.TrimSpace(entry.Verdict)))
}

// disposition of a verdict, and its confidence. A remediated file was malicious: that it was dealt with
// is told by the sighting's resolution. A verdict that we do not know is no better than UNKNOWN.
func (v verdict) disposition() (ctim.Disposition, ctim.Confidence) {
	switch v {
	case verdictKnown:
		return ctim.DispositionClean, ctim.ConfidenceHigh
	case verdictMalicious, verdictRemediated:
		return ctim.DispositionMalicious, ctim.ConfidenceHigh
	case verdictSuspicious:
		return ctim.DispositionSuspicious, ctim.ConfidenceMedium
	}
	return ctim.DispositionUnknown, ctim.ConfidenceLow
}

// rank orders verdicts by what an analyst would read first.
func (v verdict) rank() int {
	switch v {
	case verdictMalicious:
		return 4
	case verdictSuspicious:
		return 3
	case verdictRemediated:
		return 2
	case verdictKnown:
		return 0
	}
	return 1
}

// judgements has one judgement for each entry of indicator2 that is about a file whose hash is known.
// Entries that say the same are one judgement.
func (m *mapper) judgements() []*ctim.Judgement {
	var out []*ctim.Judgement
	for i := range m.event.Indicators {
		entry := &m.event.Indicators[i]
		o, ok := m.judged(entry)
		if !ok {
			continue
		}
		reason := ctim.Short(strings.TrimSpace(entry.ThreatName))
		d, c := verdictOf(entry).disposition()
		id := ctim.DerivedID(ctim.KindJudgement,
			m.key, string(o.Type), o.Value, d.Name(), string(c), string(m.severity), reason)
		if slices.ContainsFunc(out, func(j *ctim.Judgement) bool { return j.ID == id }) {
			continue
		}
		valid := ctim.ValidTime{}
		if m.time != "" {
			valid = ctim.ValidTime{Start: m.time, End: ctim.Forever}
		}
		out = append(out, &ctim.Judgement{
			Base:            m.base(ctim.KindJudgement, id),
			Observable:      o,
			Disposition:     d,
			DispositionName: d.Name(),
			Priority:        priority,
			Confidence:      c,
			Severity:        m.severity,
			Reason:          reason,
			ValidTime:       valid,
		})
	}
	return out
}

// image is the hashes of a file of the event, each the zero observable where it is not known.
type image struct{ sha256, md5 ctim.Observable }

func (m *mapper) image(sha256, md5 string) image {
	var f image
	f.sha256, _ = m.observable(ctim.ObservableSHA256, sha256)
	f.md5, _ = m.observable(ctim.ObservableMD5, md5)
	return f
}

// hash is the asked hash where it is one of the file's, else its SHA256, else its MD5.
func (f image) hash(asked ctim.Observable) ctim.Observable {
	if f.md5.Value != "" && (f.md5 == asked || f.sha256.Value == "") {
		return f.md5
	}
	return f.sha256
}

// judged is the hash that an entry of indicator2 is about: the one that the entry names, else that of the
// event's own file, which for a PROCESS event is the file that the process runs. The process of any other
// event did something; that does not make its file what was judged. Where the asked observable is a hash
// of the same file, it is that one. Where neither names a hash there is no judgement; the sighting and
// the indicator still tell of the verdict.
func (m *mapper) judged(entry *qualys.Indicator) (ctim.Observable, bool) {
	if h, ok := m.observable(ctim.ObservableSHA256, entry.SHA256); ok {
		for _, f := range [...]image{m.file, m.process} {
			if f.sha256 == h {
				return f.hash(m.asked), true
			}
		}
		return h, true
	}
	own := m.file
	if eventType(m.event) == typeProcess {
		own = m.process
	}
	h := own.hash(m.asked)
	return h, h.Value != ""
}
