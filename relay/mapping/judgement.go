package mapping

import (
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// judgements has one judgement for each entry of indicator2 that is about a file whose hash is known.
// Entries that say the same are one judgement.
func (m *Mapper) judgements() []*ctim.Judgement {
	var out []*ctim.Judgement
	for _, entry := range m.entries {
		o := m.judged(entry)
		if o.Value == "" {
			continue
		}
		reason := ctim.Short(strings.TrimSpace(entry.ThreatName))
		v := verdictOf(entry)
		id := ctim.NewID(ctim.KindJudgement,
			m.key, string(o.Type), o.Value, v.dispositionName, v.confidence, m.severity, reason)
		if slices.ContainsFunc(out, func(j *ctim.Judgement) bool { return j.ID == id }) {
			continue
		}
		valid := ctim.ValidTime{Start: m.time, End: ctim.Forever}
		if m.time == "" {
			valid.End = ""
		}
		out = append(out, &ctim.Judgement{
			Base:            m.base(ctim.KindJudgement, id),
			Observable:      o,
			Disposition:     v.disposition,
			DispositionName: v.dispositionName,
			Priority:        90, // CTIM keeps more for people and curated lists
			Confidence:      v.confidence,
			Severity:        m.severity,
			Reason:          reason,
			ValidTime:       valid,
		})
	}
	return out
}

// hashes of a file of the event, each the zero observable where it is not known.
type hashes struct{ sha256, md5 ctim.Observable }

func (m *Mapper) hashes(sha256, md5 string) hashes {
	return hashes{m.observable(ctim.ObservableSHA256, sha256), m.observable(ctim.ObservableMD5, md5)}
}

// hash to name the file by: the asked one where it is one of the file's, else its SHA256, else its MD5.
func (h hashes) hash(asked ctim.Observable) ctim.Observable {
	if h.md5.Value != "" && (h.md5 == asked || h.sha256.Value == "") {
		return h.md5
	}
	return h.sha256
}

// judged is the hash that an entry of indicator2 is about: the one that the entry names, else that of the
// event's own file, which for a PROCESS event is the file that the process runs. The process of any other
// event did something; that does not make its file what was judged. Where the asked observable is a hash
// of the same file, it is that one. Where neither names a hash there is no judgement; the sighting and
// the indicator still tell of the verdict.
func (m *Mapper) judged(entry qualys.Indicator) ctim.Observable {
	named := m.observable(ctim.ObservableSHA256, entry.SHA256)
	switch {
	case named.Value == "" && m.noun == "Process":
		return m.processHashes.hash(m.asked)
	case named.Value == "" || named == m.fileHashes.sha256:
		return m.fileHashes.hash(m.asked)
	case named == m.processHashes.sha256:
		return m.processHashes.hash(m.asked)
	}
	return named
}
