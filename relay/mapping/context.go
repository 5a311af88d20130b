package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
)

// context tells the event in CTIM's own terms, or is nil where a field that CTIM requires is missing or CTIM
// has nothing for what was done: it knows no event for a process that ended.
func (m *Mapper) context() *ctim.Context {
	e := m.contextEvent()
	if e.ProcessName == "" || e.ProcessID == 0 {
		return nil
	}
	did := actions[upper(m.event.Action)]
	var c ctim.Context
	var list *[]ctim.ContextEvent
	switch f, p, r := m.file, m.process, m.registry; m.noun {
	case "File":
		if f.Name == "" || f.FullPath == "" {
			return nil
		}
		e.FileName, e.FilePath = ctim.Short(f.Name), ctim.Med(f.FullPath)
		switch did {
		case "create":
			list, e.Type = &c.FileCreate, "FileCreateEvent"
		case "delete":
			list, e.Type = &c.FileDelete, "FileDeleteEvent"
		case "modify":
			list, e.Type = &c.FileModify, "FileModifyEvent"
		}
	case "Process":
		e.ProcessArgs, e.ParentProcessID = ctim.Med(p.Arguments), p.ParentPID
		e.ProcessHash = m.processHashes.hash(m.asked).Value
		if did == "none" || did == "create" || did == "run" {
			list, e.Type = &c.ProcessCreate, "ProcessCreateEvent"
		}
	case "Network":
		if e.Traffic = m.traffic(); e.Traffic != nil {
			list, e.Type = &c.Netflow, "NetflowEvent"
		}
	case "Registry":
		if r.Key == "" {
			return nil
		}
		e.RegistryKey = ctim.Short(r.Key)
		switch {
		case did == "create":
			list, e.Type = &c.RegistryCreate, "RegistryCreateEvent"
		case did == "delete":
			list, e.Type = &c.RegistryDelete, "RegistryDeleteEvent"
		case did == "modify" && r.ValueName != "":
			e.RegistryValue, e.RegistryData = ctim.Med(r.ValueName), ctim.Long(r.ValueData)
			list, e.Type = &c.RegistrySet, "RegistrySetEvent"
		}
	}
	if list == nil {
		return nil
	}
	*list = []ctim.ContextEvent{e}
	return &c
}

// contextEvent has the time and the process that did it, the actor where the event names one. Of a PROCESS
// event that is the process itself.
func (m *Mapper) contextEvent() ctim.ContextEvent {
	e := ctim.ContextEvent{Time: ctim.ObservedTime{Start: m.time}}
	if a := m.actor; a.ProcessName != "" && a.ProcessID != 0 && m.noun != "Process" {
		e.ProcessID, e.ProcessName = a.ProcessID, ctim.Short(a.ProcessName)
	} else {
		p := m.process
		e.ProcessID, e.ProcessName, e.ProcessUsername = p.PID, ctim.Short(p.Name), ctim.Short(p.UserName)
	}
	return e
}

// actions are what an event did to its object. Qualys publishes no list of them: one that is not known is
// not guessed at.
var actions = map[string]string{
	"":        "none",
	"CREATED": "create", "CREATE": "create",
	"DELETED": "delete", "DELETE": "delete",
	"MODIFIED": "modify", "MODIFY": "modify", "WRITTEN": "modify", "WRITE": "modify", "SET": "modify",
	"STARTED": "run", "START": "run", "RUNNING": "run",
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
