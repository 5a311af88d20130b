package mapping

import (
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// sighting is the event as it was seen on its endpoint, or nil where it has no time.
func (m *mapper) sighting() *ctim.Sighting {
	if m.time.IsZero() {
		return nil
	}
	observed := ctim.ObservedTime{Start: m.time, End: m.time}
	active := "False"
	if m.event.Active {
		active = "True"
	}
	return &ctim.Sighting{
		Base: m.base(ctim.KindSighting,
			ctim.DerivedID(ctim.KindSighting, m.key, string(m.asked.Type), m.asked.Value)),
		Title:            ctim.Short(m.title()),
		Description:      ctim.Long(m.description()),
		ShortDescription: ctim.Med(m.shortDescription()),
		Confidence:       ctim.ConfidenceHigh,
		Count:            1,
		Internal:         true,
		Severity:         severity(m.score),
		Resolution:       m.resolution(),
		Sensor:           ctim.SensorEndpoint,
		ObservedTime:     observed,
		Observables:      []ctim.Observable{m.asked},
		Targets:          targets(&m.event.Asset, observed),
		Relations:        m.relations(),
		Data: &ctim.DataTable{
			Columns:  []ctim.Column{{Name: "Active", Type: "string"}},
			Rows:     [][]string{{active}},
			RowCount: 1,
		},
		Context: sightingContext(m.event, observed),
	}
}

// resolution is contained where Qualys dealt with what it found. One file that is still there as malicious or suspicious outweighs another that is not.
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
func targets(a *qualys.Asset, observed ctim.ObservedTime) []ctim.Target {
	out := make([]ctim.Observable, 0, 1+2*len(a.Interfaces))
	if o, ok := textObservable(ctim.ObservableHostname, hostName(a)); ok {
		out = append(out, o)
	}
	for i := range a.Interfaces {
		if o, ok := ipObservable(a.Interfaces[i].IPAddress); ok {
			out = addOnce(out, o)
		}
		if o, ok := textObservable(ctim.ObservableMACAddress, a.Interfaces[i].MACAddress); ok {
			out = addOnce(out, o)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []ctim.Target{{Type: ctim.SensorEndpoint, Observables: out, ObservedTime: observed, OS: a.FullOSName}}
}

// hostName is the NetBIOS name, which every published event has, else the other one.
func hostName(a *qualys.Asset) string {
	if name := strings.TrimSpace(a.NetBIOSName); name != "" {
		return name
	}
	return strings.TrimSpace(a.HostName)
}

// relations are the facts that the event states between observables, each once.
func (m *mapper) relations() []ctim.Relation {
	most := 4 // two names of two hashes
	if m.event.Network != nil {
		most = 9
	}
	out := make([]ctim.Relation, 0, most)
	add := func(from ctim.Observable, relation string, to ctim.Observable) {
		out = addOnce(out, ctim.Relation{Origin: source, OriginURI: m.uri, Relation: relation, Source: from, Related: to})
	}
	named := func(name, path string, f image) {
		var scratch [2]ctim.Observable
		hashes := scratch[:0]
		if o, ok := hashObservable(ctim.ObservableSHA256, f.sha256); ok {
			hashes = append(hashes, o)
		}
		if o, ok := hashObservable(ctim.ObservableMD5, f.md5); ok {
			hashes = append(hashes, o)
		}
		if o, ok := textObservable(ctim.ObservableFileName, name); ok {
			for _, h := range hashes {
				add(o, ctim.RelationFileNameOf, h)
			}
		}
		if o, ok := textObservable(ctim.ObservableFilePath, path); ok {
			for _, h := range hashes {
				add(o, ctim.RelationFilePathOf, h)
			}
		}
	}
	e := m.event
	if e.File != nil {
		f := fileImage(e.File)
		named(f.name, f.path, f)
	}
	if e.Process != nil {
		p := processImage(e.Process)
		named(baseName(p.path), p.path, p)
	}
	if e.Network == nil {
		return out
	}
	ip, hasIP := ipObservable(e.Network.RemoteIP)
	domain, hasDomain := domainObservable(e.Network.RemoteDNS)
	if e.Process != nil {
		name, hasName := textObservable(ctim.ObservableProcessName, e.Process.Name)
		sha, hasSHA := hashObservable(ctim.ObservableSHA256, e.Process.SHA256)
		if hasName && hasIP {
			add(name, ctim.RelationConnectedTo, ip)
		}
		if hasName && hasDomain {
			add(name, ctim.RelationConnectedTo, domain)
		}
		if hasSHA && hasIP {
			add(sha, ctim.RelationConnectedTo, ip)
		}
		if hasSHA && hasDomain {
			add(sha, ctim.RelationConnectedTo, domain)
		}
	}
	if hasDomain && hasIP {
		add(domain, ctim.RelationResolvedTo, ip)
	}
	return out
}
