package mapping

import (
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
	verdictUnknown    verdict = "UNKNOWN"
	verdictSuspicious verdict = "SUSPICIOUS"
	verdictMalicious  verdict = "MALICIOUS"
	verdictRemediated verdict = "REMEDIATED"
)

func verdictOf(entry *qualys.Indicator) verdict {
	return verdict(strings.ToUpper(strings.TrimSpace(entry.Verdict)))
}

// disposition of a verdict. A remediated file was malicious: that it was dealt with is told by the sighting's resolution.
func (v verdict) disposition() ctim.Disposition {
	switch v {
	case verdictKnown:
		return ctim.DispositionClean
	case verdictMalicious, verdictRemediated:
		return ctim.DispositionMalicious
	case verdictSuspicious:
		return ctim.DispositionSuspicious
	}
	return ctim.DispositionUnknown
}

// confidence of a verdict. One that we do not know is no better than UNKNOWN.
func (v verdict) confidence() ctim.Confidence {
	switch v {
	case verdictKnown, verdictMalicious, verdictRemediated:
		return ctim.ConfidenceHigh
	case verdictSuspicious:
		return ctim.ConfidenceMedium
	}
	return ctim.ConfidenceLow
}

// judgements has one judgement for each entry of indicator2 that is about something we can name. Entries that say the same are one judgement.
func (m *mapper) judgements() []*ctim.Judgement {
	var out []*ctim.Judgement
entries:
	for i := range m.event.Indicators {
		entry := &m.event.Indicators[i]
		o, ok := judged(m.asked, m.event, entry)
		if !ok {
			continue
		}
		v := verdictOf(entry)
		s := entry.Score
		if !s.Known {
			s = m.score
		}
		reason := ctim.Short(strings.TrimSpace(entry.ThreatName))
		d, c, sev := v.disposition(), v.confidence(), severity(s)
		// All that two judgements of one event can differ in.
		id := ctim.DerivedID(ctim.KindJudgement, m.key, string(o.Type), o.Value, d.Name(), string(c), string(sev), reason)
		for _, j := range out {
			if j.ID == id {
				continue entries
			}
		}
		out = append(out, &ctim.Judgement{
			Base:            m.base(ctim.KindJudgement, id),
			Observable:      o,
			Disposition:     d,
			DispositionName: d.Name(),
			Priority:        priority,
			Confidence:      c,
			Severity:        sev,
			Reason:          reason,
			ValidTime:       m.validTime(),
		})
	}
	return out
}

// validTime of a judgement: from the event on, without end. Without a start it stays open, which CTIM allows.
func (m *mapper) validTime() ctim.ValidTime {
	if m.time.IsZero() {
		return ctim.ValidTime{}
	}
	return ctim.ValidTime{Start: m.time, End: ctim.Forever()}
}

// image is a file as the rule of judgement sees it: the file of a FILE event, or the file that a process runs.
type image struct {
	sha256, md5, path string
	name              string
	process           bool // name is a process's
}

func fileImage(f *qualys.File) image {
	if f == nil {
		return image{}
	}
	return image{sha256: f.SHA256, md5: f.MD5, path: f.FullPath, name: first(f.Name, baseName(f.FullPath))}
}

func processImage(p *qualys.Process) image {
	if p == nil {
		return image{process: true}
	}
	return image{sha256: p.SHA256, md5: p.MD5, path: p.FullPath, name: first(p.Name, baseName(p.FullPath)), process: true}
}

// ownImage is the file that an event is about: its file object, but for a process, and where there is no such object, the file that its process runs.
func ownImage(e *qualys.Event) image {
	if e.File == nil || e.Process != nil && strings.EqualFold(strings.TrimSpace(e.Type), "PROCESS") {
		return processImage(e.Process)
	}
	return fileImage(e.File)
}

// hash is the image's SHA256, else its MD5, or false where the event names neither.
func (f image) hash() (ctim.Observable, bool) {
	if o, ok := hashObservable(ctim.ObservableSHA256, f.sha256); ok {
		return o, true
	}
	return hashObservable(ctim.ObservableMD5, f.md5)
}

// is says whether the observable is this very file, by its hash, its name or its full path. A folder above it is not.
func (f image) is(o ctim.Observable) bool {
	value := ""
	switch o.Type {
	case ctim.ObservableSHA256:
		value = f.sha256
	case ctim.ObservableMD5:
		value = f.md5
	case ctim.ObservableFilePath:
		value = f.path
	case ctim.ObservableFileName:
		if f.process { // the name of a process need not be that of its file
			value = baseName(f.path)
		} else {
			value = f.name
		}
	case ctim.ObservableProcessName:
		if f.process {
			value = f.name
		}
	}
	return value != "" && strings.EqualFold(value, o.Value)
}

// judged is what an entry of indicator2 is about. A wrong verdict hurts: an address that is blocked because a bad process called it, a mutex or a
// folder that is called clean because one file was. So:
//
// An entry that names a hash is about the file of that hash. That is the asked observable where it is that hash, or the name, path or other hash of a
// file of the event that has it; else the hash itself.
//
// An entry without a hash (or with one that is none) is about the event's own file. That is the asked observable where it is that file, else the
// file's hash. Where the event names no hash at all, but was found by the search for one, which is exact, it is about the asked hash. An entry that
// cannot be pinned on a file this way is not judged; the sighting and the indicator still tell of it.
func judged(asked ctim.Observable, e *qualys.Event, entry *qualys.Indicator) (ctim.Observable, bool) {
	if h, ok := hashObservable(ctim.ObservableSHA256, entry.SHA256); ok {
		if isJudged(asked, e, h.Value) {
			return asked, true
		}
		return h, true
	}
	own := ownImage(e)
	if own.is(asked) {
		return asked, true
	}
	if h, ok := own.hash(); ok {
		return h, true
	}
	for _, f := range [...]image{fileImage(e.File), processImage(e.Process)} {
		if _, ok := f.hash(); ok {
			return ctim.Observable{}, false // the search may have found the other one
		}
	}
	_, isHash := hashObservable(asked.Type, asked.Value)
	return asked, isHash
}

// isJudged says whether the asked observable is the file of the given hash.
func isJudged(asked ctim.Observable, e *qualys.Event, sha256 string) bool {
	if asked.Type == ctim.ObservableSHA256 && strings.EqualFold(asked.Value, sha256) {
		return true
	}
	for _, f := range [...]image{fileImage(e.File), processImage(e.Process)} {
		if strings.EqualFold(f.sha256, sha256) && f.is(asked) {
			return true
		}
	}
	return false
}
