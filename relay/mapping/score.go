package mapping

import (
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// Types of events that the mapping knows. Qualys adds more: what is not here is mapped without a noun and
// a context.
const (
	typeFile     = "FILE"
	typeProcess  = "PROCESS"
	typeNetwork  = "NETWORK"
	typeMutex    = "MUTEX"
	typeRegistry = "REGISTRY"
)

func eventType(e *qualys.Event) string { return strings.ToUpper(strings.TrimSpace(e.Type)) }

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

// severity of a rating. 1 is "remediated", which was as bad as 8 to 10 before it was dealt with.
func severity(s qualys.Score) ctim.Severity {
	switch {
	case !rated(s):
		return ctim.SeverityUnknown
	case s.Value == 0:
		return ctim.SeverityNone
	case s.Value == 1 || s.Value >= 8:
		return ctim.SeverityHigh
	case s.Value <= 4:
		return ctim.SeverityLow
	}
	return ctim.SeverityMedium
}

// level is how bad a rated event is, the first words of its indicator's title, and "" for one without a
// rating. Since 2025 malware is rated from 4 on, so a verdict of MALICIOUS outweighs the number.
func level(e *qualys.Event, s qualys.Score) string {
	isMalicious := func(entry qualys.Indicator) bool { return verdictOf(&entry) == verdictMalicious }
	switch {
	case !rated(s):
		return ""
	case s.Value >= 8 || slices.ContainsFunc(e.Indicators, isMalicious):
		return "Malicious"
	case s.Value == 0:
		return "Known Good"
	case s.Value == 1:
		return "Remediated"
	case s.Value <= 4:
		return "Suspicious Low"
	}
	return "Suspicious Medium"
}

// nounOf is what an event's type is called in titles, "File" for FILE, or "" for a type that is not known
// here.
func nounOf(e *qualys.Event) string {
	switch eventType(e) {
	case typeFile:
		return "File"
	case typeProcess:
		return "Process"
	case typeNetwork:
		return "Network"
	case typeMutex:
		return "Mutex"
	case typeRegistry:
		return "Registry"
	}
	return ""
}

// indicatorTitle is the level and what was rated: "Malicious Registry event". The noun is that of the
// event's type: the score encoded the type before 2021 and no longer does.
func (m *mapper) indicatorTitle() string {
	noun := nounOf(m.event)
	if noun == "" {
		return m.level + " event"
	}
	return m.level + " " + noun + " event"
}
