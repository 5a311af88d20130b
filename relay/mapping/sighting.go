package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
)

// sighting is the event as it was seen on its endpoint, or nil where it has no time.
func (m *mapper) sighting() *ctim.Sighting {
	if m.time == "" {
		return nil
	}
	observed := ctim.ObservedTime{Start: m.time, End: m.time}
	active := "False"
	if m.event.Active {
		active = "True"
	}
	base := m.base(ctim.KindSighting,
		ctim.DerivedID(ctim.KindSighting, m.key, string(m.asked.Type), m.asked.Value))
	if m.huntingURL != "" {
		base.ExternalReferences = []ctim.ExternalReference{{
			SourceName: source, Description: "The search in Qualys", URL: m.huntingURL,
		}}
	}
	return &ctim.Sighting{
		Base:             base,
		Title:            ctim.Short(m.title()),
		Description:      ctim.Long(m.description()),
		Confidence:       ctim.ConfidenceHigh,
		Count:            1,
		Internal:         true,
		Severity:         m.severity,
		Resolution:       m.resolution(),
		Sensor:           ctim.SensorEndpoint,
		ObservedTime:     observed,
		ActivityInterval: observed,
		Observables:      []ctim.Observable{m.asked},
		Targets:          m.targets(),
		Relations:        m.relations(),
		Data: &ctim.DataTable{
			Columns:  []ctim.Column{{Name: "Active", Type: "string"}}, // CTIM has no boolean type
			Rows:     [][]string{{active}},
			RowCount: 1,
		},
		Context: m.context(),
	}
}

// resolution is contained where Qualys dealt with what it found. One file that is still there as
// malicious or suspicious outweighs another that is not.
func (m *mapper) resolution() string {
	contained := m.score.Known && m.score.Value == 1
	for i := range m.event.Indicators {
		switch verdictOf(&m.event.Indicators[i]) {
		case verdictRemediated:
			contained = true
		case verdictMalicious, verdictSuspicious:
			return ctim.ResolutionDetected
		}
	}
	if contained {
		return ctim.ResolutionContained
	}
	return ctim.ResolutionDetected
}

// targets is the endpoint, or nothing where no field identifies one.
func (m *mapper) targets() []ctim.Target {
	a := &m.event.Asset
	out := make([]ctim.Observable, 0, 2+2*len(a.Interfaces))
	add := func(t ctim.ObservableType, value string) {
		if o, ok := m.observable(t, value); ok {
			out = addOnce(out, o)
		}
	}
	add(ctim.ObservableHostname, a.NetBIOSName)
	if !strings.EqualFold(strings.TrimSpace(a.HostName), strings.TrimSpace(a.NetBIOSName)) {
		add(ctim.ObservableHostname, a.HostName)
	}
	for i := range a.Interfaces {
		add(ctim.ObservableIP, a.Interfaces[i].IPAddress)
		add(ctim.ObservableMACAddress, a.Interfaces[i].MACAddress)
	}
	if len(out) == 0 {
		return nil
	}
	return []ctim.Target{{
		Type: ctim.SensorEndpoint, Observables: out, ObservedTime: ctim.ObservedTime{Start: m.time},
		OS: first(a.FullOSName, a.Platform),
	}}
}

// relations are the facts that the event states between observables, each once.
func (m *mapper) relations() []ctim.Relation {
	out := make([]ctim.Relation, 0, 5)
	add := func(from ctim.Observable, relation string, to ctim.Observable) {
		if from.Value != "" && to.Value != "" {
			out = addOnce(out, ctim.Relation{Origin: source, Relation: relation, Source: from, Related: to})
		}
	}
	// A name and a path belong to both hashes of a file. Of a process that only acted, its first hash
	// will do.
	named := func(f image, name, path string) {
		fileName, _ := m.observable(ctim.ObservableFileName, name)
		filePath, _ := m.observable(ctim.ObservableFilePath, path)
		add(fileName, ctim.RelationFileNameOf, f.sha256)
		add(fileName, ctim.RelationFileNameOf, f.md5)
		add(filePath, ctim.RelationFilePathOf, f.sha256)
		add(filePath, ctim.RelationFilePathOf, f.md5)
	}
	if f := m.event.File; f != nil {
		named(m.file, first(f.Name, baseName(f.FullPath)), f.FullPath)
	}
	p, n := m.event.Process, m.event.Network
	switch {
	case p == nil || n != nil:
	case eventType(m.event) == typeProcess:
		named(m.process, baseName(p.FullPath), p.FullPath)
	default:
		hash := m.process.hash(m.asked)
		named(image{sha256: hash}, baseName(p.FullPath), p.FullPath)
	}
	if n != nil {
		ip, _ := m.observable(ctim.ObservableIP, n.RemoteIP)
		domain, _ := m.observable(ctim.ObservableDomain, n.RemoteDNS)
		if p != nil {
			name, _ := m.observable(ctim.ObservableProcessName, p.Name)
			add(name, ctim.RelationConnectedTo, ip)
			add(name, ctim.RelationConnectedTo, domain)
			add(m.process.sha256, ctim.RelationConnectedTo, ip)
			add(m.process.sha256, ctim.RelationConnectedTo, domain)
		}
		add(domain, ctim.RelationResolvedTo, ip)
	}
	return out
}
