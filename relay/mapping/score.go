package mapping

import (
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// nounOf is what an event's type is called in titles, "File" for FILE, or "" for a type that is not known
// here: Qualys adds more, and they are mapped without a noun and a context.
func nounOf(e *qualys.Event) string {
	for _, noun := range [...]string{"File", "Process", "Network", "Mutex", "Registry"} {
		if strings.EqualFold(strings.TrimSpace(e.Type), noun) {
			return noun
		}
	}
	return ""
}

// verdict is one of Qualys's verdicts. They are in the order in which an analyst reads them, last first.
type verdict int

const (
	known   verdict = iota
	unknown         // or none, or one that is not known here
	remediated
	suspicious
	malicious
)

// verdicts as Qualys names them and as CTIM does. A remediated file was malicious: that it was dealt with is
// told by the sighting's resolution.
var verdicts = [...]struct {
	name            string
	disposition     ctim.Disposition
	dispositionName string
	confidence      ctim.Confidence
}{
	known:      {"KNOWN", 1, "Clean", "High"},
	unknown:    {"UNKNOWN", 5, "Unknown", "Low"},
	remediated: {"REMEDIATED", 2, "Malicious", "High"},
	suspicious: {"SUSPICIOUS", 3, "Suspicious", "Medium"},
	malicious:  {"MALICIOUS", 2, "Malicious", "High"},
}

func verdictOf(entry qualys.Indicator) verdict {
	name := upper(entry.Verdict)
	for v := range verdicts {
		if verdicts[v].name == name {
			return verdict(v)
		}
	}
	return unknown
}

// worst is the entry with the verdict to read first, zero where there are no entries, and that verdict.
func worst(entries []qualys.Indicator) (entry qualys.Indicator, v verdict) {
	if len(entries) > 0 {
		entry = slices.MaxFunc(entries, func(a, b qualys.Indicator) int { return int(verdictOf(a) - verdictOf(b)) })
		v = verdictOf(entry)
	}
	return entry, v
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
	for i := range e.Indicators {
		if s := e.Indicators[i].Score; rated(s) && (!highest.Known || s.Value > highest.Value) {
			highest = s
		}
	}
	return highest
}

// rating is the severity of a score, and its level, the first words of an indicator's title. 1 is
// "remediated", which was as bad as 8 to 10 before it was dealt with. Since 2025 malware is rated from 4
// on, so a verdict of MALICIOUS outweighs the number in the level.
func rating(s qualys.Score, v verdict) (severity ctim.Severity, level string) {
	switch {
	case !rated(s):
		return "Unknown", ""
	case s.Value == 0:
		severity, level = "None", "Known Good"
	case s.Value == 1:
		severity, level = "High", "Remediated"
	case s.Value <= 4:
		severity, level = "Low", "Suspicious Low"
	case s.Value <= 7:
		severity, level = "Medium", "Suspicious Medium"
	default:
		severity, level = "High", "Malicious"
	}
	if v == malicious {
		level = "Malicious"
	}
	return severity, level
}
