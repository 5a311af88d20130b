package mapping

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"qualysrelay.example/qualys"
)

// Longest pieces of foreign text within a sentence, in characters.
const (
	maxWord     = 120 // in a line
	maxValue    = 500 // in a description
	maxVerdicts = 10  // in a description
)

// prose builds text for people out of values that nobody vouches for.
type prose struct{ strings.Builder }

// say appends texts of our own.
func (p *prose) say(texts ...string) {
	for _, s := range texts {
		p.WriteString(s)
	}
}

// text appends a value of at most n characters. What would not show or would turn the text around it
// (control and format characters such as right-to-left overrides, line separators, invalid bytes) becomes
// U+FFFD.
func (p *prose) text(s string, n int) {
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
		// Joiners are part of words in some scripts.
		if r != '\u200C' && r != '\u200D' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = utf8.RuneError
		}
		p.WriteRune(r)
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

// code appends a value as a Markdown code span, in which nothing is markup but the backtick that ends it.
func (p *prose) code(s string) {
	p.say("`")
	p.text(strings.ReplaceAll(s, "`", "'"), maxValue)
	p.say("`")
}

// item appends a line of a list where the value is not blank, and says whether it is not.
func (p *prose) item(label, value string) bool {
	if value = strings.TrimSpace(value); value == "" {
		return false
	}
	p.say("\n- ", label, ": ")
	p.code(value)
	return true
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

// title is what happened, where and to what: "File created on WS-07: invoice.exe".
func (m *mapper) title() string { return title(m.event, hostOf(m.event)) }

// Row is the event as cells of a Markdown table: the host ("" where it is not named), and what happened to
// what. Both are code spans, in which nothing is markup but the backtick that would end them; that and the
// bar, which would end the cell, are shown as ' and ¦.
func Row(e *qualys.Event) (host, what string) {
	cell := func(s string) string {
		var p prose
		p.code(strings.ReplaceAll(s, "|", "¦"))
		return p.String()
	}
	if host = hostOf(e); host != "" {
		host = cell(host)
	}
	return host, cell(title(e, ""))
}

// hostOf is the host's name, "" where there is none.
func hostOf(e *qualys.Event) string { return first(e.Asset.NetBIOSName, e.Asset.HostName) }

// title is what happened and to what, and where if host is not empty.
func title(e *qualys.Event, host string) string {
	var p, object prose
	p.Grow(128)
	action := first(strings.ReplaceAll(e.Action, "_", " "))
	switch {
	case strings.Contains(action, " "): // the name of what detected it, such as "Anti-Exploit protection"
		p.text(action, maxWord)
	case action != "":
		p.subject(e)
		p.say(" ")
		p.text(strings.ToLower(action), maxWord)
	default:
		p.subject(e)
		if t := eventType(e); t != typeNetwork && t != "" {
			p.say(" event")
		}
	}
	if host != "" {
		p.say(" on ")
		p.text(host, maxWord)
	}
	if object.object(e); object.Len() > 0 {
		p.say(": ", object.String())
	}
	return p.String()
}

// subject is what the event happened to, by its type.
func (p *prose) subject(e *qualys.Event) {
	switch eventType(e) {
	case typeNetwork:
		p.say("Network connection")
	case typeRegistry:
		p.say("Registry key")
	default:
		p.text(first(nounOf(e), e.Type, "Event"), maxWord)
	}
}

// object is the shortest name of what the event is about.
func (p *prose) object(e *qualys.Event) {
	process := ""
	if q := e.Process; q != nil {
		process = first(q.Name, baseName(q.FullPath))
	}
	switch {
	case e.File != nil:
		p.text(first(e.File.Name, baseName(e.File.FullPath), e.File.SHA256, e.File.MD5), maxWord)
	case e.Network != nil:
		p.text(process, maxWord)
		ip := first(e.Network.RemoteIP)
		remote := first(e.Network.RemoteDNS, ip)
		if remote == "" {
			return
		}
		if process != "" {
			p.say(" to ")
		}
		p.text(remote, maxWord)
		if ip != "" && ip != remote {
			p.say(" (")
			p.text(ip, maxWord)
			p.say(")")
		}
	case e.Registry != nil:
		p.text(first(e.Registry.Key, e.Registry.ValueName), maxWord)
	case e.Process != nil:
		p.text(first(process, e.Process.SHA256), maxWord)
	}
}

// indicatorDescription tells what the rating is and rests on. It does not depend on what was asked.
func (m *mapper) indicatorDescription() string {
	var p prose
	p.Grow(128)
	p.say("Qualys rated this event ", strconv.Itoa(m.score.Value), " of 10")
	if len(m.event.Indicators) > 0 {
		worst := slices.MaxFunc(m.event.Indicators, func(a, b qualys.Indicator) int {
			return verdictOf(&a).rank() - verdictOf(&b).rank()
		})
		p.say(": ")
		p.code(first(worst.Verdict, "no verdict"))
		if name := first(worst.ThreatName); name != "" {
			p.say(", ")
			p.code(name)
		}
	}
	p.say(".")
	return p.String()
}

// verdict is one entry of indicator2: the verdict and the threat's names.
func (p *prose) verdict(entry *qualys.Indicator) {
	p.item("Verdict", first(entry.Verdict, "not given"))
	if name := first(entry.ThreatName); name != "" {
		p.say(", ")
		p.code(name)
	}
	for i, value := range [...]string{entry.FamilyName, entry.Category} {
		if v := first(value); v != "" && v != first(entry.ThreatName) {
			p.say([...]string{", family ", ", category "}[i])
			p.code(v)
		}
	}
}

// description is what the event tells beyond the title and the other fields of the sighting, in Markdown.
func (m *mapper) description() string {
	var p prose
	p.Grow(512)
	e := m.event
	p.say("Found by the ", m.asked.Type.Name())
	if e.Active {
		p.say(" in the endpoint's current state")
	} else {
		p.say(" in the endpoint's history")
	}
	if m.level != "" {
		p.say(", rated ", strconv.Itoa(m.score.Value), " of 10.\n")
	} else {
		p.say(", not rated.\n")
	}
	m.verdicts(&p)
	if f := e.File; f != nil {
		p.item("File", f.FullPath)
	}
	if q := e.Process; q != nil {
		image, command := first(q.FullPath, q.Name), first(q.Arguments)
		if strings.Contains(command, image) { // as it nearly always does
			p.numbered("Command line", command, "process", q.PID)
		} else {
			p.numbered("Process", image, "process", q.PID)
			p.item("Command line", command)
		}
		p.item("User", q.UserName)
	}
	if a := e.Actor; a != nil {
		p.numbered("Caused by", first(a.ImageFullPath, a.ProcessName), "process", a.ProcessID)
	}
	if n := e.Network; n != nil {
		p.item("Connection", first(n.Direction)+" "+first(n.Protocol))
		p.numbered("Local", n.LocalIP, "port", n.LocalPort)
		p.numbered("Remote", n.RemoteIP, "port", n.RemotePort)
	}
	if r := e.Registry; r != nil {
		p.item("Registry key", r.Key)
		p.item("Registry value", r.ValueName)
		p.item("Registry data", r.ValueData)
	}
	p.item("Agent", e.Asset.AgentID)
	p.item("Reported by", e.Source)
	return p.String()
}

// numbered is item with a number behind the value where there is one, such as a port.
func (p *prose) numbered(label, value, unit string, n int64) {
	if p.item(label, value) && n != 0 {
		p.say(" (", unit, " ", strconv.FormatInt(n, 10), ")")
	}
}

// verdicts has a line for each entry of indicator2. It names the score and the file where they are not
// the event's own.
func (m *mapper) verdicts(p *prose) {
	entries := m.event.Indicators
	for i := range entries {
		entry := &entries[i]
		if i == maxVerdicts {
			p.say("\n- and ", strconv.Itoa(len(entries)-maxVerdicts), " more verdicts")
			return
		}
		p.verdict(entry)
		if rated(entry.Score) && entry.Score != m.score {
			p.say(", score ", strconv.Itoa(entry.Score.Value))
		}
		if sha := first(entry.SHA256); sha != "" && !strings.EqualFold(sha, m.file.sha256.Value) &&
			!strings.EqualFold(sha, m.process.sha256.Value) {
			p.say(", on ")
			p.code(sha)
		}
	}
}
