package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// context tells the event in CTIM's own terms, or is nil where a field that CTIM requires is missing.
func (m *mapper) context() *ctim.Context {
	switch action := actionOf(m.event); eventType(m.event) {
	case typeFile:
		return m.fileContext(action)
	case typeProcess:
		return m.processContext(action)
	case typeNetwork:
		return m.networkContext()
	case typeRegistry:
		return m.registryContext(action)
	}
	return nil
}

// action is what an event did to its object. Qualys publishes no list of actions: one that is not known
// is not guessed at.
type action int

const (
	actionUnknown action = iota
	actionNone
	actionCreate
	actionDelete
	actionModify
	actionRun
)

func actionOf(e *qualys.Event) action {
	switch strings.ToUpper(strings.TrimSpace(e.Action)) {
	case "":
		return actionNone
	case "CREATED", "CREATE":
		return actionCreate
	case "DELETED", "DELETE":
		return actionDelete
	case "MODIFIED", "MODIFY", "WRITTEN", "WRITE", "SET":
		return actionModify
	case "STARTED", "START", "RUNNING":
		return actionRun
	}
	return actionUnknown
}

// by is the process that did it: the actor of a FILE event, else the event's process. CTIM wants its name
// and its id.
func (m *mapper) by() (c ctim.ContextBase, ok bool) {
	c.Time.Start = m.time
	if a := m.event.Actor; a != nil && a.ProcessName != "" && a.ProcessID != 0 {
		c.ProcessID, c.ProcessName = a.ProcessID, ctim.Short(a.ProcessName)
	} else if p := m.event.Process; p != nil {
		c.ProcessID, c.ProcessName, c.ProcessUsername = p.PID, ctim.Short(p.Name), ctim.Short(p.UserName)
	}
	return c, c.ProcessName != "" && c.ProcessID != 0
}

func (m *mapper) fileContext(did action) *ctim.Context {
	f := m.event.File
	if f == nil || f.Name == "" || f.FullPath == "" {
		return nil
	}
	by, ok := m.by()
	if !ok {
		return nil
	}
	event := ctim.FileEvent{ContextBase: by, FileName: ctim.Short(f.Name), FilePath: ctim.Med(f.FullPath)}
	switch did {
	case actionCreate:
		event.Type = ctim.ContextFileCreate
		return &ctim.Context{FileCreate: []ctim.FileEvent{event}}
	case actionDelete:
		event.Type = ctim.ContextFileDelete
		return &ctim.Context{FileDelete: []ctim.FileEvent{event}}
	case actionModify:
		event.Type = ctim.ContextFileModify
		return &ctim.Context{FileModify: []ctim.FileEvent{event}}
	}
	return nil
}

// processContext tells of a process that is there: CTIM knows no event for one that ended.
func (m *mapper) processContext(did action) *ctim.Context {
	p := m.event.Process
	started := did == actionNone || did == actionCreate || did == actionRun
	if p == nil || p.Name == "" || p.PID == 0 || !started {
		return nil
	}
	return &ctim.Context{ProcessCreate: []ctim.ProcessCreateEvent{{
		ContextBase: ctim.ContextBase{
			Type: ctim.ContextProcessCreate, Time: ctim.ObservedTime{Start: m.time},
			ProcessID: p.PID, ProcessName: ctim.Short(p.Name), ProcessUsername: ctim.Short(p.UserName),
		},
		ProcessArgs:     ctim.Med(p.Arguments),
		ProcessHash:     m.process.hash(m.asked).Value,
		ParentProcessID: p.ParentPID,
	}}}
}

// networkContext tells of a connection. CTIM wants all of both ends, the protocol and the direction.
func (m *mapper) networkContext() *ctim.Context {
	by, ok := m.by()
	by.Type = ctim.ContextNetflow
	n := m.event.Network
	if !ok || n == nil || !isPort(n.LocalPort) || !isPort(n.RemotePort) {
		return nil
	}
	local, okLocal := m.observable(ctim.ObservableIP, n.LocalIP)
	remote, okRemote := m.observable(ctim.ObservableIP, n.RemoteIP)
	protocol := protocolNumber(n.Protocol)
	if !okLocal || !okRemote || protocol == 0 {
		return nil
	}
	t := ctim.Traffic{Protocol: protocol}
	switch strings.ToUpper(strings.TrimSpace(n.Direction)) {
	case "OUT", "OUTBOUND", "OUTGOING":
		t.Direction = ctim.DirectionOutgoing
		t.SourceIP, t.SourcePort = local.Value, int(n.LocalPort)
		t.DestinationIP, t.DestinationPort = remote.Value, int(n.RemotePort)
		domain, _ := m.observable(ctim.ObservableDomain, n.RemoteDNS)
		t.DestinationHostName = domain.Value
	case "IN", "INBOUND", "INCOMING":
		t.Direction = ctim.DirectionIncoming
		t.SourceIP, t.SourcePort = remote.Value, int(n.RemotePort)
		t.DestinationIP, t.DestinationPort = local.Value, int(n.LocalPort)
	default:
		return nil
	}
	return &ctim.Context{Netflow: []ctim.NetflowEvent{{ContextBase: by, Traffic: t}}}
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

func (m *mapper) registryContext(did action) *ctim.Context {
	r := m.event.Registry
	if r == nil || r.Key == "" {
		return nil
	}
	by, ok := m.by()
	if !ok {
		return nil
	}
	event := ctim.RegistryEvent{ContextBase: by, RegistryKey: ctim.Short(r.Key)}
	switch {
	case did == actionCreate:
		event.Type = ctim.ContextRegistryCreate
		return &ctim.Context{RegistryCreate: []ctim.RegistryEvent{event}}
	case did == actionDelete:
		event.Type = ctim.ContextRegistryDelete
		return &ctim.Context{RegistryDelete: []ctim.RegistryEvent{event}}
	case did == actionModify && r.ValueName != "":
		event.Type = ctim.ContextRegistrySet
		return &ctim.Context{RegistrySet: []ctim.RegistrySetEvent{{
			RegistryEvent: event, RegistryValue: ctim.Med(r.ValueName), RegistryData: ctim.Long(r.ValueData),
		}}}
	}
	return nil
}
