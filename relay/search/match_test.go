package search

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
)

const (
	someMD5    = "0123456789abcdef0123456789abcdef"
	someSHA256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	network := func(local, remote, name string) *qualys.Event {
		return &qualys.Event{Type: "NETWORK", Network: &qualys.Network{LocalIP: local, RemoteIP: remote, RemoteDNS: name}}
	}
	file := func(path, name, md5, sha256 string) *qualys.Event {
		return &qualys.Event{Type: "FILE", File: &qualys.File{FullPath: path, Name: name, MD5: md5, SHA256: sha256}}
	}
	tests := map[string]struct {
		typ, value string
		event      *qualys.Event
		want       Match
	}{
		"the remote address":                        {"ip", "192.0.2.1", network("198.51.100.1", "192.0.2.1", ""), Yes},
		"the local address":                         {"ip", "198.51.100.1", network("198.51.100.1", "192.0.2.1", ""), Yes},
		"an address of which ours is a prefix":      {"ip", "192.0.2.1", network("198.51.100.1", "192.0.2.10", ""), No},
		"the same, with the local end not shown":    {"ip", "192.0.2.1", network("", "192.0.2.10", ""), No},
		"the local end not shown, it may be ours":   {"ip", "198.51.100.1", network("", "192.0.2.10", ""), Unknown},
		"no address shown":                          {"ip", "198.51.100.1", network("", "", "c2.example"), Unknown},
		"no connection at all":                      {"ip", "198.51.100.1", file("", "a", "", ""), Unknown},
		"IPv6 in another notation":                  {"ipv6", "2001:DB8:0:0::1", network("", "2001:db8::1", ""), Yes},
		"IPv6 with a zone":                          {"ipv6", "fe80::1", network("fe80::1%eth0", "", ""), Yes},
		"a domain in other case":                    {"domain", "C2.Example.", network("", "", "c2.example"), Yes},
		"a domain below ours":                       {"domain", "example", network("", "", "c2.example"), No},
		"a domain of which ours is a prefix":        {"domain", "c2.example", network("", "", "c2.example.net"), No},
		"no name shown":                             {"domain", "c2.example", network("", "192.0.2.1", ""), Unknown},
		"a hostname":                                {"hostname", "c2.example", network("", "", "c2.example"), Yes},
		"a file name in other case":                 {"file_name", "Invoice.EXE", file("", "invoice.exe", "", ""), Yes},
		"a longer file name":                        {"file_name", "invoice.exe", file("", "invoice.exe.bak", "", ""), No},
		"an event without a file":                   {"file_name", "invoice.exe", network("", "", ""), Unknown},
		"a path":                                    {"file_path", `C:\Temp\a.exe`, file(`c:\temp\A.exe`, "", "", ""), Yes},
		"a folder":                                  {"file_path", `C:\Temp`, file(`C:\Temp\x\a.exe`, "", "", ""), Yes},
		"a folder with a trailing backslash":        {"file_path", `C:\Temp\`, file(`C:\Temp\a.exe`, "", "", ""), Yes},
		"a folder of Unix":                          {"file_path", "/opt/x/", file("/opt/x/a", "", "", ""), Yes},
		"a folder of which ours is a prefix":        {"file_path", `C:\Temp`, file(`C:\Temperature\a.exe`, "", "", ""), No},
		"no path shown":                             {"file_path", `C:\Temp`, file("", "a.exe", "", ""), Unknown},
		"a mutex is never shown":                    {"mutex", "Global\\x", &qualys.Event{Type: "MUTEX"}, Unknown},
		"an MD5 in other case":                      {"md5", strings.ToUpper(someMD5), file("", "", someMD5, ""), Yes},
		"another MD5":                               {"md5", someMD5, file("", "", strings.Repeat("0", 32), ""), No},
		"a SHA256":                                  {"sha256", someSHA256, file("", "", "", someSHA256), Yes},
		"the SHA256 of a process":                   {"sha256", someSHA256, &qualys.Event{Process: &qualys.Process{SHA256: someSHA256}}, Yes},
		"a file without a SHA256":                   {"sha256", someSHA256, file("", "a.exe", someMD5, ""), Unknown},
		"a process name":                            {"process_name", "evil.exe", &qualys.Event{Process: &qualys.Process{Name: "EVIL.EXE"}}, Yes},
		"another process name":                      {"process_name", "evil", &qualys.Event{Process: &qualys.Process{Name: "evil.exe"}}, No},
		"an event of a type that nobody knows yet":  {"file_name", "a.exe", &qualys.Event{Type: "DeviceControl"}, Unknown},
		"an observable that Qualys cannot look for": {"url", "https://c2.example", network("", "", "c2.example"), No},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, Observable{test.typ, test.value}.Matches(test.event))
		})
	}
}

func TestFilterFindsEachPromisedType(t *testing.T) {
	t.Parallel()
	tests := map[Observable]string{
		{"ip", "192.0.2.1"}:          `network.local.address.ip: "192.0.2.1" or network.remote.address.ip: "192.0.2.1"`,
		{"ipv6", "2001:DB8::1"}:      `network.local.address.ip: "2001:db8::1" or network.remote.address.ip: "2001:db8::1"`,
		{"domain", "c2.example."}:    `network.remote.address.fqdn: "c2.example"`,
		{"hostname", "c2.example"}:   `network.remote.address.fqdn: "c2.example"`,
		{"file_name", `a "b".exe`}:   "file.name: `a \"b\".exe`",
		{"file_path", `C:\Temp\`}:    `file.fullPath: "C:\Temp"`,
		{"mutex", `Global\x`}:        `handle.name: "Global\x"`,
		{"md5", someMD5}:             `file.hash.md5: "` + someMD5 + `"`,
		{"sha256", someSHA256}:       `file.hash.sha256: "` + someSHA256 + `"`,
		{"process_name", "evil.exe"}: `process.name: "evil.exe"`,
	}
	for o, want := range tests {
		t.Run(o.Type, func(t *testing.T) {
			t.Parallel()
			filter, err := o.Filter()
			require.NoError(t, err)
			assert.Equal(t, want, filter.String())
			assert.True(t, o.Supported())
		})
	}
}

func TestFilterRefusesWhatCannotBeAsked(t *testing.T) {
	t.Parallel()
	_, err := Observable{"file_name", "a\"b`c'd"}.Filter()
	require.ErrorIs(t, err, qualys.ErrUnquotable)
	_, err = Observable{"file_path", `\`}.Filter()
	require.ErrorIs(t, err, qualys.ErrUnquotable)
	_, err = Observable{"file_name", strings.Repeat("x", maxFilter)}.Filter()
	require.ErrorIs(t, err, ErrTooLong)
	assert.False(t, Observable{"url", "https://c2.example"}.Supported())
}
