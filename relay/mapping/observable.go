package mapping

import (
	"net/netip"
	"strings"

	"qualysrelay.example/ctim"
)

// hashObservable is the hash in lower case, as XDR compares them, or false where s is no hash of that type. Only sha256 and md5 are.
func hashObservable(t ctim.ObservableType, s string) (ctim.Observable, bool) {
	switch {
	case t == ctim.ObservableSHA256 && len(s) == 64:
	case t == ctim.ObservableMD5 && len(s) == 32:
	default:
		return ctim.Observable{}, false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return ctim.Observable{}, false
		}
	}
	return ctim.Observable{Type: t, Value: strings.ToLower(s)}, true
}

// ipObservable is the address as ip or ipv6, whichever it is, in its canonical text and without a zone, which means nothing off the endpoint. An
// unspecified address ("listening on all") is nobody's.
func ipObservable(s string) (ctim.Observable, bool) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || a.IsUnspecified() {
		return ctim.Observable{}, false
	}
	a = a.WithZone("").Unmap()
	t := ctim.ObservableIP
	if a.Is6() {
		t = ctim.ObservableIPv6
	}
	return ctim.Observable{Type: t, Value: a.String()}, true
}

// textObservable is a value of a type that has no form of its own, or false where there is none.
func textObservable(t ctim.ObservableType, s string) (ctim.Observable, bool) {
	if s = strings.TrimSpace(s); s == "" {
		return ctim.Observable{}, false
	}
	return ctim.Observable{Type: t, Value: s}, true
}

// domainObservable is a DNS name. Qualys repeats the address where there is no name: that is no domain.
func domainObservable(s string) (ctim.Observable, bool) {
	o, ok := textObservable(ctim.ObservableDomain, s)
	if _, err := netip.ParseAddr(o.Value); err == nil {
		return ctim.Observable{}, false
	}
	return o, ok
}

// baseName is the last part of a Windows or Unix path.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
