package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
)

// context tells the event in CTIM's own terms, or is nil where a field that CTIM requires is missing, or
// where CTIM has nothing for what was done: it knows no event for a process that ended.
func (m *Mapper) context() *ctim.Context {
	e := m.contextEvent()
	did := action(m.event.Action)
	if e.ProcessName == "" || e.ProcessID == 0 {
		return nil
	}
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
		if did == "" || did == "create" || did == "run" {
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

// action is what an event did to its object. Qualys publishes no list of actions: one that is not known
// is not guessed at.
func action(name string) string {
	switch strings.ToUpper(strings.TrimSpace(name)) {
	case "":
		return ""
	case "CREATED", "CREATE":
		return "create"
	case "DELETED", "DELETE":
		return "delete"
	case "MODIFIED", "MODIFY", "WRITTEN", "WRITE", "SET":
		return "modify"
	case "STARTED", "START", "RUNNING":
		return "run"
	}
	return "unknown"
}

// traffic is the event's connection, or nil where something is not known: CTIM wants all of both ends,
// the protocol and the direction.
func (m *Mapper) traffic() *ctim.Traffic {
	n := m.network
	if !isPort(n.LocalPort) || !isPort(n.RemotePort) {
		return nil
	}
	local := m.observable(ctim.ObservableIP, n.LocalIP).Value
	remote := m.observable(ctim.ObservableIP, n.RemoteIP).Value
	protocol := protocolNumber(n.Protocol)
	if local == "" || remote == "" || protocol == 0 {
		return nil
	}
	switch strings.ToUpper(strings.TrimSpace(n.Direction)) {
	case "OUT", "OUTBOUND", "OUTGOING":
		return &ctim.Traffic{
			Protocol: protocol, Direction: ctim.DirectionOutgoing,
			SourceIP: local, SourcePort: int(n.LocalPort),
			DestinationIP: remote, DestinationPort: int(n.RemotePort),
			DestinationHostName: m.observable(ctim.ObservableDomain, n.RemoteDNS).Value,
		}
	case "IN", "INBOUND", "INCOMING":
		return &ctim.Traffic{
			Protocol: protocol, Direction: ctim.DirectionIncoming,
			SourceIP: remote, SourcePort: int(n.RemotePort),
			DestinationIP: local, DestinationPort: int(n.LocalPort),
		}
	}
	return nil
}

func isPort(n int64) bool { return n > 0 && n < 1<<16 }

// protocolNumber is the IANA number of a protocol that has ports, or 0.
func protocolNumber(s string) int {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "TCP", "TCP6", "TCPV6", "6":
		return 6
	case "UDP", "UDP6", "UDPV6", "17":
		return 17
	}
	return 0
}
