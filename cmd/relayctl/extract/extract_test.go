package extract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/extract"
)

const (
	md5Hash    = "9e107d9d372bb6826bd81d3542a419d6"
	sha1Hash   = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
	sha256Hash = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"
)

// short writes observables as TYPE:VALUE, which keeps the tables readable.
func short(found []extract.Observable) []string {
	s := make([]string, 0, len(found))
	for _, o := range found {
		s = append(s, o.Type+":"+o.Value)
	}
	return s
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing in an empty text":                      {"", nil},
		"nothing in prose":                              {"The user clicked, e.g. twice, i.e. too often (cf. page 3.1 of the report, 12:30:45).", nil},
		"addresses with ports":                          {"203.0.113.7:443 and 198.51.100.23.", []string{"ip:203.0.113.7", "ip:198.51.100.23"}},
		"a dotted quad is an address":                   {"version 1.2.3.4 talks", []string{"ip:1.2.3.4"}},
		"a version glued to a letter is none":           {"v1.2.3.4 and 1.2.3.4.5 and 300.1.1.1 and 1.2.3", nil},
		"a network is no address":                       {"10.0.0.0/8, but 192.0.2.1/32", []string{"ip:192.0.2.1"}},
		"IPv6":                                          {"from 2001:DB8::1, fe80::1%eth0 and [2001:db8::2]:443", []string{"ipv6:2001:db8::1", "ipv6:fe80::1", "ipv6:2001:db8::2"}},
		"no IPv6 in code, times and MACs":               {"std::cout a::b 12:30:45 00:50:56:00:00:01 2026-11-23T10:00:00Z", nil},
		"domains":                                       {"update-cdn.example, Evil.TOP and www.example.co.uk.", []string{"domain:update-cdn.example", "domain:evil.top", "domain:www.example.co.uk"}},
		"no domain in words and bare suffixes":          {"foo.baz co.uk event.datetime done.It network.remote.address.ip", nil},
		"a short domain":                                {"see t.co and x.com", []string{"domain:t.co", "domain:x.com"}},
		"an international domain":                       {"bücher.example", []string{"domain:bücher.example"}},
		"file names are no domains":                     {"invoice.exe invoice.pdf.js README.txt (run.ps1)", []string{"file_name:invoice.exe", "file_name:invoice.pdf.js", "file_name:README.txt", "file_name:run.ps1"}},
		"endings that files and domains share":          {"install.sh get.evil.sh payload.zip my.files.zip command.com", []string{"file_name:install.sh", "domain:get.evil.sh", "file_name:payload.zip", "domain:my.files.zip", "domain:command.com"}},
		"hashes in either case":                         {strings.ToUpper(md5Hash) + " " + sha1Hash + "\n" + sha256Hash + ";", []string{"md5:" + md5Hash, "sha1:" + sha1Hash, "sha256:" + sha256Hash}},
		"no hash in a longer number":                    {sha256Hash + sha256Hash + " 5b49017b-90dd-4a6d-92ea-7651bafdc1ec", nil},
		"Windows paths":                                 {`C:\Users\eve\AppData\Local\Temp\invoice.exe, D:/tools/x.bin and \\files\share\a.docm.`, []string{`file_path:C:\Users\eve\AppData\Local\Temp\invoice.exe`, `file_path:D:/tools/x.bin`, `file_path:\\files\share\a.docm`}},
		"a path under a variable":                       {`dropped in %APPDATA%\svc\run.vbs!`, []string{`file_path:%APPDATA%\svc\run.vbs`}},
		"known folders with spaces":                     {`C:\Program Files (x86)\Vendor\agent.exe ran`, []string{`file_path:C:\Program Files (x86)\Vendor\agent.exe`}},
		"a quoted path with spaces":                     {`it's "C:\My Tools\run me.exe" /quiet`, []string{`file_path:C:\My Tools\run me.exe`}},
		"a quoted file name with spaces":                {"opened 'Invoice 2026 (final).pdf.exe'", []string{"file_name:Invoice 2026 (final).pdf.exe"}},
		"Unix paths":                                    {"/tmp/.x/miner and /usr/local/bin/sshd, and/or 1/2/2026 POST /observe/observables", []string{"file_path:/tmp/.x/miner", "file_path:/usr/local/bin/sshd"}},
		"a URL gives its domain":                        {"https://cdn.update.example:8443/a/b.exe?x=1.2.3.4", []string{"domain:cdn.update.example"}},
		"a URL gives its address":                       {"http://203.0.113.9/gate.php http://user:pw@[2001:db8::5]/x", []string{"ip:203.0.113.9", "ipv6:2001:db8::5"}},
		"a URL's host needs no known ending":            {"http://c2.unknowntld/ http://localhost:80/", []string{"domain:c2.unknowntld"}},
		"a mail address gives its domain":               {"From: billing@phish.example", []string{"domain:phish.example"}},
		"fanged text":                                   {"hxxps://evil[.]example/x hxxp[:]//a(.)b{.}example 203[.]0[.]113[.]7 2001[:]db8[:][:]1 bob[at]mail[dot]example", []string{"domain:evil.example", "domain:a.b.example", "ip:203.0.113.7", "ipv6:2001:db8::1", "domain:mail.example"}},
		"explicit types":                                {`mutex:Global\MSFT-77 process_name:evil hostname:WS-041, domain:intranet`, []string{`mutex:Global\MSFT-77`, "process_name:evil", "hostname:ws-041", "domain:intranet"}},
		"an explicit type with a quoted value":          {`mutex:"Local\two words" and file_path:"/srv/with space/x"`, []string{`mutex:Local\two words`, "file_path:/srv/with space/x"}},
		"a wrong explicit type is not believed":         {"ip:unknown md5:" + sha256Hash, []string{"sha256:" + sha256Hash}},
		"each once, in order of appearance":             {"b.example a.example b.example A.example 192.0.2.1 b.example", []string{"domain:b.example", "domain:a.example", "ip:192.0.2.1"}},
		"brackets and quotes around a value":            {`(203.0.113.7) <evil.example> "evil2.example" [evil3.example]`, []string{"ip:203.0.113.7", "domain:evil.example", "domain:evil2.example", "domain:evil3.example"}},
		"an assignment":                                 {"dst=203.0.113.7;file=bad.exe", []string{"ip:203.0.113.7", "file_name:bad.exe"}},
		"bytes that are not UTF-8 are passed over":      {"\xff\xfe.example ok.example", []string{"domain:ok.example"}},
		"right-to-left marks do not hide in file names": {"ab\u202egpj.exe", []string{"file_name:ab\u202egpj.exe"}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, append([]string{}, c.want...), short(extract.Find(c.text)))
		})
	}
}

func TestSHA1IsMarkedUnsupported(t *testing.T) {
	found := extract.Find(sha1Hash + " " + md5Hash)
	require.Len(t, found, 2)
	assert.True(t, found[0].Unsupported)
	assert.False(t, found[1].Unsupported)
	assert.NotContains(t, extract.Types(), "sha1")
}

func TestGuess(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"an address":                          {"203.0.113.7", "ip:203.0.113.7"},
		"a fanged address":                    {" 203[.]0[.]113[.]7 ", "ip:203.0.113.7"},
		"IPv6 of any form":                    {"::1", "ipv6:::1"},
		"IPv6 in brackets":                    {"[2001:db8::1]", "ipv6:2001:db8::1"},
		"IPv4 mapped into IPv6":               {"::ffff:192.0.2.1", "ip:192.0.2.1"},
		"a domain":                            {"Evil[.]Example", "domain:evil.example"},
		"a domain with a dot at its end":      {"evil.example.", "domain:evil.example"},
		"a URL":                               {"hxxps://evil[.]example/a?b=c", "domain:evil.example"},
		"a mail address":                      {"a@evil.example", "domain:evil.example"},
		"MD5":                                 {md5Hash, "md5:" + md5Hash},
		"SHA-1":                               {sha1Hash, "sha1:" + sha1Hash},
		"SHA-256 in capitals":                 {strings.ToUpper(sha256Hash), "sha256:" + sha256Hash},
		"a Windows path with spaces":          {`C:\My Tools\run me.exe`, `file_path:C:\My Tools\run me.exe`},
		"any Unix path":                       {"/data/x", "file_path:/data/x"},
		"a file name with spaces":             {"Invoice 2026.pdf.exe", "file_name:Invoice 2026.pdf.exe"},
		"quotes":                              {`"invoice.exe"`, "file_name:invoice.exe"},
		"an explicit mutex":                   {`mutex:Global\Foo [1]`, `mutex:Global\Foo [1]`},
		"an explicit mutex keeps its fangs":   {`mutex:a[.]b`, `mutex:a[.]b`},
		"an explicit type in capitals":        {"MD5:" + md5Hash, "md5:" + md5Hash},
		"ip says ipv6 where it is one":        {"ip:2001:db8::1", "ipv6:2001:db8::1"},
		"an explicit name of one label":       {"hostname:WS-041", "hostname:ws-041"},
		"a single word is nothing":            {"hello", ""},
		"an unknown ending is nothing":        {"foo.bar2", ""},
		"a number is nothing":                 {"3.14", ""},
		"an empty value":                      {"", ""},
		"an empty explicit value":             {"mutex:", ""},
		"an explicit address that is none":    {"ip:example", ""},
		"an explicit hash of a wrong length":  {"md5:" + sha1Hash, ""},
		"a control character is never a name": {"evil\x00.exe", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, ok := extract.Guess(c.value)
			assert.Equal(t, c.want != "", ok)
			if ok {
				assert.Equal(t, c.want, o.Type+":"+o.Value)
			}
		})
	}
}

func FuzzFind(f *testing.F) {
	f.Add("hxxps://evil[.]example/x?y mutex:Global\\Foo \"C:\\My Tools\\a b.exe\" 203.0.113.7:80 2001:db8::1 a@b.example")
	f.Add("ip:1.2.3.4 file_path:'/tmp/a b' \\\\srv\\x\\y %TEMP%\\z.exe /usr/bin/x " + md5Hash)
	f.Add("\xff\"'`:[.](.)\u202e.exe")
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[extract.Observable]bool{}
		for _, o := range extract.Find(text) {
			require.False(t, seen[o], "twice: %v", o)
			seen[o] = true
			require.NotEmpty(t, o.Value)
			require.Equal(t, o.Type == "sha1", o.Unsupported)
			if o.Type != "sha1" {
				require.Contains(t, extract.Types(), o.Type)
			}
			// What a person copies from the page and gives to the command line is the same observable.
			again, ok := extract.Guess(o.Type + ":" + o.Value)
			require.True(t, ok, "not read again: %q", o)
			require.Equal(t, o.Type, again.Type)
		}
	})
}
