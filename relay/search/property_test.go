package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// lookAlikes are values that Qualys's tokens find for each other, share events, nest as folders and differ in
// case and spelling.
func lookAlikes() qualystest.Values {
	return qualystest.Values{
		IPs:     []string{"198.51.100.1", "198.51.100.10", "198.51.100.100", "2001:db8::1", "2001:db8:0:0:0:0:0:10", "192.0.2.7"},
		Domains: []string{"c2.example", "c2.example.net", "C2.Example", "a-c2.example", "xn--mnchen-3ya.example", "münchen.example"},
		Paths: []string{
			`C:\Temp\a.exe`, `C:\Temp\a.exe.bak`, `C:\Temporary\a.exe`, `c:\temp\sub\B.EXE`, `/opt/x/a`, `/opt/xy/a`,
			`C:\it's\a "q".exe`, `C:\a\Temp\c.exe`,
		},
		SHA256s:   []string{sha(1), sha(2), sha(3), sha(4)},
		MD5s:      []string{md5(1), md5(2), md5(3)},
		Mutexes:   []string{"one", "one-more", "more-one", "Two", "three"},
		Processes: []string{"a.exe", "a.exe.bak", "b.exe", "svc", "svc-a"},
	}
}

// observablesOf are all that can be searched for the values, what is near them, and other spellings.
func observablesOf(v qualystest.Values) []ctim.Observable {
	all := obs("ip", v.IPs...)
	all = append(all, obs("ipv6", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:db8::10", "::ffff:198.51.100.1")...)
	all = append(all, obs("ip", "203.0.113.9", "198.51.100.2", "::FFFF:192.0.2.7")...)
	all = append(all, obs("domain", v.Domains...)...)
	all = append(all, obs("hostname", "c2.example.", "MÜNCHEN.example", "example")...)
	all = append(all, obs("file_path", v.Paths...)...)
	all = append(all, obs("file_path", `C:\Temp`, `C:/temp/`, `\\?\C:\Temp\a.exe`, `/opt/x`, `C:\`, `C:\a`)...)
	all = append(all, obs("file_name", "a.exe", "a", "B.EXE", "a.exe.bak", `a "q".exe`, `A "q".exe`)...)
	all = append(all, obs("sha256", v.SHA256s...)...)
	all = append(all, obs("md5", v.MD5s...)...)
	all = append(all, obs("mutex", v.Mutexes...)...)
	return append(all, obs("process_name", v.Processes...)...)
}

// describe is all of a result that must not depend on what its lookups were joined with.
func describe(r Result) string {
	return fmt.Sprintf("%v %v truncated=%v examined=%d unreadable=%d",
		r.Observable, ids(r.Events), r.Truncated, r.Examined, r.Unreadable)
}

// TestJoiningIsNeverVisible compares what a search of everything at once finds with what a search of each alone
// finds, one after another and all at the same time, with and without the cache.
func TestJoiningIsNeverVisible(t *testing.T) {
	t.Parallel()
	rounds := 24
	if testing.Short() {
		rounds = 6
	}
	for seed := range rounds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			compare(t, uint64(seed))
		})
	}
}

func compare(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	values := lookAlikes()
	if seed%3 == 0 { // many files of one name: full pages
		values.Types = []string{"FILE", "FILE", "FILE", "NETWORK"}
	}
	events := qualystest.Generate(seed, []int{0, 30, 300, 1500}[rng.IntN(4)], values)
	if seed%5 == 0 {
		events = append(events, many(1200, "198.51.100.100", "cdn-c2.example")...)
	}
	limit := []int{1, 2, 7, 99, 100, 101, 1000}[rng.IntN(7)]
	pool := observablesOf(values)
	var observables []ctim.Observable
	for range 1 + rng.IntN(len(pool)) {
		o := pool[rng.IntN(len(pool))]
		if rng.IntN(4) == 0 {
			o.Value = strings.ToUpper(o.Value)
		}
		observables = append(observables, o)
	}

	fake := qualystest.New(t, qualystest.Config{Events: events})
	client := qualys.NewClient(qualys.Options{})
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)

	joined, _ := searchAs(ctx, newSearcher(client, Options{}), fake.Tenant(), limit, observables...)
	alone := make([]string, len(joined))
	for i, r := range joined {
		single, _ := searchAs(ctx, newSearcher(client, Options{}), fake.Tenant(), limit, r.Observable)
		require.Len(t, single, 1)
		require.Empty(t, single[0].Errs)
		require.Empty(t, r.Errs)
		alone[i] = describe(single[0])
		require.Equal(t, alone[i], describe(r))
	}

	shared := newSearcher(client, Options{CacheTTL: time.Minute})
	for round := range 2 {
		var group sync.WaitGroup
		answers := make([]string, len(joined))
		for i, r := range joined {
			group.Go(func() {
				results, _ := searchAs(ctx, shared, fake.Tenant(), limit, r.Observable)
				answers[i] = describe(results[0])
			})
		}
		group.Wait()
		require.Equal(t, alone, answers, "round %d", round)
	}
}
