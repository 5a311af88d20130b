package qualys_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// aWeek is the week of the story, with edges within days.
func aWeek() (from, to time.Time) {
	to = time.Date(2026, 3, 18, 15, 4, 0, 0, time.FixedZone("", -7*3600))
	return to.Add(-7 * 24 * time.Hour), to
}

func TestCountByType(t *testing.T) {
	from, to := aWeek()
	query := qualys.EventQuery{Filter: qualys.And(qualys.Between(from, to), qualys.ScoreRange(8, 10))}
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	n, _, err := c.Count(t.Context(), s.Tenant(), query, qualys.ByType())
	require.NoError(t, err)
	assert.Equal(t, qualys.Count{N: 8, Parts: []qualys.Part{
		{Type: "FILE", N: 3}, {Type: "MUTEX", N: 1}, {Type: "NETWORK", N: 3}, {Type: "PROCESS", N: 1},
	}}, n)

	ungrouped := qualystest.New(t, qualystest.Config{Events: qualystest.Story(), IgnoreGroupBy: true})
	n, _, err = c.Count(t.Context(), ungrouped.Tenant(), query, qualys.ByType())
	require.NoError(t, err)
	assert.Equal(t, qualys.Count{N: 8}, n)
}

func TestCountByTime(t *testing.T) {
	from, to := aWeek()
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	query := qualys.EventQuery{Filter: qualys.And(qualys.Between(from, to), qualys.ScoreRange(2, 7))}
	days := qualys.ByTime(from, to, 24*time.Hour)
	s := qualystest.New(t, qualystest.Config{Events: qualystest.Story()})
	c := newClient(t, qualys.Options{})
	n, _, err := c.Count(t.Context(), s.Tenant(), query, days)
	require.NoError(t, err)
	assert.Equal(t, qualys.Count{N: 5, Parts: []qualys.Part{{From: day(17), To: day(18), N: 5}}}, n)

	lax := qualystest.New(t, qualystest.Config{Events: qualystest.Story(), BucketsIgnoreFilter: true})
	n, _, err = c.Count(t.Context(), lax.Tenant(), query, days)
	require.NoError(t, err)
	assert.Greater(t, n.N, int64(10), "all events, as documented")
	assert.Greater(t, len(n.Parts), 1)

	n, _, err = c.Count(t.Context(), s.Tenant(), query, qualys.ByTime(from, to, time.Hour))
	require.NoError(t, err)
	assert.Equal(t, []qualys.Part{
		{From: day(17).Add(8 * time.Hour), To: day(17).Add(9 * time.Hour), N: 4},
		{From: day(17).Add(9 * time.Hour), To: day(17).Add(10 * time.Hour), N: 1},
	}, n.Parts)
}

func TestCountReadsWhatItCanBelieve(t *testing.T) {
	from, to := aWeek()
	s := qualystest.New(t, qualystest.Config{})
	c := newClient(t, qualys.Options{})
	hour := time.Date(2026, 3, 17, 8, 0, 0, 0, time.UTC)
	part := qualys.Part{From: hour, To: hour.Add(time.Hour), N: 4}
	hours, types := qualys.ByTime(from, to, time.Hour), qualys.ByType()
	for _, tt := range []struct {
		name, body string
		split      qualys.Split
		want       []qualys.Part // nil: unreadable
	}{
		{"milliseconds", `{"1773734400000_1773738000000":4}`, hours, []qualys.Part{part}},
		{"seconds", `{"1773734400_1773738000":"4"}`, hours, []qualys.Part{part}},
		{"ISO times", `{"2026-03-17T08:00:00.000Z_2026-03-17T09:00:00.000Z":4}`, hours, []qualys.Part{part}},
		{"a second too long", `{"1773734400_1773738001":4}`, hours, []qualys.Part{{From: hour, To: hour.Add(time.Hour + time.Second), N: 4}}},
		{"another length", `{"1773734400_1773741600":4}`, hours, nil},
		{"an end before its start", `{"1773738000_1773734400":4}`, hours, nil},
		{"no time", `{"early_late":4}`, hours, nil},
		{"one number", `{"count":4}`, hours, nil},
		{"fewer than none", `{"1773734400_1773738000":-4}`, hours, nil},
		{"names in small letters", `{"file":4,"AMSI":1}`, types, []qualys.Part{{Type: "AMSI", N: 1}, {Type: "FILE", N: 4}}},
		{"no numbers", `{"file":"many"}`, types, nil},
		{"a number among types", `{"count":4,"file":3}`, types, []qualys.Part{}},
		{"a list", `[{"key":"file","count":4}]`, types, nil},
		{"parts that were not asked for", `{"file":4}`, qualys.Split{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer s.Inject(qualystest.Fault{On: qualystest.Count, Do: qualystest.Status(200, tt.body)})()
			n, _, err := c.Count(t.Context(), s.Tenant(), qualys.EventQuery{}, tt.split)
			if tt.want == nil {
				assert.Equal(t, qualys.KindUnreadable, asError(t, err).Kind)
				return
			}
			require.NoError(t, err)
			assert.ElementsMatch(t, tt.want, n.Parts)
		})
	}
}
