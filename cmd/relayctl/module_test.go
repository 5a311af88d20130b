package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/terminal"
	"qualysrelay.example/cmd/relayctl/xdr/xdrtest"
)

// TestAPushTellsWhatXDRStoredOtherwise has an XDR that says nothing of what it was sent but the title.
func TestAPushTellsWhatXDRStoredOtherwise(t *testing.T) {
	t.Parallel()
	server := xdrtest.New(t, xdrtest.Config{Instead: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/iroh/iroh-int/module-type" {
			return false
		}
		_, err := w.Write([]byte(`{"id":"x","title":"Qualys EDR","properties":{"url":"https://old.example"}}`))
		return assert.NoError(t, err)
	}})
	var stdout, stderr bytes.Buffer
	p := &program{
		Streams: terminal.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, now: time.Now,
		getenv: env("XDR_CLIENT_ID", xdrtest.ClientID, "XDR_CLIENT_SECRET", xdrtest.ClientSecret),
		xdr:    xdrtest.Transport(server.URL),
	}
	args := []string{"module", "push", "--region", "eu", "--url", "https://relay.example", "--yes"}
	require.Equal(t, exitDone, p.run(t.Context(), args), &stderr)
	assert.Equal(t, "x\n", stdout.String())
	assert.Contains(t, stderr.String(), "note: XDR stored it otherwise:\n")
	assert.Contains(t, stderr.String(), "  properties.url\n    - \"https://old.example\"\n    + \"https://relay.example\"\n")
	assert.NotContains(t, stderr.String(), "  title\n")
}
