package mapping

import (
	"net"
	"net/netip"
	"strings"

	"qualysrelay.example/ctim"
)

// observable is what value, a field of the event, names: the asked observable where it is that one, else
// the value in the usual form of its type. It is the zero observable where the value names nothing, such
// as a masked address.
func (m *Mapper) observable(t ctim.ObservableType, value string) ctim.Observable {
	if m.isAsked(t, value) {
		return m.asked
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
		return ctim.Observable{}
	}
	return ctim.Observable{Type: t, Value: value}
}

// isAsked says whether value, a field of the event, is the asked observable in some spelling.
func (m *Mapper) isAsked(t ctim.ObservableType, value string) bool {
	asked := m.asked.Type
	isType := t == asked || t == ctim.ObservableIP && asked == ctim.ObservableIPv6 ||
		t == ctim.ObservableDomain && asked == ctim.ObservableHostname
	return isType && m.normal != "" && (value == m.asked.Value ||
		strings.EqualFold(ctim.Observable{Type: t, Value: value}.Normal(), m.normal))
}

// macAddress is a MAC address of 48 bits in capitals with colons, or "" where s is none or consists of
// zeroes.
func macAddress(s string) string {
	address, err := net.ParseMAC(s)
	if err != nil || len(s) != len("00:00:5E:00:53:29") || [6]byte(address) == [6]byte{} {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(s, "-", ":"))
}

// respell writes the asked observable as it was asked in each field of the event that may name it.
func (m *Mapper) respell() {
	fix := func(t ctim.ObservableType, fields ...*string) {
		for _, field := range fields {
			if m.isAsked(t, *field) {
				*field = m.asked.Value
			}
		}
	}
	fix(ctim.ObservableSHA256, &m.file.SHA256, &m.process.SHA256)
	for i := range m.entries {
		fix(ctim.ObservableSHA256, &m.entries[i].SHA256)
	}
	fix(ctim.ObservableMD5, &m.file.MD5, &m.process.MD5)
	fix(ctim.ObservableFileName, &m.file.Name)
	fix(ctim.ObservableFilePath, &m.file.FullPath, &m.process.FullPath, &m.actor.ImageFullPath)
	fix(ctim.ObservableProcessName, &m.process.Name, &m.actor.ProcessName)
	fix(ctim.ObservableIP, &m.network.LocalIP, &m.network.RemoteIP)
	fix(ctim.ObservableDomain, &m.network.RemoteDNS)
	fix(ctim.ObservableHostname, &m.event.Asset.NetBIOSName, &m.event.Asset.HostName)
}

// baseName is the last part of a Windows or Unix path.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
