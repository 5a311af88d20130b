package search

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

func TestFilterSearchesNormalisedSpellings(t *testing.T) {
	t.Parallel()
	const v6 = `network.local.address.ip: "2001:db8::1" or network.local.address.ip: "2001:db8:0:0:0:0:0:1" or ` +
		`network.remote.address.ip: "2001:db8::1" or network.remote.address.ip: "2001:db8:0:0:0:0:0:1"`
	const munich = `network.remote.address.fqdn: "xn--mnchen-3ya.example" or network.remote.address.fqdn: "münchen.example"`
	hash := strings.Repeat("0123456789abcdef", 4)
	tests := []struct {
		typ         ctim.ObservableType
		value, want string
	}{
		{"ip", "192.0.2.1", `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`},
		{"ip", " 192.0.2.1\n", `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`},
		{"ipv6", "::ffff:192.0.2.1", `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`},
		{"ipv6", "::FFFF:c000:201", `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`},
		{"ipv6", "2001:DB8::1", v6},
		{"ipv6", "2001:db8:0:0:0:0:0:1", v6},
		{"ip", "2001:0db8:0000:0000:0000:0000:0000:0001%eth0", v6},
		{"ipv6", "1:2:3:4:5:6:7:8", `network.local.address.ip: "1:2:3:4:5:6:7:8" or network.remote.address.ip: "1:2:3:4:5:6:7:8"`},
		{"domain", "C2.Example.", `network.remote.address.fqdn: "c2.example"`},
		{"hostname", "c2.example", `network.remote.address.fqdn: "c2.example"`},
		{"hostname", "_dmarc.c2.example", `network.remote.address.fqdn: "_dmarc.c2.example"`},
		{"domain", "münchen.example", munich},
		{"domain", "MÜNCHEN.Example.", munich},
		{"domain", "mu\u0308nchen.example", munich},
		{"domain", "XN--mnchen-3ya.example", munich},
		{"file_name", "Invoice.exe ", `file.name: "Invoice.exe"`},
		{"file_name", `a "b".exe`, "file.name: `a \"b\".exe`"},
		{"file_name", "re\u0301sume\u0301.doc", `file.name: "résumé.doc"`},
		{"file_path", `C:\Temp\`, `file.fullPath: "C:\Temp"`},
		{"file_path", "C:/Program Files/x.exe", `file.fullPath: "C:\Program Files\x.exe"`},
		{"file_path", `\\?\C:\x.exe`, `file.fullPath: "C:\x.exe"`},
		{"file_path", `\??\C:\x.exe`, `file.fullPath: "C:\x.exe"`},
		{"file_path", `//?/C:/x.exe`, `file.fullPath: "C:\x.exe"`},
		{"file_path", `\\?\UNC\files\share\x.exe`, `file.fullPath: "\\files\share\x.exe"`},
		{"file_path", `\\files\share/x.exe`, `file.fullPath: "\\files\share\x.exe"`},
		{"file_path", `\Device\HarddiskVolume3\x.exe`, `file.fullPath: "\Device\HarddiskVolume3\x.exe"`},
		{"file_path", `Windows/Temp\x.exe`, `file.fullPath: "Windows\Temp\x.exe"`},
		{"file_path", "/opt/x/", `file.fullPath: "/opt/x"`},
		{"file_path", `/opt/odd\name`, `file.fullPath: "/opt/odd\name"`},
		{"mutex", `Global\x`, `handle.name: "Global\x"`},
		{"md5", " 0123456789ABCDEF0123456789ABCDEF ", `file.hash.md5: "0123456789abcdef0123456789abcdef"`},
		{"sha256", strings.ToUpper(hash) + "\t", `file.hash.sha256: "` + hash + `"`},
		{"process_name", "evil.exe", `process.name: "evil.exe"`},
	}
	for _, test := range tests {
		t.Run(string(test.typ)+" "+test.value, func(t *testing.T) {
			t.Parallel()
			filter, err := Filter(ctim.Observable{Type: test.typ, Value: test.value})
			require.NoError(t, err)
			assert.Equal(t, test.want, filter.String())
			assert.True(t, Supported(test.typ))
		})
	}
}

func TestFilterRefusesWhatCannotBeSearched(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"a\"b`c'd", `\`, " ", "a\x00b"} {
		_, err := Filter(ctim.Observable{Type: "file_path", Value: value})
		require.ErrorIs(t, err, qualys.ErrUnquotable, "%q", value)
	}
	_, err := Filter(ctim.Observable{Type: "file_name", Value: strings.Repeat("x", maxFilter)})
	require.ErrorIs(t, err, ErrTooLong)
	_, err = Filter(ctim.Observable{Type: "url", Value: "https://c2.example"})
	require.Error(t, err)
	assert.False(t, Supported("url"))
}

func FuzzSpellingsMeanTheSame(f *testing.F) {
	for _, value := range []string{"münchen.example", "::ffff:192.0.2.1", `\\?\C:\x`, "2001:db8::1%a", "//?/UNC/a", "ß.example"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for typ := range kinds {
			first := normal(ctim.Observable{Type: typ, Value: value})
			if typ == ctim.ObservableFilePath && strings.Contains(first, "?") {
				continue // a prefix behind a prefix
			}
			for _, spelling := range []string{first, spelledOut(typ, first)} {
				again := normal(ctim.Observable{Type: typ, Value: spelling})
				require.True(t, strings.EqualFold(first, again), "%s %q: %q and %q", typ, value, first, again)
			}
		}
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	network := func(local, remote, name string) *qualys.Event {
		return &qualys.Event{Type: "NETWORK", Network: &qualys.Network{LocalIP: local, RemoteIP: remote, RemoteDNS: name}}
	}
	file := func(path, name, md5, sha256 string) *qualys.Event {
		return &qualys.Event{Type: "FILE", File: &qualys.File{FullPath: path, Name: name, MD5: md5, SHA256: sha256}}
	}
	process := func(name, sha256 string) *qualys.Event {
		return &qualys.Event{Type: "PROCESS", Process: &qualys.Process{Name: name, ProcessFile: qualys.ProcessFile{SHA256: sha256}}}
	}
	tests := map[string]struct {
		typ   ctim.ObservableType
		value string
		event *qualys.Event
		want  match
	}{
		"the remote address":                         {"ip", "192.0.2.1", network("198.51.100.1", "192.0.2.1", ""), yes},
		"the local address":                          {"ip", "198.51.100.1", network("198.51.100.1", "192.0.2.1", ""), yes},
		"an address that begins with ours":           {"ip", "192.0.2.1", network("198.51.100.1", "192.0.2.10", ""), no},
		"the same, with the local end hidden":        {"ip", "192.0.2.1", network("", "192.0.2.10", ""), no},
		"the local end is hidden, it may be ours":    {"ip", "198.51.100.1", network("", "192.0.2.10", ""), unknown},
		"no address":                                 {"ip", "198.51.100.1", network("", "", "c2.example"), unknown},
		"no connection at all":                       {"ip", "198.51.100.1", file("", "a", "", ""), unknown},
		"IPv6 in another notation":                   {"ipv6", "2001:DB8:0:0::1", network("", "2001:db8::1", ""), yes},
		"IPv6 as Java writes it":                     {"ipv6", "2001:db8::1", network("2001:db8:0:0:0:0:0:1", "", ""), yes},
		"IPv6 with a zone":                           {"ipv6", "fe80::1", network("fe80::1%eth0", "", ""), yes},
		"IPv4 in IPv6":                               {"ip", "::ffff:192.0.2.1", network("", "192.0.2.1", ""), yes},
		"IPv4 in IPv6, in the event":                 {"ip", "192.0.2.1", network("", "::ffff:192.0.2.1", ""), yes},
		"a domain in other case":                     {"domain", "C2.Example.", network("", "", "c2.example"), yes},
		"a domain as A-label":                        {"domain", "münchen.example", network("", "", "xn--mnchen-3ya.example"), yes},
		"a domain in Unicode":                        {"domain", "xn--mnchen-3ya.example", network("", "", "MÜNCHEN.example."), yes},
		"a domain below ours":                        {"domain", "example", network("", "", "c2.example"), no},
		"a domain that has our tokens":               {"domain", "update.example", network("", "", "cdn7-update.example"), no},
		"no name":                                    {"domain", "c2.example", network("", "192.0.2.1", ""), unknown},
		"a hostname":                                 {"hostname", "c2.example", network("", "", "c2.example"), yes},
		"a file name in other case":                  {"file_name", "Invoice.EXE", file("", "invoice.exe", "", ""), yes},
		"a file name in decomposed Unicode":          {"file_name", "résumé.doc", file("", "re\u0301sume\u0301.doc", "", ""), yes},
		"a longer file name":                         {"file_name", "invoice.exe", file("", "invoice.exe.bak", "", ""), no},
		"an event without a file":                    {"file_name", "invoice.exe", network("", "", ""), unknown},
		"a path":                                     {"file_path", `C:\Temp\a.exe`, file(`c:\temp\A.exe`, "", "", ""), yes},
		"a path with slashes":                        {"file_path", `C:/Temp/a.exe`, file(`C:\Temp\a.exe`, "", "", ""), yes},
		"a path of the object manager, in the event": {"file_path", `C:\Temp\a.exe`, file(`\\?\C:\Temp\a.exe`, "", "", ""), yes},
		"a folder":                                   {"file_path", `C:\Temp`, file(`C:\Temp\x\a.exe`, "", "", ""), yes},
		"a folder with a backslash at its end":       {"file_path", `C:\Temp\`, file(`C:\Temp\a.exe`, "", "", ""), yes},
		"a folder of Unix":                           {"file_path", "/opt/x/", file("/opt/x/a", "", "", ""), yes},
		"a folder that begins with ours":             {"file_path", `C:\Temp`, file(`C:\Temperature\a.exe`, "", "", ""), no},
		"a path with our tokens in another order":    {"file_path", `C:\Temp\x`, file(`C:\x\Temp`, "", "", ""), no},
		"no path":                                    {"file_path", `C:\Temp`, file("", "a.exe", "", ""), unknown},
		"a mutex is never shown":                     {"mutex", "Global\\x", &qualys.Event{Type: "MUTEX"}, unknown},
		"an MD5 in other case":                       {"md5", strings.ToUpper(md5(10)), file("", "", md5(10), ""), yes},
		"another MD5":                                {"md5", md5(1), file("", "", md5(2), ""), no},
		"a SHA256":                                   {"sha256", sha(1), file("", "", "", sha(1)), yes},
		"the SHA256 of a process":                    {"sha256", sha(1), process("a.exe", sha(1)), yes},
		"a file without a SHA256":                    {"sha256", sha(1), file("", "a.exe", md5(1), ""), unknown},
		"a process name":                             {"process_name", "evil.exe", process("EVIL.EXE", ""), yes},
		"another process name":                       {"process_name", "evil", process("evil.exe", ""), no},
		"an event of a type that is not known yet":   {"file_name", "a.exe", &qualys.Event{Type: "DeviceControl"}, unknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := newTarget(ctim.Observable{Type: test.typ, Value: test.value})
			require.NoError(t, err)
			assert.Equal(t, test.want, target.match(target.shown(test.event)))
		})
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	network := &qualys.Event{
		Type:    "NETWORK",
		Network: &qualys.Network{LocalIP: "192.0.2.9", RemoteIP: "192.0.2.1"}, Process: &qualys.Process{Name: "a.exe", ProcessFile: qualys.ProcessFile{SHA256: sha(1)}},
	}
	file := &qualys.Event{Type: "FILE", File: &qualys.File{Name: "a.exe", SHA256: sha(1)}}
	tests := map[string]struct {
		event       *qualys.Event
		observables []ctim.Observable
		about       []bool
		uncertain   []bool
	}{
		"an event of one type does not concern the values of others": {
			file, append(obs("sha256", sha(1), sha(2)), obs("ip", "192.0.2.1")...),
			[]bool{true, false, false}, []bool{false, false, false},
		},
		"a hidden name may be the domain's": {
			network, append(obs("ip", "192.0.2.1"), obs("domain", "c2.example")...),
			[]bool{true, false}, []bool{false, true},
		},
		"the process's hash may be a coincidence": {
			network, append(obs("ip", "192.0.2.1"), obs("sha256", sha(1))...),
			[]bool{true, true}, []bool{false, true},
		},
		"among hashes it is none": {
			network, obs("sha256", sha(1), sha(2)),
			[]bool{true, false}, []bool{false, false},
		},
		"an event that only one of the searches looks at": {
			&qualys.Event{Type: "MUTEX"}, append(obs("mutex", "a"), obs("sha256", sha(1))...),
			[]bool{false, false}, []bool{true, false},
		},
		"an event that nothing explains": {
			&qualys.Event{Type: "REGISTRY"}, append(obs("ip", "192.0.2.1"), obs("sha256", sha(1))...),
			[]bool{false, false}, []bool{true, true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lookups []*lookup
			for _, o := range test.observables {
				target, err := newTarget(o)
				require.NoError(t, err)
				lookups = append(lookups, &lookup{target: target})
			}
			shares, uncertain := share(lookups, []*qualys.Event{test.event})
			for i := range lookups {
				assert.Equal(t, test.about[i], len(shares[i]) == 1, "%v", test.observables[i])
			}
			assert.Equal(t, test.uncertain, uncertain)
		})
	}
}
