package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// rated says that a score is one of Qualys's ratings, 0 to 10.
func rated(s qualys.Score) bool { return s.Known && s.Value >= 0 && s.Value <= 10 }

// score is the rating of an event: its own, or where it brings none (events of 2025 may not), the highest of what it was judged by.
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
	if !rated(s) {
		return ctim.SeverityUnknown
	}
	switch {
	case s.Value == 0:
		return ctim.SeverityNone
	case s.Value == 1:
		return ctim.SeverityHigh
	case s.Value <= 4:
		return ctim.SeverityLow
	case s.Value <= 7:
		return ctim.SeverityMedium
	}
	return ctim.SeverityHigh
}

// indicatorTitle is Qualys's own name of a rating. The noun comes from the event's type; only for a type that Qualys's table does not know is it read
// off the score, which meant file, process and network in turn before 2021 and no longer does.
func indicatorTitle(eventType string, score int) string {
	level := ""
	switch {
	case score == 0:
		return "Known Good"
	case score == 1:
		return "Remediated"
	case score <= 4:
		level = "Suspicious Low"
	case score <= 7:
		level = "Suspicious Medium"
	default:
		level = "Malicious"
	}
	noun := ""
	switch strings.ToUpper(strings.TrimSpace(eventType)) {
	case "FILE":
		noun = "File"
	case "PROCESS":
		noun = "Process"
	case "NETWORK":
		noun = "Network"
	default:
		noun = [...]string{"File", "Process", "Network"}[(score-2)%3]
	}
	return level + " " + noun + " event"
}

// indicatorConfidence follows the judgements': what Qualys only suspects is Medium.
func indicatorConfidence(score int) ctim.Confidence {
	if score >= 2 && score <= 7 {
		return ctim.ConfidenceMedium
	}
	return ctim.ConfidenceHigh
}
