package ioc_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"qualysrelay.example/cmd/relayctl/ioc"
	"qualysrelay.example/ctim"
)

func TestATextWithoutObservablesAsksNothing(t *testing.T) {
	for _, text := range []string{
		"", " \n\t", "\xff\xfe\xfd", "a::b std::cout 00:50:56:00:00:01",
		"The user clicked, e.g. twice, i.e. too often (cf. page 3.1 of the report, 12:30:45).",
	} {
		found, skipped := ioc.Extract(text)
		assert.Empty(t, found, text)
		assert.Empty(t, skipped, text)
	}
}

func TestEachObservableIsFoundOnce(t *testing.T) {
	found, skipped := ioc.Extract("b.example, Evil[.]Example and EVIL.example; b.example; 10.0.0.0/8, 10.0.0.0/8")
	assert.Equal(t, []ioc.Finding{
		{Observable: ctim.Observable{Type: "domain", Value: "b.example"}},
		{Observable: ctim.Observable{Type: "domain", Value: "evil.example"}},
	}, found)
	network := ioc.Skipped{Text: "10.0.0.0/8", Reason: "networks cannot be searched, only addresses"}
	assert.Equal(t, []ioc.Skipped{network}, skipped)
}

func TestAPathThatGoesOnInTheNextLineIsNotCutOff(t *testing.T) {
	const unclear = "   (it is not clear where this path ends; put it in quotation marks)\n"
	for text, want := range map[string]string{
		"C:\\Data\\eve\\\nC:\\Data\\x.exe":            "  file_path:C:\\Data\\eve\n  file_path:C:\\Data\\x.exe\n",
		"C:\\Data\\eve\\\n\nMD5 of the rest: unknown": "  file_path:C:\\Data\\eve\n",
		"/data/eve/\r\nx.sh":                          "  file_name:x.sh\n  skipped /data/eve/" + unclear,
		"C:\\Data\\eve\\\nRoaming\\x.exe": "  skipped C:\\Data\\eve\\" + unclear +
			"  skipped Roaming\\x.exe   (not a whole path; give the path from its root, or search for the file name)\n",
	} {
		assert.Equal(t, want, render(ioc.Extract(text)), "%q", text)
	}
}

func TestOneValueOnACommandLine(t *testing.T) {
	for value, want := range map[string]string{
		" 203[.]0[.]113[.]7 ":         "  ip:203.0.113.7\n",
		"[2001:db8::1]":               "  ipv6:2001:db8::1\n",
		"ip:2001:db8::1":              "  ipv6:2001:db8::1\n",
		"evil.example.":               "  domain:evil.example\n",
		"hxxps://evil[.]example/a?b":  "  domain:evil.example\n",
		`C:\My Tools\run me.exe`:      "  file_path:C:\\My Tools\\run me.exe\n",
		`C:\Users\Ana María`:          "  file_path:C:\\Users\\Ana María\n",
		"/opt2/x":                     "  file_path:/opt2/x\n",
		"/opt2/*":                     "  skipped /opt2/*   (holds a placeholder or a wildcard)\n",
		"Invoice 2026.pdf.exe":        "  file_name:Invoice 2026.pdf.exe\n",
		`"invoice.exe"`:               "  file_name:invoice.exe\n",
		`mutex:Global\Foo [1] bar`:    "  mutex:Global\\Foo [1] bar\n",
		"hostname:WS-041":             "  hostname:ws-041\n",
		"domain:intranet":             "  domain:intranet\n",
		"file_path:/srv2/with space":  "  file_path:/srv2/with space\n",
		"hello":                       "",
		"3.14":                        "",
		"mutex:":                      "",
		"ip:example":                  "",
		"127.0.0.1":                   "  skipped 127.0.0.1   (loopback, link-local, multicast or reserved: the same everywhere)\n",
		`C:\Users\<user>\x.exe`:       "  skipped C:\\Users\\<user>\\x.exe   (holds a placeholder or a wildcard)\n",
		"9e107d9d372bb6826bd81d3542a": "",
	} {
		assert.Equal(t, want, render(ioc.Parse(value)), value)
	}
}

func TestWhatWouldAskForMoreThanTheTextNames(t *testing.T) {
	const unclear = "   (it is not clear where this path ends; put it in quotation marks)\n"
	const relative = "   (not a whole path; give the path from its root, or search for the file name)\n"
	const placeholder = "   (holds a placeholder or a wildcard)\n"
	const network = "   (networks cannot be searched, only addresses)\n"
	long, longer := strings.Repeat("a", 1100), strings.Repeat("a", 5000)
	for text, want := range map[string]string{
		`C:\Data\` + longer + `.exe`:     `  skipped C:\Data\` + longer + ".exe   (too long)\n",
		"/tmp/" + longer + ".sh x":       "  skipped /tmp/" + longer + ".sh   (too long)\n",
		"process_name:" + longer + ".c":  "  skipped " + longer[:1025] + "   (too long)\n",
		longer + ".exe":                  "",
		"my.f(iles.zip and x[y.exe":      "  skipped iles.zip   (cut off)\n  skipped y.exe   (cut off)\n",
		"evil.com&ple and a.exe*":        "  skipped evil.com   (cut off)\n  skipped a.exe*" + placeholder,
		`C:\Users\eve\Re&port two.docx`:  `  skipped C:\Users\eve\Re&port two.docx` + unclear,
		`C:\Data\St. Mary\two.docx`:      `  skipped C:\Data\St. Mary\two.docx` + unclear,
		`C:\Data\{ was there`:            `  skipped C:\Data\{` + unclear,
		`C:\Data\Smith, John.docx`:       `  skipped C:\Data\Smith, John.docx` + unclear,
		`C:\Data\Band — Live\x.exe`:      `  skipped C:\Data\Band — Live\x.exe` + unclear,
		`C:\Data\a; b\x.exe`:             `  skipped C:\Data\a; b\x.exe` + unclear,
		"/opt/data/a:b/x.sh":             "  skipped /opt/data/a:b/x.sh" + unclear,
		"/opt/data:/mnt/x":               "  file_path:/opt/data\n  file_path:/mnt/x\n",
		"/home/eve/My Big Data/x":        "  skipped /home/eve/My" + unclear,
		"/Applications/A B C.app/c/run":  "  skipped /Applications/A" + unclear,
		"/opt/a is not evil/x":           "  file_path:/opt/a\n",
		"2001:db8::1/64":                 "  skipped 2001:db8::1/64" + network,
		"2001:db8::1-2001:db8::9.":       "  skipped 2001:db8::1-2001:db8::9   (ranges cannot be searched, only addresses)\n",
		`"C:\My \Tools\run me.exe" /q`:   `  skipped C:\My` + unclear + `  skipped \Tools\run me.exe` + relative,
		"%203.0.113.7 and *203.0.113.8":  "  ip:203.0.113.7\n  ip:203.0.113.8\n",
		"1:2:3:2001:db8::1 a::dead:beef": "",
		`C:\Data\` + long + `.exe`:       `  skipped C:\Data\` + long + ".exe   (too long)\n",
		"https://" + long + ".example":   "",
		long + ".exe":                    "",
		long + `\x.c`:                    "",
		`C:\Data\Who was\x\y.exe`:        `  skipped C:\Data\Who was\x\y.exe` + unclear,
		`C:\A&&B\c.exe`:                  "  file_path:C:\\A\n  skipped c.exe" + relative,
		`andC:\\Temp\\c.dll`:             "  skipped \\\\Temp\\\\c.dll" + relative,
		"203.0.113.45/2.1.0.6":           "  ip:203.0.113.45\n  ip:2.1.0.6\n",
		"203.0.113.0/24=bad":             "  skipped 203.0.113.0/24" + network,
		"2001:db8::/32 and 2001:db8::":   "  ipv6:2001:db8::\n  skipped 2001:db8::/32" + network,
		"file:///home/eve/x.sh":          "  file_path:/home/eve/x.sh\n",
		"/C:/Users/eve/x.exe":            "  file_path:C:/Users/eve/x.exe\n",
		"*.evil.com":                     "  domain:evil.com   (subdomains are not searched)\n",
		"R&D.exe, *.pdf.zip": "  skipped D.exe   (cut off)\n" +
			"  skipped *.pdf.zip   (holds a placeholder or a wildcard)\n",
		"{random}svc.exe and invoice (1).exe": "  skipped {random}svc.exe   (holds a placeholder or a wildcard)\n" +
			"  skipped (1).exe   (cut off)\n",
		"mutex:<x> and Mutex: Global\\Run*": "  skipped <x>   (holds a placeholder or a wildcard)\n" +
			"  skipped Global\\Run*   (holds a placeholder or a wildcard)\n",
		"evil\u00a0[.]\u00a0example\u2028/tmp/a\vb \x00x.exe": "" +
			"  file_path:/tmp/a\n  file_name:x.exe\n" +
			"  skipped evil<NBSP>[.]<NBSP>example   (has spaces around its dots)\n",
		"mutex mutexes: a, and 12": "",
	} {
		assert.Equal(t, want, render(ioc.Extract(text)), "%q", text)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("hxxps://evil[.]example/x?y mutex:G\\F \"C:\\My Tools\\a b.exe\" 203.0.113.7:80 2001:db8::1 a@b.example")
	f.Add("C:\\Users\\<user>\\x.exe, %APPDATA%\\a b.exe C:\\\\a\\\\b.exe\\n \\\\srv\\x\\y /tmp/x/\nz.sh " +
		"$env:X\\y.exe /dev/tcp/203.0.113.5/4")
	f.Add("\xff\"'`:[.](.)\u202e.exe *.bücher.example 203.0.113.5-9 C:\\a\\… " +
		"d41d8cd98f00b204e9800998ecf8427e.exe Mutex: \"x y\"")
	f.Add("e\u034fvil.example") // a character that IDNA passes over
	f.Fuzz(func(t *testing.T, text string) {
		found, skipped := ioc.Extract(text)
		refanged := strings.ToLower(ioc.Refang(text))
		seen := map[ctim.Observable]bool{}
		for _, f := range found {
			require.False(t, seen[f.Observable], "twice: %v", f)
			seen[f.Observable] = true
			require.Contains(t, ioc.Types(), string(f.Type))
			require.True(t, stands(refanged, f), "%+v is not in %q", f, refanged)
			if f.Type == ctim.ObservableFilePath {
				whole := func(text string) bool { return ends(text, f) }
				require.True(t, slices.ContainsFunc(spellings(refanged), whole), "%+v is cut off in %q", f, refanged)
			}
		}
		for _, s := range skipped {
			require.Contains(t, text, s.Text)
			require.NotEmpty(t, s.Reason)
		}
	})
}

// shown is a text without the characters that IDNA passes over, such as U+034F.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, text)
}

// stands reports whether a finding's value is in the text that it was found in.
func stands(text string, f ioc.Finding) bool {
	value := strings.ToLower(f.Value)
	switch f.Type {
	case ctim.ObservableIP, ctim.ObservableIPv6: // its usual form, and as it is written in the text
		_, err := netip.ParseAddr(value)
		return err == nil
	case ctim.ObservableDomain, ctim.ObservableHostname:
		name, err := idna.Punycode.ToUnicode(value)
		mapped := strings.ToLower(norm.NFKC.String(shown(text))) // also how IDNA reads "ǌ" and full-width letters
		return strings.Contains(mapped, value) || err == nil && name != value
	case ctim.ObservableFilePath:
		holds := func(text string) bool { return strings.Contains(text, singly(f)) }
		return slices.ContainsFunc(spellings(text), holds)
	}
	return strings.Contains(text, value)
}

// singly is a path with single backslashes, in lower case.
func singly(f ioc.Finding) string {
	return doubled.ReplaceAllLiteralString(strings.ToLower(f.Value), `\`)
}

// spellings are a text with single backslashes, and without those that escape spaces.
func spellings(text string) []string {
	single := doubled.ReplaceAllLiteralString(text, `\`)
	return []string{single, strings.ReplaceAll(single, `\ `, " ")}
}

var doubled = regexp.MustCompile(`\\+`)

// ends reports whether a path ends somewhere in the text: neither more of a name nor of the path follows.
func ends(text string, f ioc.Finding) bool {
	for value := singly(f); ; {
		at := strings.Index(text, value)
		if at < 0 {
			return false
		}
		next, size := utf8.DecodeRuneInString(strings.TrimLeft(text[at+len(value):], `\/`))
		more := unicode.IsLetter(next) || unicode.IsDigit(next) || strings.ContainsRune("_*%${", next)
		if size == 0 || !more {
			return true
		}
		text = text[at+1:]
	}
}

// BenchmarkExtract reads one MiB of a report, and of words that are made to take long.
func BenchmarkExtract(b *testing.B) {
	for name, text := range map[string]string{
		"report": "The dropper wrote C:\\ProgramData\\WinUpd\\winupd svc.exe and calls " +
			"hxxps://cdn-update[.]example/gate at 203[.]0[.]113[.]45.\n",
		"one word":    "a",
		"dots":        "a.",
		"brackets":    "(",
		"closed":      ")",
		"colons":      "::",
		"drives":      `C:\a b `,
		"spaces":      `\\a\b c d e f g h i j k l m n o p `,
		"shares":      `\\a\`,
		"variables":   "%a%\\ ",
		"quotes":      `"C:\a`,
		"unix":        "/tmp/a ",
		"relative":    `a\b c `,
		"slashes":     "a/b.c/",
		"URLs":        "http://a",
		"hex":         "0123456789abcdef",
		"fangs":       "[.]",
		"escapes":     `a\.`,
		"json":        `C:\\a`,
		"placeholder": "<a",
		"mutex":       "mutex: a ",
		"labels":      "mutex:",
		"objects":     `Global\`,
		"versions":    "v 1.1.1.1, ",
		"addresses":   "1.1.1.1-",
		"lists":       "1.1.1.1/",
		"wildcards":   "#*",
		"hyphens":     "-",
		"open":        "://<",
		"mail":        "a@a.",
		"cyrillic":    "аa.рф ",
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(text, 1<<20/len(text))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ioc.Extract(text)
			}
		})
	}
}
