package mapping

import (
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

// first is the first value that is not blank.
func first(values ...string) string {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
	}
	return ""
}

// clean is a value that nobody vouches for, of at most n characters, as part of a text for people. What
// would not show or would turn the text around it (control and format characters such as right-to-left
// overrides, line separators, invalid bytes) becomes U+FFFD.
func clean(s string, n int) string {
	stays := len(s) <= n // as nearly every value does
	for i := 0; stays && i < len(s); i++ {
		stays = s[i] >= ' ' && s[i] <= '~'
	}
	if stays {
		return s
	}
	runes := []rune(s)
	if len(runes) > n {
		runes = append(runes[:n], '…')
	}
	for i, r := range runes {
		// Joiners are part of words in some scripts.
		if r != '\u200C' && r != '\u200D' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			runes[i] = utf8.RuneError
		}
	}
	return string(runes)
}

func word(s string) string { return clean(strings.TrimSpace(s), maxWord) }

// Row is the event as cells of a Markdown table: the host ("" where it is not named), and what happened to
// what. Both are code spans; the bar, which would end the cell, is shown as ¦.
func Row(e *qualys.Event) (host, what string) {
	var m Mapper
	m.read(e)
	cell := func(s string) string {
		m.text = m.text[:0]
		m.text.value("", strings.ReplaceAll(s, "|", "¦"))
		return string(m.text)
	}
	return cell(m.host()), cell(m.title(""))
}

// host is the endpoint's name, "" where there is none.
func (m *Mapper) host() string { return first(m.event.Asset.NetBIOSName, m.event.Asset.HostName) }

// subjects are what something happened to, where that is not the noun.
var subjects = map[string]string{"Network": "Network connection", "Registry": "Registry key"}

// title is what happened, where if host is not empty, and to what: "File created on WS-07: invoice.exe".
func (m *Mapper) title(host string) string {
	subject := first(subjects[m.noun], m.noun, m.event.Type, "Event")
	action := strings.ReplaceAll(first(m.event.Action), "_", " ")
	p := &m.text
	*p = (*p)[:0]
	switch {
	case strings.Contains(action, " "): // the name of what detected it, such as "Anti-Exploit protection"
		p.say(word(action))
	case action != "":
		p.say(word(subject), " ", word(strings.ToLower(action)))
	case m.noun != "Network" && first(m.event.Type) != "":
		p.say(word(subject), " event")
	default:
		p.say(subject)
	}
	if host != "" {
		p.say(" on ", word(host))
	}
	if object := m.object(); object != "" {
		p.say(": ", object)
	}
	return string(*p)
}

// object is the shortest name of what the event is about.
func (m *Mapper) object() string {
	process := word(first(m.process.Name, baseName(m.process.FullPath)))
	switch f, n := m.file, m.network; {
	case m.event.File != nil:
		return word(first(f.Name, baseName(f.FullPath), f.SHA256, f.MD5))
	case m.event.Network != nil:
		ip := word(n.RemoteIP)
		remote := first(word(n.RemoteDNS), ip)
		if process != "" && remote != "" {
			process += " to "
		}
		if ip != "" && ip != remote {
			remote += " (" + ip + ")"
		}
		return process + remote
	case m.event.Registry != nil:
		return word(first(m.registry.Key, m.registry.ValueName))
	}
	return first(process, word(m.process.SHA256))
}

// prose is Markdown in the making.
type prose []byte

// say appends texts of our own.
func (p *prose) say(texts ...string) {
	for _, s := range texts {
		*p = append(*p, s...)
	}
}

// value appends a value with a text before it, where the value is not blank, and says whether it is not. It
// is a code span, in which nothing is markup but the backtick that would end it: that is shown as '.
func (p *prose) value(before, s string) bool {
	if s = first(s); s == "" {
		return false
	}
	p.say(before, "`", clean(strings.ReplaceAll(s, "`", "'"), maxValue), "`")
	return true
}

// numbered is value with a number behind it where there is one, such as a port.
func (p *prose) numbered(before, s, unit string, n int64) {
	if p.value(before, s) && n != 0 {
		p.say(" (", unit, " ", strconv.FormatInt(n, 10), ")")
	}
}

// indicatorDescription tells what the rating is and rests on. It does not depend on what was asked.
func (m *Mapper) indicatorDescription() string {
	p := &m.text
	*p = (*p)[:0]
	p.say("Qualys rated this event ", strconv.Itoa(m.score.Value), " of 10")
	if len(m.entries) > 0 {
		entry := worst(m.entries)
		p.value(": ", first(entry.Verdict, "no verdict"))
		p.value(", ", entry.ThreatName)
	}
	p.say(".")
	return string(*p)
}

// description is what the event tells beyond the title and the other fields of the sighting, in Markdown.
func (m *Mapper) description() string {
	p := &m.text
	*p = (*p)[:0]
	state, rating := "history", "not rated"
	if m.event.Active {
		state = "current state"
	}
	if m.level != "" {
		rating = "rated " + strconv.Itoa(m.score.Value) + " of 10"
	}
	p.say("Found by the ", m.asked.Type.Name(), " in the endpoint's ", state, ", ", rating, ".\n")
	m.describeVerdicts()
	p.value("\n- File: ", m.file.FullPath)
	image, command, pid := first(m.process.FullPath, m.process.Name), m.process.Arguments, m.process.PID
	if first(command) == "" || !strings.Contains(command, image) { // it nearly always does
		p.numbered("\n- Process: ", image, "process", pid)
		pid = 0
	}
	p.numbered("\n- Command line: ", command, "process", pid)
	p.value("\n- User: ", m.process.UserName)
	actor := first(m.actor.ImageFullPath, m.actor.ProcessName)
	p.numbered("\n- Caused by: ", actor, "process", m.actor.ProcessID)
	p.value("\n- Connection: ", first(m.network.Direction)+" "+first(m.network.Protocol))
	p.numbered("\n- Local: ", m.network.LocalIP, "port", m.network.LocalPort)
	p.numbered("\n- Remote: ", m.network.RemoteIP, "port", m.network.RemotePort)
	p.value("\n- Registry key: ", m.registry.Key)
	p.value("\n- Registry value: ", m.registry.ValueName)
	p.value("\n- Registry data: ", m.registry.ValueData)
	p.value("\n- Agent: ", m.event.Asset.AgentID)
	p.value("\n- Reported by: ", m.event.Source)
	return string(*p)
}

// describeVerdicts has a line for each entry of indicator2: the verdict and the threat's names, and the score
// and the file where they are not the event's own.
func (m *Mapper) describeVerdicts() {
	p := &m.text
	for i := range min(len(m.entries), maxVerdicts) {
		entry := &m.entries[i]
		p.value("\n- Verdict: ", first(entry.Verdict, "not given"))
		p.value(", ", entry.ThreatName)
		p.value(", family ", unless(entry.FamilyName, entry.ThreatName))
		p.value(", category ", unless(entry.Category, entry.ThreatName))
		if rated(entry.Score) && entry.Score != m.score {
			p.say(", score ", strconv.Itoa(entry.Score.Value))
		}
		p.value(", on ", unless(entry.SHA256, m.fileHashes.sha256.Value, m.processHashes.sha256.Value))
	}
	if more := len(m.entries) - maxVerdicts; more > 0 {
		p.say("\n- and ", strconv.Itoa(more), " more verdicts")
	}
}

// unless is s, or "" where it has been named.
func unless(s string, named ...string) string {
	for _, name := range named {
		if strings.EqualFold(first(s), first(name)) {
			return ""
		}
	}
	return s
}
