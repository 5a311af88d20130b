package mapping

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// observable is what value, a field of the event, names: the asked observable where it is that one, else
// the value in the usual form of its type. It is false where the value names nothing, such as a masked
// address.
func (m *mapper) observable(t ctim.ObservableType, value string) (ctim.Observable, bool) {
	if m.isAsked(t, value) {
		return m.asked, true
	}
	value = strings.TrimSpace(value)
	switch t {
	case ctim.ObservableMD5, ctim.ObservableSHA256:
		value = ctim.Observable{Type: t, Value: value}.Normal()
	case ctim.ObservableIP:
		value = ctim.Observable{Type: t, Value: value}.Normal()
		if value == "0.0.0.0" || value == "::" { // "listening on all" is nobody's address
			value = ""
		}
		if strings.Contains(value, ":") {
			t = ctim.ObservableIPv6
		}
	case ctim.ObservableMACAddress:
		value = macAddress(value)
	case ctim.ObservableDomain:
		if _, err := netip.ParseAddr(value); err == nil { // as Qualys says where there is no name
			value = ""
		}
	}
	if value == "" {
		return ctim.Observable{}, false
	}
	return ctim.Observable{Type: t, Value: value}, true
}

// isAsked says whether value, a field of the event, is the asked observable in some spelling.
func (m *mapper) isAsked(t ctim.ObservableType, value string) bool {
	switch asked := m.asked.Type; {
	case t == asked:
	case t == ctim.ObservableIP && asked == ctim.ObservableIPv6:
	case t == ctim.ObservableDomain && asked == ctim.ObservableHostname:
	default:
		return false
	}
	return m.normal != "" && strings.EqualFold(ctim.Observable{Type: t, Value: value}.Normal(), m.normal)
}

// macAddress is a MAC address of 48 bits in capitals with colons, or "" where s is none or consists of
// zeroes.
func macAddress(s string) string {
	if _, err := net.ParseMAC(s); err != nil || len(s) != 17 || strings.Trim(s, "0:-") == "" {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(s, "-", ":"))
}

// spelled is an event and those of its parts in which the asked observable may be named.
type spelled struct {
	qualys.Event
	file    qualys.File
	process qualys.Process
	actor   qualys.Actor
	network qualys.Network
}

// respell makes m.event a copy of e in which the asked observable is written as it was asked.
func (m *mapper) respell(e *qualys.Event) {
	spell := func(t ctim.ObservableType, field *string) {
		if m.isAsked(t, *field) {
			*field = m.asked.Value
		}
	}
	c := &m.event
	c.Event = *e
	if e.File != nil {
		c.file = *e.File
		c.File = &c.file
		spell(ctim.ObservableSHA256, &c.file.SHA256)
		spell(ctim.ObservableMD5, &c.file.MD5)
		spell(ctim.ObservableFileName, &c.file.Name)
		spell(ctim.ObservableFilePath, &c.file.FullPath)
	}
	if e.Process != nil {
		c.process = *e.Process
		c.Process = &c.process
		spell(ctim.ObservableSHA256, &c.process.SHA256)
		spell(ctim.ObservableMD5, &c.process.MD5)
		spell(ctim.ObservableProcessName, &c.process.Name)
		spell(ctim.ObservableFilePath, &c.process.FullPath)
	}
	if e.Actor != nil {
		c.actor = *e.Actor
		c.Actor = &c.actor
		spell(ctim.ObservableProcessName, &c.actor.ProcessName)
		spell(ctim.ObservableFilePath, &c.actor.ImageFullPath)
	}
	if e.Network != nil {
		c.network = *e.Network
		c.Network = &c.network
		spell(ctim.ObservableIP, &c.network.LocalIP)
		spell(ctim.ObservableIP, &c.network.RemoteIP)
		spell(ctim.ObservableDomain, &c.network.RemoteDNS)
	}
	if m.asked.Type == ctim.ObservableSHA256 {
		c.Indicators = slices.Clone(e.Indicators)
		for i := range c.Indicators {
			spell(ctim.ObservableSHA256, &c.Indicators[i].SHA256)
		}
	}
	spell(ctim.ObservableHostname, &c.Asset.NetBIOSName)
	spell(ctim.ObservableHostname, &c.Asset.HostName)
}

// baseName is the last part of a Windows or Unix path.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
