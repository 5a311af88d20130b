package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLifetime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "1d": 24 * time.Hour,
		"12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1m": time.Minute} {
		var l lifetime
		require.NoError(t, l.UnmarshalText([]byte(in)), in)
		assert.Equal(t, want, time.Duration(l), in)
	}
	for _, in := range []string{"", "d", "-1d", "0d", "1.5d", "99999999999d", "59s", "-1h", "90", "soon",
		"1d12h"} {
		var l lifetime
		require.Error(t, l.UnmarshalText([]byte(in)), in)
	}
}
