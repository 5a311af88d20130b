package main

import (
	"io"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/relayclient"
	"qualysrelay.example/cmd/relayctl/report"
	"qualysrelay.example/cmd/relayctl/terminal"
)

func TestExitCodeOfAnAnswer(t *testing.T) {
	t.Parallel()
	found := [][]*report.Sighting{{{}}}
	for name, c := range map[string]struct {
		r    report.Report
		want int
	}{
		"found": {report.Report{Events: found}, exitDone},
		"found beside a warning": {report.Report{Events: found,
			Errors: []report.Error{{Type: "warning"}}}, exitDone},
		"found beside an error": {report.Report{Events: found,
			Errors: []report.Error{{Type: "error"}}}, exitError},
		"nothing found": {report.Report{}, exitNo},
		"nothing found beside a warning": {report.Report{Errors: []report.Error{{Type: "warning"}}},
			exitError},
		"refused":                     {report.Report{Errors: []report.Error{{Type: "fatal"}}}, exitError},
		"a type of error that is new": {report.Report{Errors: []report.Error{{Type: "info"}}}, exitError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &program{Streams: terminal.Streams{Err: io.Discard}}
			err := p.outcome(&c.r, relayclient.New(&url.URL{Scheme: "https", Host: "relay.example"}, "t", time.Second))
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
