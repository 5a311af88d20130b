package relay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// TestAnotherSpellingFindsTheSame asks for one thing in spellings that Qualys does not use, and wants each
// entity to name it as it was asked.
func TestAnotherSpellingFindsTheSame(t *testing.T) {
	t.Parallel()
	const (
		hash = "6a1c0f3bd1b84d5e9c27a0e4b3f65d718e2f90a4c6d7b1358f0e2a9d4c7b6e51"
		md5  = "9f1e4c7b20d85a36e1f7094b3c6d2a58"
	)
	file := func(path string) qualystest.Event {
		return qualystest.File(path, hash, md5).Verdict("MALICIOUS", 9, "x")
	}
	connection := func(remote string) qualystest.Event { return qualystest.Network("a.exe", "192.0.2.17", remote, "") }
	for _, test := range []struct {
		event     qualystest.Event
		kind      string
		spellings []string
	}{
		{file(`C:\Program Files\x.exe`), "file_path", []string{
			`C:\Program Files\x.exe`, `C:/Program Files/x.exe`, `c:\program files\X.EXE`, `\\?\C:\Program Files\x.exe`, `\??\C:\Program Files\x.exe`,
			`//?/C:/Program Files/x.exe`, ` C:\Program Files\x.exe `, `C:\Program Files`, `C:/Program Files/`, `C:\`,
		}},
		{file(`C:\x.exe`), "file_path", []string{`\\?\C:\x.exe`, `C:/x.exe`, `C:\x.exe\`}},
		{file(`\\server\share\x.exe`), "file_path", []string{`\\server\share\x.exe`, `\\?\UNC\server\share\x.exe`, `\\server\share`}},
		{file(`/usr/local/bin/x`), "file_path", []string{`/usr/local/bin/x`, `/usr/local/bin/`, `/usr/local`}},
		{file(`C:\Müll\x.exe`), "file_path", []string{`C:\Müll\x.exe`, "C:\\Mu\u0308ll\\x.exe"}},
		{file(`C:\a\überweisung.exe`), "file_name", []string{"überweisung.exe", "u\u0308berweisung.exe", "ÜBERWEISUNG.EXE", " überweisung.exe\t"}},
		{connection("198.51.100.23"), "ip", []string{"198.51.100.23", "::ffff:198.51.100.23", "::FFFF:c633:6417", "0:0:0:0:0:ffff:198.51.100.23", " 198.51.100.23"}},
		{connection("2001:db8::1"), "ip", []string{"2001:db8::1", "2001:db8:0:0:0:0:0:1", "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:DB8::1"}},
		{connection("2001:db8:0:0:0:0:0:1"), "ipv6", []string{"2001:db8::1", "2001:db8:0:0:0:0:0:1", "2001:db8:0::1", "2001:db8::0:1"}},
		{connection("fe80:0:0:0:250:56ff:fe00:5302"), "ipv6", []string{"fe80::250:56ff:fe00:5302", "fe80::250:56ff:fe00:5302%eth0"}},
		{toDomain("xn--mnchen-3ya.example"), "domain", []string{"münchen.example", "MÜNCHEN.example", "mu\u0308nchen.example", "xn--mnchen-3ya.example", "XN--MNCHEN-3YA.EXAMPLE."}},
		{toDomain("münchen.example"), "domain", []string{"münchen.example", "xn--mnchen-3ya.example", "München.Example."}},
		{toDomain("c2.example"), "domain", []string{"C2.Example", "c2.example.", " c2.example "}},
		{toDomain("c2.example"), "hostname", []string{"C2.Example", "c2.example."}},
		{toDomain("_dmarc.c2.example"), "domain", []string{"_dmarc.c2.example", "_DMARC.c2.example."}},
		{file(`C:\x.exe`), "sha256", []string{hash, strings.ToUpper(hash), " " + hash + "\n", "\t" + hash}},
		{file(`C:\x.exe`), "md5", []string{md5, strings.ToUpper(md5), md5 + " "}},
		{qualystest.Mutex(`Global\Wininet`, "a.exe"), "mutex", []string{`Global\Wininet`, ` Global\Wininet`}},
	} {
		for _, spelling := range test.spellings {
			t.Run(fmt.Sprintf("%s %q", test.kind, spelling), func(t *testing.T) {
				t.Parallel()
				r := newRelay(t, []qualystest.Event{test.event, qualystest.Network("b.exe", "192.0.2.18", "203.0.113.9", "neighbour.example")})
				a := r.query("/observe/observables", test.kind, spelling)
				assert.Empty(t, a.Errors)
				require.Equal(t, 1, a.Data.Sightings.Count)
				sighting := a.Data.Sightings.Docs[0]
				asked := map[string]any{"type": test.kind, "value": spelling}
				assert.Equal(t, []any{asked}, sighting["observables"])
				for _, j := range a.Data.Judgements.Docs {
					if test.kind == "sha256" || test.kind == "md5" {
						assert.Equal(t, asked, j["observable"], "the asked spelling")
					}
				}
				relations, _ := sighting["relations"].([]any)
				for _, one := range relations {
					relation, ok := one.(map[string]any)
					require.True(t, ok)
					for _, end := range []string{"source", "related"} {
						observable, ok := relation[end].(map[string]any)
						require.True(t, ok)
						if observable["type"] == test.kind && strings.EqualFold(fmt.Sprint(observable["value"]), strings.TrimSpace(spelling)) {
							assert.Equal(t, asked, observable, "one spelling in an answer")
						}
					}
				}
			})
		}
	}
}

// TestDeliberateTakesAnySpellingOfAHash gives the verdict about the hash as it was asked.
func TestDeliberateTakesAnySpellingOfAHash(t *testing.T) {
	t.Parallel()
	const hash, md5 = "6a1c0f3bd1b84d5e9c27a0e4b3f65d718e2f90a4c6d7b1358f0e2a9d4c7b6e51", "9f1e4c7b20d85a36e1f7094b3c6d2a58"
	r := newRelay(t, []qualystest.Event{qualystest.File(`C:\x.exe`, hash, md5).Verdict("MALICIOUS", 9, "x")})
	asked := []string{
		"sha256", " " + hash + " ", "sha256", "\t" + strings.ToUpper(hash) + "\r\n", "sha256", hash, "md5", "\u00a0" + md5, "md5", strings.ToUpper(md5) + " ",
	}
	a := r.query("/deliberate/observables", asked...)
	assert.Empty(t, a.Errors)
	require.Equal(t, len(asked)/2, a.Data.Verdicts.Count)
	var got []string
	for _, v := range a.Data.Verdicts.Docs {
		assert.Equal(t, "Malicious", v["disposition_name"])
		observable, ok := v["observable"].(map[string]any)
		require.True(t, ok)
		got = append(got, fmt.Sprint(observable["type"]), fmt.Sprint(observable["value"]))
	}
	assert.Equal(t, asked, got)
}

// TestAVerdictIsAboutTheAskedHashOnly: the verdict on another file of the same event is not its.
func TestAVerdictIsAboutTheAskedHashOnly(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{
		qualystest.File(`C:\a.exe`, sha(1), "").Verdict("MALICIOUS", 9, "x").Judged(sha(7)), // what else was in the event
		qualystest.Network("b.exe", "192.0.2.1", "192.0.2.2", "").Image(`C:\b.exe`, sha(2)).Verdict("MALICIOUS", 9, "x").Judged(sha(8)),
	})
	a := r.query("/deliberate/observables", "sha256", sha(1), "sha256", sha(2))
	assert.Empty(t, a.Errors)
	assert.JSONEq(t, `{"data":{}}`, a.body)
}

// TestOtherThingsAreNotFound: what Qualys's tokens find is not always what was asked for.
func TestOtherThingsAreNotFound(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{
		toDomain("cdn7-update.example.com"), qualystest.Network("a.exe", "192.0.2.17", "10.1.1.10", ""), qualystest.Network("svchost.exe.bak", "192.0.2.9", "2001:db8::10", ""),
		qualystest.File(`C:\b\a\update.exe`, strings.Repeat("ab", 32), ""), qualystest.File(`C:\Program Files (x86)\x.exe`, "", ""),
	})
	for _, asked := range [][]string{
		{"domain", "update.example.com"}, {"domain", "example.com"}, {"ip", "10.1.1.1"}, {"ip", "2001:db8::1"}, {"file_path", `C:\a\b\update.exe`}, {"file_name", "update"},
		{"file_path", `C:\Program Files`}, {"sha256", strings.Repeat("ab", 31)}, {"process_name", "svchost.exe"}, {"file_path", `C:\b\a\upd`},
	} {
		for _, path := range []string{"/observe/observables", "/deliberate/observables"} {
			assert.JSONEq(t, `{"data":{}}`, r.query(path, asked...).body, "%v", asked)
			assert.JSONEq(t, `{"data":{}}`, r.query(path, append([]string{"sha256", sha(77), "ip", "203.0.113.7"}, asked...)...).body, "%v", asked)
		}
	}
}

// TestOddValues are searched or refused with a warning, and nothing leaves its quotes: the fake gateway
// fails the test at a query that it cannot parse.
func TestOddValues(t *testing.T) {
	t.Parallel()
	r := newRelay(t, []qualystest.Event{badFile(1)})
	for _, value := range []string{
		`"`, "`", `'`, `\`, `\\\`, `a" or file.name: "`, `") or ("`, "a`b\"c", `a\"`, `\"`, "a\\`", `*`, `?`, `[1 .. 2]`, `:`, `and`, `not`, "a\u2028b", "\u202eexe.fdp", "😀", "\u0000", "a\nb",
		strings.Repeat("x", 7000), strings.Repeat("%", 3000), strings.Repeat("ü", 1200), "\ufffd", "%22%20or%20%22",
	} {
		for _, kind := range []string{"file_name", "file_path", "mutex", "domain", "ip", "sha256", "md5", "process_name", "hostname", "ipv6"} {
			a := r.query("/observe/observables", kind, value, "sha256", sha(1))
			assert.Equal(t, 1, a.Data.Sightings.Count, "%s %.50q", kind, value)
			for _, e := range a.Errors {
				assert.Equal(t, CodeInvalidArgument, e.Code, "%s %.50q: %s", kind, value, e.Message)
			}
			r.query("/refer/observables", kind, value)
		}
	}
}
