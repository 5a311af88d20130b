package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"qualysrelay.example/qualys/qualystest"
)

// The transcripts under testdata/probe show probes as a user sees them. In them,
//
//   - GATEWAY is a fake Qualys, and OTHER one about which three beliefs are false.
//   - QUALYS_USER and QUALYS_PASSWORD are an account at both.
func TestProbeTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "probe"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			other := qualystest.Config{Events: qualystest.Story(), APIPath: "/ioc/v1", MaxPageSize: 10}
			for name, config := range map[string]qualystest.Config{"GATEWAY": {Events: qualystest.Story()}, "OTHER": other} {
				s, err := qualystest.Listen(config, nil) // the probe makes mistakes on purpose
				if err != nil {
					return err
				}
				e.Defer(s.Close)
				s.SetHeader("X-RateLimit-Limit", "300")
				s.SetHeader("X-RateLimit-Remaining", "240")
				if name == "OTHER" {
					s.SetHeader("X-Concurrency-Limit-Limit", "2")
				}
				e.Setenv(name, s.URL)
			}
			e.Setenv("QUALYS_USER", qualystest.User)
			e.Setenv("QUALYS_PASSWORD", qualystest.Password)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    scriptExits,
			"filemode": scriptFileMode,
		},
	})
}
