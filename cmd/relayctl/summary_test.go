package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheJudgementThatCounts(t *testing.T) {
	t.Parallel()
	j := func(name string, number, priority int, start string) judgement {
		var j judgement
		j.DispositionName, j.Disposition, j.Priority, j.ValidTime.Start = name, number, priority, start
		return j
	}
	for name, c := range map[string]struct {
		of   []judgement
		want string
	}{
		"the highest priority wins":         {[]judgement{j("Clean", 1, 80, "2026-02-02T00:00:00Z"), j("Malicious", 2, 90, "2026-02-01T00:00:00Z")}, "Malicious"},
		"then the newest":                   {[]judgement{j("Malicious", 2, 90, "2026-02-01T00:00:00Z"), j("Unknown", 5, 90, "2026-02-02T00:00:00Z")}, "Unknown"},
		"in real time, not as text":         {[]judgement{j("Malicious", 2, 90, "2026-02-01T23:00:00-02:00"), j("Clean", 1, 90, "2026-02-02T00:30:00Z")}, "Malicious"},
		"then Clean before Malicious":       {[]judgement{j("Malicious", 2, 90, "2026-02-01T00:00:00Z"), j("Clean", 1, 90, "2026-02-01T00:00:00Z")}, "Clean"},
		"then Suspicious before Unknown":    {[]judgement{j("Unknown", 5, 90, "2026-02-01T00:00:00Z"), j("Suspicious", 3, 90, "2026-02-01T00:00:00Z")}, "Suspicious"},
		"a time that is none is the oldest": {[]judgement{j("Clean", 1, 90, "soon"), j("Common", 4, 90, "1970-01-01T00:00:00Z")}, "Common"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, slices.MinFunc(c.of, compareJudgements).DispositionName)
			slices.Reverse(c.of)
			assert.Equal(t, c.want, slices.MinFunc(c.of, compareJudgements).DispositionName)
		})
	}
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	hash, ip := observable{"md5", "d41d8cd98f00b204e9800998ecf8427e"}, observable{"ip", "203.0.113.7"}
	s, err := summarise([]observable{ip, {"md5", "D41D8CD98F00B204E9800998ECF8427E"}, {"domain", "a.test"}}, []byte(`{
		"data": {
			"sightings": {"count": 3, "docs": [
				{"id": "s1", "severity": "Low", "observables": [{"type": "ip", "value": "203.0.113.7"}], "observed_time": {"start_time": "2026-02-01T00:00:00Z"},
				 "targets": [{"observables": [{"type": "ip", "value": "10.0.0.2"}, {"type": "hostname", "value": "B"}]}, {"observables": [{"type": "mac_address", "value": "aa"}]}]},
				{"id": "s2", "severity": "High", "observables": [{"type": "ip", "value": "203.0.113.7"}, {"type": "ip", "value": "203.0.113.7"}], "observed_time": {"start_time": "2026-02-03T00:00:00Z"},
				 "targets": [{"observables": [{"type": "hostname", "value": "A"}]}, {"observables": []}],
				 "data": {"columns": [{"name": "Score"}, {"name": "Active"}], "rows": [[8], [8, true]]}},
				{"id": "s3", "observables": [{"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}], "observed_time": {"start_time": "2026-02-02T00:00:00Z"}}
			]},
			"judgements": {"count": 1, "docs": [
				{"id": "j1", "observable": {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}, "disposition": 2, "disposition_name": "Malicious", "priority": 90, "reason": "Trojan", "valid_time": {"start_time": "2026-02-01T00:00:00Z"}}
			]},
			"relationships": {"count": 2, "docs": [{"source_ref": "s2", "target_ref": "j1"}, {"source_ref": "s1", "target_ref": "elsewhere"}]},
			"tools": {"count": 0, "docs": []}
		},
		"errors": [{"type": "warning", "code": "c", "message": "m"}]
	}`))
	require.NoError(t, err)
	assert.Equal(t, []finding{
		{Observable: ip, Sightings: 2, Active: 1, Severity: "High", Hosts: []string{"A", "B", "aa"}, Verdict: verdict{"Malicious", "Trojan", hash}},
		{Observable: observable{"md5", "D41D8CD98F00B204E9800998ECF8427E"}, Sightings: 1, Severity: "Unknown", Verdict: verdict{"Malicious", "Trojan", hash}},
		{Observable: observable{"domain", "a.test"}},
	}, s.Findings)
	assert.Equal(t, []string{"s2", "s3", "s1"}, []string{s.Sightings[0].ID, s.Sightings[1].ID, s.Sightings[2].ID}, "newest first")
	assert.Equal(t, []relayError{{"warning", "c", "m"}}, s.Errors)
	assert.True(t, s.found())
}

func TestSummariseOfVerdictsAlone(t *testing.T) {
	t.Parallel()
	o := observable{"md5", "d41d8cd98f00b204e9800998ecf8427e"}
	s, err := summarise([]observable{o}, []byte(`{"data":{"verdicts":{"count":1,"docs":[{"type":"verdict","disposition":1,"disposition_name":"Clean",
		"observable":{"type":"md5","value":"d41d8cd98f00b204e9800998ecf8427e"},"valid_time":{"start_time":"2026-02-01T00:00:00Z"}}]}}}`))
	require.NoError(t, err)
	assert.Equal(t, verdict{Disposition: "Clean", About: o}, s.Findings[0].Verdict)
	assert.True(t, s.found(), "a verdict is something found")
}

func TestSummariseTakesOddAnswersAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"data":null}`, `{"data":{}}`, `{"errors":[]}`, `{"data":{"sightings":null}}`, `{"data":{"sightings":{"docs":null}}}`,
		`{"data":{"sightings":{"docs":[{}]}}}`} {
		s, err := summarise([]observable{{"ip", "203.0.113.7"}}, []byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, []finding{{Observable: observable{"ip", "203.0.113.7"}}}, s.Findings, body)
	}
	for _, body := range []string{``, `null,`, `[]`, `"text"`, `<html>`, `{"data":[]}`, `{"data":{"sightings":{"docs":"x"}}}`} {
		_, err := summarise(nil, []byte(body))
		require.ErrorContains(t, err, "the answer is not a relay's", body)
	}
}

func TestExitCodeOfAnAnswer(t *testing.T) {
	t.Parallel()
	found := []sighting{{ID: "s"}}
	for name, c := range map[string]struct {
		s    summary
		want int
	}{
		"found":                          {summary{Sightings: found}, exitDone},
		"found beside a warning":         {summary{Sightings: found, Errors: []relayError{{Type: "warning"}}}, exitDone},
		"found beside an error":          {summary{Sightings: found, Errors: []relayError{{Type: "error"}}}, exitError},
		"nothing found":                  {summary{}, exitNo},
		"nothing found beside a warning": {summary{Errors: []relayError{{Type: "warning"}}}, exitError},
		"refused":                        {summary{Errors: []relayError{{Type: "fatal"}}}, exitError},
		"a type of error that is new":    {summary{Errors: []relayError{{Type: "info"}}}, exitError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.s.verdictOfRun()
			switch no := (*answerNo)(nil); c.want {
			case exitDone:
				require.NoError(t, err)
			case exitNo:
				require.ErrorAs(t, err, &no)
			default:
				require.Error(t, err)
				require.False(t, assert.ObjectsAreEqual(err, no))
				assert.NotErrorAs(t, err, &no)
			}
		})
	}
}

func TestCSVCellsRunInNoSpreadsheet(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": `\x09=1`, "\r=1": `\x0d=1`} {
		assert.Equal(t, want, csvCell(in))
	}
}
