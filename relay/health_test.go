package relay

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"qualysrelay.example/qualys"
)

func TestQuotasAreInTheUnitsOfCiscosHealthStatus(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits qualys.RateLimits
		want   map[string]quota
	}{
		"not told":             {qualys.RateLimits{Remaining: -1}, nil},
		"what is left unknown": {qualys.RateLimits{Limit: 300, Remaining: -1}, nil},
		"no window": {qualys.RateLimits{Limit: 300, Remaining: 299},
			map[string]quota{"qualys-api": {"Calls to the Qualys API", quotaValues{"hour", 300, 1}}}},
		"a minute": {qualys.RateLimits{Limit: 10, Remaining: 0, Window: time.Minute},
			map[string]quota{"qualys-api": {"Calls to the Qualys API in 1m0s", quotaValues{"minute", 10, 10}}}},
		"an hour": {qualys.RateLimits{Limit: 300, Remaining: 200, Window: time.Hour},
			map[string]quota{"qualys-api": {"Calls to the Qualys API in 1h0m0s", quotaValues{"hour", 300, 100}}}},
		"a day, with more left than there are": {qualys.RateLimits{Limit: 300, Remaining: 301, Window: 24 * time.Hour},
			map[string]quota{"qualys-api": {"Calls to the Qualys API in 24h0m0s", quotaValues{"day", 300, 0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, quotasOf(tt.limits))
		})
	}
}

func TestTheTimeOfTheNextTryIsRoundedUp(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		0:                             "",
		300 * time.Millisecond:        " Qualys takes requests again in 1 second.",
		119*time.Second + 1:           " Qualys takes requests again in 120 seconds.",
		2*time.Minute + time.Second:   " Qualys takes requests again in 3 minutes.",
		2*time.Hour + time.Nanosecond: " Qualys takes requests again in 3 hours.",
		23*time.Hour + 59*time.Minute: " Qualys takes requests again in 24 hours.",
	} {
		assert.Equal(t, want, nextTry(wait), wait)
	}
}

func TestBuildNamesVersionAndGo(t *testing.T) {
	t.Parallel()
	version, commit, goVersion := Build()
	assert.Equal(t, Version, version)
	assert.NotEmpty(t, commit)
	assert.Equal(t, runtime.Version(), goVersion)
}
