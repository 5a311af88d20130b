package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
)

// context tells the event in CTIM's own terms, or is nil where a field that CTIM requires is missing or CTIM
// has nothing for what was done: it knows no event for a process that ended. Qualys publishes no list of
// actions: one that is not known is not guessed at.
func (m *Mapper) context() *ctim.Context {
	// The process that did it: the actor where the event names one, and of a PROCESS event the process itself.
	f, p, a, r := &m.file, &m.process, &m.actor, &m.registry
	e := ctim.ContextEvent{Time: ctim.ObservedTime{Start: m.time}}
	if a.ProcessName != "" && a.ProcessID != 0 && m.noun != "Process" {
		e.ProcessID, e.ProcessName = a.ProcessID, ctim.Short(a.ProcessName)
	} else {
		e.ProcessID, e.ProcessName, e.ProcessUsername = p.PID, ctim.Short(p.Name), ctim.Short(p.UserName)
	}
	if e.ProcessName == "" || e.ProcessID == 0 {
		return nil
	}
	var c ctim.Context
	var list *[]ctim.ContextEvent
	switch m.noun + " " + upper(m.event.Action) {
	case "File CREATED":
		list, e.Type = &c.FileCreate, "FileCreateEvent"
	case "File DELETED":
		list, e.Type = &c.FileDelete, "FileDeleteEvent"
	case "File MODIFIED", "File WRITTEN":
		list, e.Type = &c.FileModify, "FileModifyEvent"
	case "Process ", "Process CREATED", "Process STARTED", "Process RUNNING":
		list, e.Type = &c.ProcessCreate, "ProcessCreateEvent"
	case "Registry CREATED":
		list, e.Type = &c.RegistryCreate, "RegistryCreateEvent"
	case "Registry DELETED":
		list, e.Type = &c.RegistryDelete, "RegistryDeleteEvent"
	case "Registry SET", "Registry MODIFIED", "Registry WRITTEN":
		list, e.Type = &c.RegistrySet, "RegistrySetEvent"
		e.RegistryValue, e.RegistryData = ctim.Med(r.ValueName), ctim.Long(r.ValueData)
	}
	complete := true
	switch m.noun {
	case "File":
		e.FileName, e.FilePath = ctim.Short(f.Name), ctim.Med(f.FullPath)
		complete = e.FileName != "" && e.FilePath != ""
	case "Process":
		e.ProcessArgs, e.ParentProcessID = ctim.Med(p.Arguments), p.ParentPID
		e.ProcessHash = m.processHashes.hash(m.asked).Value
	case "Network": // whatever was done
		list, e.Type = &c.Netflow, "NetflowEvent"
		e.Traffic = m.traffic()
		complete = e.Traffic != nil
	case "Registry":
		e.RegistryKey = ctim.Short(r.Key)
		complete = e.RegistryKey != "" && (list != &c.RegistrySet || e.RegistryValue != "")
	}
	if list == nil || !complete {
		return nil
	}
	*list = []ctim.ContextEvent{e}
	return &c
}

// protocols that have ports, by IANA's numbers.
var protocols = map[string]int{
	"TCP": 6, "TCP6": 6, "TCPV6": 6, "6": 6, "UDP": 17, "UDP6": 17, "UDPV6": 17, "17": 17,
}

var directions = map[string]string{
	"OUT": "outgoing", "OUTBOUND": "outgoing", "OUTGOING": "outgoing",
	"IN": "incoming", "INBOUND": "incoming", "INCOMING": "incoming",
}

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// traffic is the event's connection, or nil where something is not known: CTIM wants all of both ends,
// the protocol and the direction.
func (m *Mapper) traffic() *ctim.Traffic {
	n := m.network
	isPort := func(n int64) bool { return n > 0 && n < 1<<16 }
	t := ctim.Traffic{
		Protocol: protocols[upper(n.Protocol)], Direction: directions[upper(n.Direction)],
		SourceIP:   m.observable(ctim.ObservableIP, n.LocalIP).Value,
		SourcePort: int(n.LocalPort), DestinationPort: int(n.RemotePort),
		DestinationIP: m.observable(ctim.ObservableIP, n.RemoteIP).Value,
	}
	if !isPort(n.LocalPort) || !isPort(n.RemotePort) || t.SourceIP == "" || t.DestinationIP == "" ||
		t.Protocol == 0 || t.Direction == "" {
		return nil
	}
	if t.Direction == "incoming" {
		t.SourceIP, t.DestinationIP = t.DestinationIP, t.SourceIP
		t.SourcePort, t.DestinationPort = t.DestinationPort, t.SourcePort
	} else {
		t.DestinationHostName = m.observable(ctim.ObservableDomain, n.RemoteDNS).Value
	}
	return &t
}
