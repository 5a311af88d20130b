package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
)

var update = flag.Bool("update", false, "write the golden files")

const sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func observable(kind ctim.ObservableType, value string) ctim.Observable {
	return ctim.Observable{Type: kind, Value: value}
}

// answer is an answer about an address, a hash and two names: three events, of which the address and the
// domain found the same one; a judgement of the hash; and whatever errors.
func answer(errors string) []byte {
	return []byte(`{
		"data": {
			"sightings": {"count": 4, "docs": [
				{"id": "s1", "external_ids": ["N_1"], "severity": "Low", "title": "Connection on B", "source_uri": "https://q.example/1",
				 "observables": [{"type": "ip", "value": "203.0.113.7"}], "observed_time": {"start_time": "2026-02-01T00:00:00Z"},
				 "targets": [{"observables": [{"type": "ip", "value": "10.0.0.2"}, {"type": "hostname", "value": "B"}]}, {"observables": [{"type": "mac_address", "value": "aa"}]}]},
				{"id": "s2", "external_ids": ["N_2"], "severity": "High", "title": "Connection on A", "source_uri": "https://q.example/1",
				 "observables": [{"type": "ip", "value": "203.0.113.7"}, {"type": "ip", "value": "203.0.113.7"}],
				 "observed_time": {"start_time": "2026-02-03T00:00:00Z"},
				 "targets": [{"observables": [{"type": "hostname", "value": "A"}]}, {"observables": []}],
				 "data": {"columns": [{"name": "Active"}], "rows": [["True"]]}},
				{"id": "s3", "external_ids": ["F_3"], "title": "File on C", "source_uri": "https://q.example/2",
				 "observables": [{"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}], "observed_time": {"start_time": "2026-02-02T00:00:00Z"}},
				{"id": "s4", "external_ids": ["N_2"], "severity": "High", "title": "Connection on A", "source_uri": "https://q.example/3",
				 "observables": [{"type": "domain", "value": "evil.test"}], "observed_time": {"start_time": "2026-02-03T00:00:00Z"},
				 "targets": [{"observables": [{"type": "hostname", "value": "A"}]}],
				 "data": {"columns": [{"name": "Active"}], "rows": [["True"]]}}
			]},
			"judgements": {"count": 2, "docs": [
				{"id": "j1", "observable": {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}, "disposition": 2, "disposition_name": "Malicious",
				 "priority": 90, "reason": "Trojan", "valid_time": {"start_time": "2026-02-01T00:00:00Z"}},
				{"id": "j2", "observable": {"type": "sha256", "value": "` + sha256 + `"}, "disposition": 1, "disposition_name": "Clean",
				 "priority": 90, "reason": "", "valid_time": {"start_time": "2026-02-03T00:00:00Z"}}
			]},
			"relationships": {"count": 4, "docs": [{"source_ref": "s2", "target_ref": "j2"}, {"source_ref": "s3", "target_ref": "j1"},
				{"source_ref": "s4", "target_ref": "j2"},
				{"source_ref": "s1", "target_ref": "elsewhere"}]},
			"tools": {"count": 0, "docs": []}
		},
		"errors": [` + errors + `]
	}`)
}

func asked() []ctim.Observable {
	return []ctim.Observable{
		observable("ip", "203.0.113.7"), observable("md5", "D41D8CD98F00B204E9800998ECF8427E"),
		observable("domain", "evil.test"), observable("hostname", "a"),
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	r, err := Read(asked(), answer(""))
	require.NoError(t, err)
	malicious, clean := r.Findings[1].Verdict, r.Events[0][0].judged
	require.NotNil(t, malicious)
	require.NotNil(t, clean)
	assert.Equal(t, "Malicious: Trojan", opinion(malicious))
	assert.Equal(t, observable("sha256", sha256), clean.Observable)
	var rows [][]string
	for _, f := range r.Findings {
		rows = append(rows, []string{f.eventsCell(), severities[f.severity], f.hostsCell()})
	}
	assert.Equal(t, [][]string{{"2 (1 active)", "High", "A, B, aa"}, {"1", "Unknown", ""},
		{"1 (1 active)", "High", "A"}, {"0", "", ""}}, rows)
	assert.Equal(t, clean, r.Findings[0].judged)
	assert.Equal(t, clean, r.Findings[2].judged)
	assert.Nil(t, r.Findings[3].judged)
	require.Len(t, r.Events, 3, "an event counts once, however many observables found it")
	assert.Equal(t, []string{"N_2", "F_3", "N_1"}, []string{r.Events[0][0].event, r.Events[1][0].event, r.Events[2][0].event},
		"newest first")
	assert.Equal(t, "https://q.example/3", r.Findings[2].sightings[0].SourceURI)
	assert.Equal(t, "F_3", r.Findings[1].sightings[0].event)
	assert.True(t, r.Found())
}

func TestANameThatFoundNothingIsExplained(t *testing.T) {
	t.Parallel()
	for _, o := range []ctim.Observable{observable("hostname", "a"), observable("hostname", "elsewhere"),
		observable("domain", "b.corp.example")} {
		r, err := Read([]ctim.Observable{asked()[0], o}, answer(""))
		require.NoError(t, err)
		assert.Contains(t, r.Note(), "what happened on an endpoint is not found by its name", Name(o))
	}
	for _, o := range []ctim.Observable{observable("domain", "evil.test"), observable("ip", "10.0.0.2")} {
		r, err := Read([]ctim.Observable{o}, answer(""))
		require.NoError(t, err)
		assert.Empty(t, r.Note(), Name(o))
	}
}

func TestAFailureIsNotZero(t *testing.T) {
	t.Parallel()
	const down = `{"type": "error", "code": "service unavailable", "message": "Service temporarily unavailable."}`
	for name, c := range map[string]struct {
		errors string
		// the cells of the column Events, for the address, the hash, the domain and the hostname
		want []string
	}{
		"nothing failed": {"", []string{"2 (1 active)", "1", "1 (1 active)", "0"}},
		"something failed for all": {down, []string{"2 or more (1 active)", "1 or more",
			"1 or more (1 active)", "not known"}},
		"it is about one of them": {`{"type": "warning", "code": "invalid argument", "message": "The hostname \"a\" cannot be searched"}`, []string{"2 (1 active)", "1", "1 (1 active)", "not known"}},
		"the answer is full":      {`{"type": "warning", "code": "too-many-messages-warning", "message": "The answer is full: it holds 1 results for the IP \"203.0.113.7\", and none for the observables after it."}`, []string{"2 or more (1 active)", "1 or more", "1 or more (1 active)", "not known"}},
		"one is truncated":        {`{"type": "warning", "code": "too-many-messages-warning", "message": "There are more results for the IP \"203.0.113.7\" than the 2"}`, []string{"2 or more (1 active)", "1", "1 (1 active)", "0"}},
		"a name that only begins " +
			"like": {`{"type": "warning", "code": "x", "message": "The hostname \"ab\" cannot be searched"}`, []string{"2 or more (1 active)", "1 or more", "1 or more (1 active)", "not known"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Read(asked(), answer(c.errors))
			require.NoError(t, err)
			var cells []string
			for _, f := range r.Findings {
				cells = append(cells, f.eventsCell())
			}
			assert.Equal(t, c.want, cells)
		})
	}
	r, err := Read(asked(), []byte(`{"errors": [`+down+`]}`))
	require.NoError(t, err)
	var csv strings.Builder
	require.NoError(t, r.WriteCSV(&csv))
	assert.Equal(t, 4, strings.Count(csv.String(), ",not known,"))
	long := observable("file_path", `C:\`+strings.Repeat("x", 200))
	r, err = Read([]ctim.Observable{long, asked()[0]},
		[]byte(`{"errors": [{"type": "warning", "message": "The file path \"C:\\`+strings.Repeat("x",
			97)+`…\" cannot be searched"}]}`))
	require.NoError(t, err)
	assert.True(t, r.Findings[0].Incomplete && r.Findings[1].Incomplete,
		"messages cut long values, and may then be about any")
}

func TestOddAnswersAreReadAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"data":{}}`, `{"data":{},"errors":[]}`, `{"data":{},"errors":null}`,
		`{"data":{"sightings":null}}`, `{"data":{"sightings":{"docs":null}}}`,
		`{"data":{"sightings":{"docs":[null, {}]},"judgements":{"docs":[null]}}}`,
		`{"data":{"sightings":{"docs":[{"data":{"columns":[{"name":"Active"}],"rows":[[]]}}]}}}`} {
		r, err := Read(asked()[:1], []byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, []Finding{{Observable: asked()[0]}}, r.Findings, body)
	}
	for _, body := range []string{``, `null`, `{}`, `{"message":"Forbidden"}`, `{"data":null,"errors":[]}`, `null,`, `[]`, `"text"`, `<html>`, `{"data":[]}`,
		`{"data":{"sightings":{"docs":"x"}}}`} {
		_, err := Read(nil, []byte(body))
		require.ErrorContains(t, err, "the answer is not a relay's", body)
	}
}

// TestForms holds what is written to a terminal of 80 columns and of 132, to a pipe and as CSV to files
// under testdata.
func TestForms(t *testing.T) {
	t.Parallel()
	r, err := Read(append(asked(), observable("sha256", sha256)), answer(""))
	require.NoError(t, err)
	r.Findings = append(r.Findings, Finding{Observable: observable("sha1", strings.Repeat("0a", 20)),
		Skipped: "Qualys cannot be searched for a sha1"})
	for file, write := range map[string]func(w *strings.Builder) error{
		"table80.txt":  func(w *strings.Builder) error { return r.WriteTable(w, 80) },
		"table132.txt": func(w *strings.Builder) error { return r.WriteTable(w, 132) },
		"pipe.txt":     func(w *strings.Builder) error { return r.WriteTable(w, 0) },
		"events80.txt": func(w *strings.Builder) error { return r.WriteEvents(w, 80) },
		"events.txt":   func(w *strings.Builder) error { return r.WriteEvents(w, 0) },
		"events.csv":   func(w *strings.Builder) error { return r.WriteCSV(w) },
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			require.NoError(t, write(&got))
			path := filepath.Join("testdata", file)
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(path, []byte(got.String()), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

func TestATableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	name := "\x1b[31m" + strings.Repeat("W", 10_000)
	active := &Sighting{Sighting: ctim.Sighting{Severity: name}, state: "active",
		hosts: []string{name, name + "2"}}
	judged := &Sighting{hosts: []string{"a", "b", "c", "d", "e"}, judged: &ctim.Judgement{
		DispositionName: "Malicious", Reason: name, Observable: observable("file_name", name)}}
	r := &Report{Findings: []Finding{
		{Observable: observable("file_name", name), Incomplete: true,
			Verdict: &ctim.Judgement{DispositionName: "Malicious", Reason: name}},
		{Observable: observable("ip", "203.0.113.7")},
	}}
	for range 1000 {
		r.Findings[0].add(active)
	}
	r.Findings[1].add(judged)
	for _, width := range []int{80, 81, 100, 120, 200} {
		var out strings.Builder
		require.NoError(t, r.WriteTable(&out, width))
		table, footnotes, _ := strings.Cut(out.String(), "\n\n")
		for line := range strings.Lines(table) {
			assert.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), width, "%d: %s", width, line)
		}
		assert.NotContains(t, out.String(), "\x1b")
		assert.Regexp(t, `and\s+2\s+more`, out.String())
		assert.Contains(t, footnotes, "[1] Malicious: ")
	}
}

func TestCSVCellsRunInNoSpreadsheet(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1",
		"@SUM(A1)": "'@SUM(A1)", "\t=1": `\t=1`, "\r=1": `\r=1`} {
		assert.Equal(t, want, csvCell(in))
	}
}
