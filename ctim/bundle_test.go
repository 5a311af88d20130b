package ctim_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/ctim/ctimschema"
)

var update = flag.Bool("update", false, "write the golden files anew")

func base(k ctim.Kind, name string) ctim.Base {
	const page = "https://qualysguard.example/ioc/#/hunting?search=x"
	return ctim.Base{
		ID: ctim.NewID(k, name), Type: k, SchemaVersion: ctim.SchemaVersion, ExternalIDs: []string{name},
		ExternalReferences: []ctim.ExternalReference{{SourceName: "Qualys IOC", Description: "d",
			URL: page}},
		Timestamp: ctim.TimeOf(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)), TLP: "amber",
		Source: "Qualys IOC", SourceURI: page,
	}
}

func text(b *ctim.Bundle) string { return string(bytes.Join(b.Parts(nil), nil)) }

// fullEntities uses every field that an entity has.
func fullEntities() ctim.Entities {
	start := ctim.TimeOf(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	seen := ctim.ObservedTime{Start: start, End: start}
	hash := ctim.Observable{Type: ctim.ObservableSHA256, Value: strings.Repeat("ab", 32)}
	name := ctim.Observable{Type: ctim.ObservableFileName, Value: "invoice.exe"}
	by := func(typ string, e ctim.ContextEvent) []ctim.ContextEvent {
		e.Type, e.Time, e.ProcessID, e.ProcessName, e.ProcessUsername = typ, seen, 7, "p.exe", "u"
		return []ctim.ContextEvent{e}
	}
	file, key := ctim.ContextEvent{FileName: "f", FilePath: `C:\f`}, ctim.ContextEvent{RegistryKey: "k"}
	e := ctim.Entities{
		Sighting: &ctim.Sighting{
			Base: base(ctim.KindSighting, "e1"), Title: "t", Description: "d",
			Confidence: "High", Count: 1,
			Internal: true, Severity: "High", Resolution: "detected",
			Sensor: "endpoint", ObservedTime: seen, ActivityInterval: seen,
			Observables: []ctim.Observable{hash},
			Targets: []ctim.Target{{Type: "endpoint",
				Observables:  []ctim.Observable{{Type: ctim.ObservableHostname, Value: "WS-07"}},
				ObservedTime: seen, OS: "Windows"}},
			Relations: []ctim.Relation{{Origin: "Qualys IOC", Relation: "File_Name_Of",
				Source: name, Related: hash}},
			Data: &ctim.DataTable{Columns: []ctim.Column{{Name: "Active", Type: "string"}},
				Rows: [][]string{{"True"}}, RowCount: 1},
			Context: &ctim.Context{
				ProcessCreate: by("ProcessCreateEvent", ctim.ContextEvent{
					ProcessArgs: "a", ProcessHash: "h", ParentProcessID: 1}),
				FileCreate: by("FileCreateEvent", file),
				FileDelete: by("FileDeleteEvent", file),
				FileModify: by("FileModifyEvent", file),
				Netflow: by("NetflowEvent", ctim.ContextEvent{
					Traffic: &ctim.Traffic{Protocol: 6, SourceIP: "192.0.2.1", SourcePort: 1,
						DestinationIP: "198.51.100.1", DestinationPort: 443,
						Direction: "outgoing", DestinationHostName: "c.example"},
				}),
				RegistryCreate: by("RegistryCreateEvent", key),
				RegistrySet: by("RegistrySetEvent", ctim.ContextEvent{
					RegistryKey: "k", RegistryValue: "v", RegistryData: "d"}),
				RegistryDelete: by("RegistryDeleteEvent", key),
			},
		},
		Indicator: &ctim.Indicator{
			Base: base(ctim.KindIndicator, "e1"), Title: "t", Description: "d",
			Producer: "Qualys IOC", Severity: "High",
			Confidence: "High", ValidTime: ctim.ValidTime{Start: start},
			Tags: []string{"Win32.Worm.Example"},
		},
		Judgements: []*ctim.Judgement{{
			Base: base(ctim.KindJudgement, "e1"), Observable: hash, Disposition: 2,
			DispositionName: "Malicious",
			Priority:        90, Confidence: "High", Severity: "High", Reason: "r",
			ValidTime: ctim.ValidTime{Start: start, End: ctim.Forever},
		}},
	}
	e.Relationships = []ctim.Relationship{{
		Base: base(ctim.KindRelationship, "e1"), RelationshipType: "sighting-of",
		SourceRef: e.Sighting.ID, TargetRef: e.Indicator.ID,
	}}
	return e
}

func fullVerdict() *ctim.Verdict {
	j := fullEntities().Judgements[0]
	return &ctim.Verdict{
		Type: ctim.KindVerdict, Disposition: j.Disposition, DispositionName: j.DispositionName,
		Observable: j.Observable, JudgementID: j.ID, ValidTime: j.ValidTime,
	}
}

func TestBundleWithEveryFieldIsCTIM(t *testing.T) {
	b := ctim.NewBundle(0)
	require.True(t, b.Add(fullEntities()))
	require.True(t, b.Add(ctim.Entities{Verdict: fullVerdict()}))
	doc := []byte(`{"data":` + text(b) + "}")
	require.NoError(t, ctimschema.Validate("RelayProfileObserveResponse", doc))

	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, doc, "", " "))
	pretty.WriteByte('\n')
	golden := filepath.Join("testdata", "bundle.golden.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String())
}

func TestBundleIsEmptyAtFirst(t *testing.T) {
	b := ctim.NewBundle(100)
	assert.True(t, b.Empty())
	assert.Equal(t, "{}", text(b))
	assert.Equal(t, 2, b.Len())
	assert.True(t, b.Add(ctim.Entities{}), "nothing fits everywhere")
	assert.True(t, b.Empty())
}

func TestBundleTakesAnIDOnce(t *testing.T) {
	b := ctim.NewBundle(0)
	e := fullEntities()
	require.True(t, b.Add(e))
	once := text(b)
	e.Sighting.Title = "the same sighting, found for another reason"
	require.True(t, b.Add(e))
	require.True(t, b.Add(ctim.Entities{Judgements: e.Judgements}))
	assert.Equal(t, once, text(b))

	v := fullVerdict()
	require.True(t, b.Add(ctim.Entities{Verdict: v, Judgements: e.Judgements}))
	v.Disposition = 1
	require.True(t, b.Add(ctim.Entities{Verdict: v}))
	assert.Equal(t, 1, b.Counts()["verdict"], "one verdict for an observable")
	assert.Equal(t, 1, b.Counts()["judgement"])
}

func TestBundleCountsWhatItHolds(t *testing.T) {
	b := ctim.NewBundle(0)
	for i := range 12 {
		name := fmt.Sprint(i)
		require.True(t, b.Add(ctim.Entities{
			Sighting: &ctim.Sighting{Base: base(ctim.KindSighting, name)},
			Judgements: []*ctim.Judgement{{Base: base(ctim.KindJudgement, name)},
				{Base: base(ctim.KindJudgement, name+"b")}},
			Relationships: []ctim.Relationship{{Base: base(ctim.KindRelationship, name)}},
		}))
		assert.Len(t, text(b), b.Len(), "with %d", i+1)
	}
	assert.Equal(t, 12, b.Counts()["sighting"])
	assert.Equal(t, 24, b.Counts()["judgement"])
	assert.Equal(t, 12, b.Counts()["relationship"])
	assert.Zero(t, b.Counts()["indicator"])
	var got map[string]struct {
		Count int   `json:"count"`
		Docs  []any `json:"docs"`
	}
	require.NoError(t, json.Unmarshal([]byte(text(b)), &got))
	assert.Len(t, got, 3, "kinds without documents are left out")
	for kind, l := range got {
		assert.Len(t, l.Docs, l.Count, kind)
	}
}

func TestBundleAddsAllOrNothing(t *testing.T) {
	probe := ctim.NewBundle(0)
	require.True(t, probe.Add(fullEntities()))
	exact := probe.Len()

	b := ctim.NewBundle(exact)
	require.True(t, b.Add(fullEntities()), "the limit itself is allowed")
	before := text(b)
	more := ctim.Entities{Sighting: &ctim.Sighting{Base: base(ctim.KindSighting, "e2")},
		Indicator: &ctim.Indicator{Base: base(ctim.KindIndicator, "e2")}}
	require.False(t, b.Add(more))
	require.False(t, b.Add(ctim.Entities{Verdict: fullVerdict()}))
	assert.Equal(t, before, text(b))
	assert.Equal(t, 1, b.Counts()["sighting"])

	b = ctim.NewBundle(exact - 1)
	require.False(t, b.Add(fullEntities()), "one byte too many")
	assert.True(t, b.Empty())
	assert.Equal(t, "{}", text(b))
	e := fullEntities()
	require.True(t, b.Add(ctim.Entities{Indicator: e.Indicator}), "what was refused is not taken for known")
	assert.Equal(t, 1, b.Counts()["indicator"])
}

// TestBundleTakesBackWhatDoesNotFit refuses entities at every fill of the chunks in which documents lie,
// small ones and one larger than any chunk.
func TestBundleTakesBackWhatDoesNotFit(t *testing.T) {
	entity := func(i, size int) ctim.Entities {
		name := fmt.Sprint(i)
		return ctim.Entities{
			Sighting: &ctim.Sighting{Base: base(ctim.KindSighting, name), Title: strings.Repeat("t",
				size)},
			Relationships: []ctim.Relationship{{Base: base(ctim.KindRelationship, name)}},
		}
	}
	const limit = 400 << 10
	b, plain := ctim.NewBundle(limit), ctim.NewBundle(0)
	for i := range 60 {
		size := 100 * i
		if i == 20 {
			size = 100 << 10
		}
		require.False(t, b.Add(entity(-1, limit)), "more than the limit by itself")
		require.True(t, b.Add(entity(i, size)))
		require.True(t, plain.Add(entity(i, size)))
		require.Equal(t, text(plain), text(b))
		require.Len(t, text(b), b.Len())
	}
	assert.True(t, json.Valid([]byte(text(b))))
}

func ExampleBundle() {
	b := ctim.NewBundle(30 << 20)
	b.Add(ctim.Entities{Verdict: &ctim.Verdict{
		Type:            ctim.KindVerdict,
		Disposition:     1,
		DispositionName: "Clean",
		Observable: ctim.Observable{Type: ctim.ObservableMD5,
			Value: "0123456789abcdef0123456789abcdef"},
	}})
	fmt.Printf("%s\n", text(b))
	// Output:
	// {"verdicts":{"count":1,"docs":[{"type":"verdict","disposition":1,"disposition_name":"Clean","observable":{"type":"md5","value":"0123456789abcdef0123456789abcdef"},"valid_time":{}}]}}
}
