package mapping

import (
	"slices"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// nouns are what an event's type is called in titles. Qualys adds types: one that is not known here is mapped
// without a noun and a context.
var nouns = map[string]string{
	"FILE": "File", "PROCESS": "Process", "NETWORK": "Network", "MUTEX": "Mutex", "REGISTRY": "Registry",
}

// verdict is one of Qualys's verdicts as CTIM has it.
type verdict struct {
	rank            int // an analyst reads the highest first
	disposition     ctim.Disposition
	dispositionName string
	confidence      string
}

// verdicts by Qualys's names. A remediated file was malicious: that it was dealt with is told by the
// sighting's resolution.
var verdicts = map[string]verdict{
	"MALICIOUS":  {4, 2, "Malicious", "High"},
	"SUSPICIOUS": {3, 3, "Suspicious", "Medium"},
	"REMEDIATED": {2, 2, "Malicious", "High"},
	"UNKNOWN":    {1, 5, "Unknown", "Low"},
	"KNOWN":      {0, 1, "Clean", "High"},
}

var malicious, remediated = verdicts["MALICIOUS"], verdicts["REMEDIATED"]

// verdictOf is the verdict of an entry, UNKNOWN where it has none or one that is not known here.
func verdictOf(entry qualys.Indicator) verdict {
	if v, ok := verdicts[upper(entry.Verdict)]; ok {
		return v
	}
	return verdicts["UNKNOWN"]
}

// worst is the entry with the verdict to read first, zero where there are no entries.
func worst(entries []qualys.Indicator) (entry qualys.Indicator) {
	if len(entries) > 0 {
		entry = slices.MaxFunc(entries, func(a, b qualys.Indicator) int {
			return verdictOf(a).rank - verdictOf(b).rank
		})
	}
	return entry
}

// rated says that a score is one of Qualys's ratings, 0 to 10.
func rated(s qualys.Score) bool { return s.Known && s.Value >= 0 && s.Value <= 10 }

// score is the rating of an event: its own, or where it brings none (events of 2025 may not), the highest
// of its entries.
func score(e *qualys.Event) qualys.Score {
	if e.Score.Known {
		return e.Score
	}
	var highest qualys.Score
	for _, entry := range e.Indicators {
		if s := entry.Score; rated(s) && (!highest.Known || s.Value > highest.Value) {
			highest = s
		}
	}
	return highest
}

// rating is the severity of a score, and its level, the first words of an indicator's title. 1 is
// "remediated", which was as bad as 8 to 10 before it was dealt with.
func rating(s qualys.Score) (severity, level string) {
	switch {
	case !rated(s):
		return "Unknown", ""
	case s.Value == 0:
		return "None", "Known Good"
	case s.Value == 1:
		return "High", "Remediated"
	case s.Value <= 4:
		return "Low", "Suspicious Low"
	case s.Value <= 7:
		return "Medium", "Suspicious Medium"
	}
	return "High", "Malicious"
}
