package mapping

import (
	"strconv"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// sightingContext tells the event in CTIM's own terms, or is nil where a field that CTIM requires is missing. Qualys publishes no list of actions: one
// that is not known here is not guessed at.
func sightingContext(e *qualys.Event, observed ctim.ObservedTime) *ctim.Context {
	action := strings.ToUpper(strings.TrimSpace(e.Action))
	switch strings.ToUpper(strings.TrimSpace(e.Type)) {
	case "FILE":
		return fileContext(e, action, observed)
	case "PROCESS":
		return processContext(e, action, observed)
	case "NETWORK":
		return networkContext(e, observed)
	case "REGISTRY":
		return registryContext(e, action, observed)
	}
	return nil
}

// actor is the process that did it: the actor of a FILE event, else the event's process. Without a name and an id there is none for CTIM.
func actor(e *qualys.Event, t ctim.ContextType, observed ctim.ObservedTime) (ctim.ContextBase, bool) {
	c := ctim.ContextBase{Type: t, Time: observed}
	switch {
	case e.Actor != nil && e.Actor.ProcessName != "" && e.Actor.ProcessID != 0:
		c.ProcessID, c.ProcessName = e.Actor.ProcessID, ctim.Short(e.Actor.ProcessName)
	case e.Process != nil && e.Process.Name != "" && e.Process.PID != 0:
		c.ProcessID, c.ProcessName, c.ProcessUsername = e.Process.PID, ctim.Short(e.Process.Name), ctim.Short(e.Process.UserName)
	default:
		return c, false
	}
	return c, true
}

func fileContext(e *qualys.Event, action string, observed ctim.ObservedTime) *ctim.Context {
	if e.File == nil || e.File.Name == "" || e.File.FullPath == "" {
		return nil
	}
	var t ctim.ContextType
	switch action {
	case "CREATED", "CREATE":
		t = ctim.ContextFileCreate
	case "DELETED", "DELETE":
		t = ctim.ContextFileDelete
	case "MODIFIED", "MODIFY", "WRITTEN", "WRITE":
		t = ctim.ContextFileModify
	}
	base, ok := actor(e, t, observed)
	if !ok || t == "" {
		return nil
	}
	events := []ctim.FileEvent{{ContextBase: base, FileName: ctim.Short(e.File.Name), FilePath: ctim.Med(e.File.FullPath)}}
	switch t {
	case ctim.ContextFileDelete:
		return &ctim.Context{FileDelete: events}
	case ctim.ContextFileModify:
		return &ctim.Context{FileModify: events}
	}
	return &ctim.Context{FileCreate: events}
}

// processContext tells of a process that is there: CTIM knows no event for one that ended.
func processContext(e *qualys.Event, action string, observed ctim.ObservedTime) *ctim.Context {
	switch action {
	case "", "CREATED", "CREATE", "STARTED", "START", "RUNNING":
	default:
		return nil
	}
	p := e.Process
	if p == nil || p.Name == "" || p.PID == 0 {
		return nil
	}
	return &ctim.Context{ProcessCreate: []ctim.ProcessCreateEvent{{
		ContextBase: ctim.ContextBase{
			Type: ctim.ContextProcessCreate, Time: observed,
			ProcessID: p.PID, ProcessName: ctim.Short(p.Name), ProcessUsername: ctim.Short(p.UserName),
		},
		ProcessArgs:     ctim.Med(p.Arguments),
		ProcessHash:     processHash(p),
		ParentProcessID: p.ParentPID,
	}}}
}

func networkContext(e *qualys.Event, observed ctim.ObservedTime) *ctim.Context {
	base, ok := actor(e, ctim.ContextNetflow, observed)
	if !ok || e.Network == nil {
		return nil
	}
	traffic, ok := trafficOf(e.Network)
	if !ok {
		return nil
	}
	flow := ctim.NetflowEvent{ContextBase: base, Traffic: traffic}
	if p := e.Process; p != nil && p.PID == base.ProcessID {
		flow.ProcessPath, flow.ProcessArgs = ctim.Short(p.FullPath), ctim.Short(p.Arguments)
		flow.ProcessHash, flow.ParentProcessID = processHash(p), p.ParentPID
	}
	return &ctim.Context{Netflow: []ctim.NetflowEvent{flow}}
}

// trafficOf is the connection seen from its source. It takes all of both ends, the protocol and the direction: CTIM requires each.
func trafficOf(n *qualys.Network) (ctim.Traffic, bool) {
	local, okLocal := ipObservable(n.LocalIP)
	remote, okRemote := ipObservable(n.RemoteIP)
	protocol := protocolNumber(n.Protocol)
	if !okLocal || !okRemote || !isPort(n.LocalPort) || !isPort(n.RemotePort) || protocol < 0 {
		return ctim.Traffic{}, false
	}
	switch strings.ToUpper(strings.TrimSpace(n.Direction)) {
	case "OUT", "OUTBOUND", "OUTGOING":
		t := ctim.Traffic{
			Protocol: protocol, Direction: ctim.DirectionOutgoing,
			SourceIP: local.Value, SourcePort: int(n.LocalPort), DestinationIP: remote.Value, DestinationPort: int(n.RemotePort),
		}
		if d, ok := domainObservable(n.RemoteDNS); ok {
			t.DestinationHostName = d.Value
		}
		return t, true
	case "IN", "INBOUND", "INCOMING":
		return ctim.Traffic{
			Protocol: protocol, Direction: ctim.DirectionIncoming,
			SourceIP: remote.Value, SourcePort: int(n.RemotePort), DestinationIP: local.Value, DestinationPort: int(n.LocalPort),
		}, true
	}
	return ctim.Traffic{}, false
}

func isPort(n int64) bool { return n > 0 && n < 1<<16 }

// protocolNumber is the IANA number of a protocol that has ports, or -1.
func protocolNumber(s string) int {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "TCP", "TCP6", "TCPV6":
		return 6
	case "UDP", "UDP6", "UDPV6":
		return 17
	}
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil && (n == 6 || n == 17) {
		return n
	}
	return -1
}

func registryContext(e *qualys.Event, action string, observed ctim.ObservedTime) *ctim.Context {
	if e.Registry == nil || e.Registry.Key == "" {
		return nil
	}
	var t ctim.ContextType
	switch action {
	case "CREATED", "CREATE":
		t = ctim.ContextRegistryCreate
	case "DELETED", "DELETE":
		t = ctim.ContextRegistryDelete
	case "SET", "MODIFIED", "MODIFY", "WRITTEN", "WRITE":
		t = ctim.ContextRegistrySet
	}
	base, ok := actor(e, t, observed)
	if !ok || t == "" {
		return nil
	}
	key := ctim.Short(e.Registry.Key)
	switch t {
	case ctim.ContextRegistryCreate:
		return &ctim.Context{RegistryCreate: []ctim.RegistryEvent{{ContextBase: base, RegistryKey: key}}}
	case ctim.ContextRegistryDelete:
		return &ctim.Context{RegistryDelete: []ctim.RegistryEvent{{ContextBase: base, RegistryKey: key}}}
	}
	if e.Registry.ValueName == "" {
		return nil
	}
	return &ctim.Context{RegistrySet: []ctim.RegistrySetEvent{{
		ContextBase: base, RegistryKey: key,
		RegistryValue: ctim.Med(e.Registry.ValueName), RegistryData: ctim.Long(e.Registry.ValueData),
	}}}
}

func processHash(p *qualys.Process) string {
	o, _ := processImage(p).hash()
	return o.Value
}
