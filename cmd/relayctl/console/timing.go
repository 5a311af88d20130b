package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

func measure(endpoint string, reply Reply) part {
	p := part{Endpoint: endpoint, Status: reply.Status, Elapsed: milliseconds(reply.Duration),
		Bytes: len(reply.Body)}
	for _, m := range serverTiming(reply.Header) {
		switch m.name {
		case "total":
			p.Relay = m.duration
		case "qualys":
			p.Qualys = m.duration
			p.Calls = m.count()
		}
	}
	return p
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// metric is one entry of a Server-Timing header (W3C Server Timing, section 4).
type metric struct {
	name        string
	duration    float64 // milliseconds
	description string
}

// count reads how often from the description: "2 calls".
func (m metric) count() int {
	digits, _, _ := strings.Cut(m.description, " ")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// serverTiming reads total;dur=12.3, qualys;dur=10.1;desc="2 calls". What it cannot read it passes over: a
// cost is no reason to lose an answer.
func serverTiming(h http.Header) []metric {
	var metrics []metric
	for _, value := range h.Values("Server-Timing") {
		for _, entry := range split(value, ',') {
			params := split(entry, ';')
			m := metric{name: strings.ToLower(strings.TrimSpace(params[0]))}
			if m.name == "" {
				continue
			}
			for _, param := range params[1:] {
				key, text, _ := strings.Cut(param, "=")
				text = unquote(strings.TrimSpace(text))
				switch strings.ToLower(strings.TrimSpace(key)) {
				case "dur":
					// no NaN, no Inf: JSON has neither
					if d, err := strconv.ParseFloat(text, 64); err == nil && d >= 0 && d < 1e9 {
						m.duration = d
					}
				case "desc":
					m.description = text
				}
			}
			metrics = append(metrics, m)
		}
	}
	return metrics
}

// split cuts s at each sep outside of quotes.
func split(s string, sep byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote reads a quoted-string of HTTP (RFC 9110, section 5.6.4), or a bare token as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
