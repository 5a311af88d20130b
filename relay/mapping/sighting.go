package mapping

import (
	"slices"

	"qualysrelay.example/ctim"
)

// sighting is the event as it was seen on its endpoint, or nil where it has no time.
func (m *Mapper) sighting() *ctim.Sighting {
	if m.time == "" {
		return nil
	}
	observed := ctim.ObservedTime{Start: m.time, End: m.time}
	m.data.Rows[0][0] = "False"
	if m.event.Active {
		m.data.Rows[0][0] = "True"
	}
	id := ctim.NewID(ctim.KindSighting, m.key, string(m.asked.Type), m.asked.Value)
	base := m.base(ctim.KindSighting, id)
	base.ExternalReferences = m.references
	m.lastSighting = ctim.Sighting{
		Base:             base,
		Title:            ctim.Short(m.title(m.host())),
		Description:      ctim.Long(m.description()),
		Confidence:       "High",
		Count:            1,
		Internal:         true,
		Severity:         m.severity,
		Resolution:       m.resolution(),
		Sensor:           endpoint,
		ObservedTime:     observed,
		ActivityInterval: observed,
		Observables:      m.observables,
		Targets:          m.targets(),
		Relations:        m.relations(),
		Data:             &m.data,
		Context:          m.context(),
	}
	return &m.lastSighting
}

// resolution is contained where Qualys dealt with what it found. One file that is still there as
// malicious or suspicious outweighs another that is not.
func (m *Mapper) resolution() string {
	if m.verdict == remediated || m.verdict.rank < remediated.rank && m.level == "Remediated" {
		return "contained"
	}
	return "detected"
}

// targets is the endpoint, or nothing where no field identifies one.
func (m *Mapper) targets() []ctim.Target {
	a := &m.event.Asset
	out := make([]ctim.Observable, 0, 2+2*len(a.Interfaces))
	add := func(t ctim.ObservableType, value string) {
		out = addOnce(out, m.observable(t, value))
	}
	add(ctim.ObservableHostname, a.NetBIOSName)
	add(ctim.ObservableHostname, unless(a.HostName, a.NetBIOSName))
	for i := range a.Interfaces {
		add(ctim.ObservableIP, a.Interfaces[i].IPAddress)
		add(ctim.ObservableMACAddress, a.Interfaces[i].MACAddress)
	}
	if len(out) == 0 {
		return nil
	}
	return []ctim.Target{{
		Type: endpoint, Observables: out, ObservedTime: ctim.ObservedTime{Start: m.time},
		OS: first(a.FullOSName, a.Platform),
	}}
}

// relations are the facts that the event states between observables, each once.
func (m *Mapper) relations() []ctim.Relation {
	out := slices.Grow(m.lastSighting.Relations[:0], 5)
	add := func(from ctim.Observable, relation string, to ...ctim.Observable) {
		for _, o := range to {
			if from.Value != "" && o.Value != "" {
				out = addOnce(out, ctim.Relation{Origin: source, Relation: relation, Source: from, Related: o})
			}
		}
	}
	// A name and a path belong to each hash of a file. CTIM's list lacks these two relations, but XDR users
	// know them well.
	addFile := func(name, path string, hashes ...ctim.Observable) {
		add(m.observable(ctim.ObservableFileName, name), "File_Name_Of", hashes...)
		add(m.observable(ctim.ObservableFilePath, path), "File_Path_Of", hashes...)
	}
	name := first(m.file.Name, baseName(m.file.FullPath))
	addFile(name, m.file.FullPath, m.fileHashes.sha256, m.fileHashes.md5)
	path, ran := m.process.FullPath, m.processHashes
	switch {
	case m.event.Network != nil:
		ip := m.observable(ctim.ObservableIP, m.network.RemoteIP)
		domain := m.observable(ctim.ObservableDomain, m.network.RemoteDNS)
		add(m.observable(ctim.ObservableProcessName, m.process.Name), "Connected_To", ip, domain)
		add(ran.sha256, "Connected_To", ip, domain)
		add(domain, "Resolved_To", ip)
	case m.noun == "Process":
		addFile(baseName(path), path, ran.sha256, ran.md5)
	default: // of a process that only acted, one hash will do
		addFile(baseName(path), path, ran.hash(m.asked))
	}
	return out
}
