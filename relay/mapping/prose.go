package mapping

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"qualysrelay.example/qualys"
)

// Longest pieces of foreign text within a sentence, in characters: the whole value is in the observables and relations.
const (
	maxWord  = 120 // in a title
	maxValue = 500 // in a description
)

// prose builds text for people out of values that nobody vouches for.
type prose struct{ b strings.Builder }

// String is the text so far.
func (p *prose) String() string { return p.b.String() }

// say appends text of our own.
func (p *prose) say(s string) { p.b.WriteString(s) }

func (p *prose) number(n int64) { p.b.WriteString(strconv.FormatInt(n, 10)) }

// plain appends a value as text of at most n characters. What would not show or would turn the text around it (control and format characters such as
// right-to-left overrides, line separators, invalid bytes) becomes U+FFFD.
func (p *prose) plain(s string, n int) {
	s = strings.TrimSpace(s)
	if len(s) <= n && isPrintable(s) { // nearly every value
		p.say(s)
		return
	}
	for _, r := range s {
		if n == 0 {
			p.say("…")
			return
		}
		n--
		p.b.WriteRune(visible(r))
	}
}

// code appends a value as a Markdown code span, in which nothing is markup but the backtick that ends it.
func (p *prose) code(s string) {
	p.say("`")
	p.plain(strings.ReplaceAll(s, "`", "'"), maxValue)
	p.say("`")
}

// item appends a line of a list where the value is not empty.
func (p *prose) item(label, value string) {
	if strings.TrimSpace(value) != "" {
		p.say("\n- ")
		p.say(label)
		p.say(": ")
		p.code(value)
	}
}

// isPrintable says that s is ASCII without control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func visible(r rune) rune {
	switch {
	case r < utf8.RuneSelf && r >= ' ' && r != 0x7F:
		return r
	case r == '\u200C' || r == '\u200D': // joiners: part of words in some scripts
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return utf8.RuneError
	}
	return r
}

// title is what happened, where and to what: "File created on WS-07: invoice.exe".
func (m *mapper) title() string {
	var p, object prose
	p.b.Grow(128)
	p.what(m.event)
	if host := hostName(&m.event.Asset); host != "" {
		p.say(" on ")
		p.plain(host, maxWord)
	}
	if object.object(m.event); object.b.Len() > 0 {
		p.say(": ")
		p.say(object.String())
	}
	return p.String()
}

// what is the event's type and action as words.
func (p *prose) what(e *qualys.Event) {
	action := strings.TrimSpace(e.Action)
	noun, alone := "", " event"
	switch strings.ToUpper(strings.TrimSpace(e.Type)) {
	case "FILE":
		noun = "File"
	case "PROCESS":
		noun = "Process"
	case "NETWORK":
		noun, alone = "Network connection", ""
	case "MUTEX":
		noun = "Mutex"
	case "REGISTRY":
		noun = "Registry key"
	case "":
		noun, alone = "Event", ""
	default:
		noun = strings.TrimSpace(e.Type)
	}
	p.plain(noun, maxWord)
	if action == "" {
		p.say(alone)
		return
	}
	p.say(" ")
	p.plain(strings.ToLower(strings.ReplaceAll(action, "_", " ")), maxWord)
}

// object is the shortest name of what the event is about.
func (p *prose) object(e *qualys.Event) {
	switch {
	case e.File != nil:
		p.plain(first(e.File.Name, baseName(e.File.FullPath), e.File.SHA256, e.File.MD5), maxWord)
	case e.Network != nil:
		if e.Process != nil {
			p.plain(first(e.Process.Name, baseName(e.Process.FullPath)), maxWord)
		}
		remote := first(e.Network.RemoteDNS, e.Network.RemoteIP)
		if remote == "" {
			return
		}
		if e.Process != nil {
			p.say(" to ")
		}
		p.plain(remote, maxWord)
		if ip := strings.TrimSpace(e.Network.RemoteIP); ip != "" && ip != remote {
			p.say(" (")
			p.plain(ip, maxWord)
			p.say(")")
		}
	case e.Registry != nil:
		p.plain(first(e.Registry.Key, e.Registry.ValueName), maxWord)
	case e.Process != nil:
		p.plain(first(e.Process.Name, baseName(e.Process.FullPath), e.Process.SHA256), maxWord)
	}
}

// first is the first value that is not blank.
func first(values ...string) string {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
	}
	return ""
}

// shortDescription is the worst verdict, the rating and the state in one line.
func (m *mapper) shortDescription() string {
	var p prose
	p.b.Grow(256)
	if worst := worst(m.event.Indicators); worst != nil {
		p.say("Qualys verdict ")
		p.verdict(worst, false)
		p.say(". ")
	}
	if m.rated != "" {
		m.rating(&p)
		p.say(". ")
	} else {
		p.say("Not rated by Qualys. ")
	}
	if m.event.Active {
		p.say("Part of the current state of the endpoint.")
	} else {
		p.say("From the history of the endpoint.")
	}
	return p.String()
}

func (m *mapper) rating(p *prose) {
	p.say("Rated ")
	p.number(int64(m.score.Value))
	p.say(" of 10, ")
	p.say(m.rated)
}

// verdict is one entry of indicator2, as text or as Markdown: the verdict and the threat's names.
func (p *prose) verdict(entry *qualys.Indicator, markdown bool) {
	p.value(first(entry.Verdict, "not given"), markdown)
	if name := first(entry.ThreatName); name != "" {
		p.say(": ")
		p.value(name, markdown)
	}
	separator := " ("
	for _, more := range [...]struct{ label, value string }{{"family ", entry.FamilyName}, {"category ", entry.Category}} {
		if v := first(more.value); v != "" {
			p.say(separator)
			p.say(more.label)
			p.value(v, markdown)
			separator = ", "
		}
	}
	if separator == ", " {
		p.say(")")
	}
}

func (p *prose) value(s string, markdown bool) {
	if markdown {
		p.code(s)
	} else {
		p.plain(s, maxWord)
	}
}

// worst is the entry of indicator2 that an analyst would read first.
func worst(entries []qualys.Indicator) *qualys.Indicator {
	rank := func(v verdict) int {
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
	var out *qualys.Indicator
	for i := range entries {
		if out == nil || rank(verdictOf(&entries[i])) > rank(verdictOf(out)) {
			out = &entries[i]
		}
	}
	return out
}

// description is all that the event tells, in Markdown.
func (m *mapper) description() string {
	var p prose
	p.b.Grow(1024)
	e := m.event
	p.say("Qualys reported: ")
	p.what(e)
	if host := hostName(&e.Asset); host != "" {
		p.say(" on ")
		p.code(host)
	}
	p.say(" at ")
	p.say(m.time.String())
	p.say(". Found by the ")
	p.say(m.asked.Type.Name())
	p.say(" ")
	p.code(m.asked.Value)
	if e.Active {
		p.say(", in the current state of the endpoint.")
	} else {
		p.say(", in the history of the endpoint.")
	}
	p.say("\n")
	if m.rated != "" {
		p.say("\n- ")
		m.rating(&p)
	}
	p.verdicts(e.Indicators)
	if f := e.File; f != nil {
		p.item("File", first(f.FullPath, f.Name))
		p.item("SHA256", f.SHA256)
		p.item("MD5", f.MD5)
	}
	p.process(e.Process)
	if a := e.Actor; a != nil {
		p.running("Caused by", first(a.ImageFullPath, a.ProcessName), a.ProcessID)
	}
	if n := e.Network; n != nil {
		p.endpoint("Local address", n.LocalIP, n.LocalPort)
		p.endpoint("Remote address", n.RemoteIP, n.RemotePort)
		p.item("Remote name", n.RemoteDNS)
		p.item("Protocol", n.Protocol)
		p.item("Direction", n.Direction)
	}
	if r := e.Registry; r != nil {
		p.item("Registry key", r.Key)
		p.item("Registry value", r.ValueName)
		p.item("Registry data", r.ValueData)
	}
	p.item("Operating system", e.Asset.FullOSName)
	p.item("Agent", e.Asset.AgentID)
	p.item("Reported by", e.Source)
	return p.String()
}

func (p *prose) process(q *qualys.Process) {
	if q == nil {
		return
	}
	p.running("Process", first(q.FullPath, q.Name), q.PID)
	p.item("Process SHA256", q.SHA256)
	p.item("Command line", q.Arguments)
	p.item("User", q.UserName)
}

// running is a line for a process, with its id where that is told.
func (p *prose) running(label, image string, pid int64) {
	p.item(label, image)
	if image != "" && pid != 0 {
		p.say(" (process ")
		p.number(pid)
		p.say(")")
	}
}

func (p *prose) endpoint(label, ip string, port int64) {
	if strings.TrimSpace(ip) == "" {
		return
	}
	p.item(label, ip)
	if port != 0 {
		p.say(" port ")
		p.number(port)
	}
}

// verdicts has a line for each entry of indicator2; a text of 5000 characters has no room for more than a few.
func (p *prose) verdicts(entries []qualys.Indicator) {
	const most = 10
	for i := range entries {
		if i == most {
			p.say("\n- and ")
			p.number(int64(len(entries) - most))
			p.say(" more verdicts")
			return
		}
		p.say("\n- Verdict ")
		p.verdict(&entries[i], true)
		if rated(entries[i].Score) {
			p.say(", score ")
			p.number(int64(entries[i].Score.Value))
		}
		if sha := first(entries[i].SHA256); sha != "" {
			p.say(", on ")
			p.code(sha)
		}
	}
}

// indicatorDescription tells what the rating is based on. It does not depend on what was asked.
func (m *mapper) indicatorDescription() string {
	var p prose
	p.b.Grow(512)
	m.rating(&p)
	p.say(". In Qualys's scale 0 is known good, 1 remediated, 2 to 7 suspicious, 8 to 10 malicious.")
	if len(m.event.Indicators) > 0 {
		p.say("\n")
		p.verdicts(m.event.Indicators)
	}
	return p.String()
}
