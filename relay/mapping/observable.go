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
	if m.normal == "" {
		return false
	}
	return value == m.asked.Value || strings.EqualFold(ctim.Observable{Type: t, Value: value}.Normal(), m.normal)
}

// macAddress is a MAC address of 48 bits in capitals with colons, or "" where s is none or consists of
// zeroes.
func macAddress(s string) string {
	if len(s) != 17 || strings.Trim(s, "0:-") == "" {
		return ""
	}
	if _, err := net.ParseMAC(s); err != nil {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(s, "-", ":"))
}

// respell is e with the asked observable written as it was asked, a copy where e has it otherwise.
func (m *mapper) respell(e *qualys.Event) *qualys.Event {
	isOther := false
	eachName(e, func(t ctim.ObservableType, field *string) {
		isOther = isOther || *field != m.asked.Value && m.isAsked(t, *field)
	})
	if !isOther {
		return e
	}
	c := *e
	c.File, c.Process, c.Actor, c.Network = clone(e.File), clone(e.Process), clone(e.Actor), clone(e.Network)
	c.Indicators = slices.Clone(e.Indicators)
	eachName(&c, func(t ctim.ObservableType, field *string) {
		if m.isAsked(t, *field) {
			*field = m.asked.Value
		}
	})
	return &c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// eachName calls visit for each field of e that may name what can be asked for.
func eachName(e *qualys.Event, visit func(t ctim.ObservableType, field *string)) {
	if f := e.File; f != nil {
		visit(ctim.ObservableSHA256, &f.SHA256)
		visit(ctim.ObservableMD5, &f.MD5)
		visit(ctim.ObservableFileName, &f.Name)
		visit(ctim.ObservableFilePath, &f.FullPath)
	}
	if p := e.Process; p != nil {
		visit(ctim.ObservableSHA256, &p.SHA256)
		visit(ctim.ObservableMD5, &p.MD5)
		visit(ctim.ObservableProcessName, &p.Name)
		visit(ctim.ObservableFilePath, &p.FullPath)
	}
	if a := e.Actor; a != nil {
		visit(ctim.ObservableProcessName, &a.ProcessName)
		visit(ctim.ObservableFilePath, &a.ImageFullPath)
	}
	if n := e.Network; n != nil {
		visit(ctim.ObservableIP, &n.LocalIP)
		visit(ctim.ObservableIP, &n.RemoteIP)
		visit(ctim.ObservableDomain, &n.RemoteDNS)
	}
	for i := range e.Indicators {
		visit(ctim.ObservableSHA256, &e.Indicators[i].SHA256)
	}
	visit(ctim.ObservableHostname, &e.Asset.NetBIOSName)
	visit(ctim.ObservableHostname, &e.Asset.HostName)
}

// baseName is the last part of a Windows or Unix path.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
