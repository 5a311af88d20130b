package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys"
	"qualysrelay.example/qualys/qualystest"
)

// TestBatchingIsNeverVisible compares, over generated events and observables, what a search of everything at once finds with what a search of each
// alone finds, one after another and all at the same time, with and without the cache. The values are prefixes of each other, share events, nest as
// folders and differ in case; the limits go from 1 to 1000; the pages fill up.
func TestBatchingIsNeverVisible(t *testing.T) {
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
	values := qualystest.Values{
		IPs:       []string{"198.51.100.1", "198.51.100.10", "198.51.100.100", "2001:db8::1", "2001:db8::10", "192.0.2.7"},
		Domains:   []string{"c2.example", "c2.example.net", "C2.Example", "a.c2.example"},
		Paths:     []string{`C:\Temp\a.exe`, `C:\Temp\a.exe.bak`, `C:\Temporary\a.exe`, `c:\temp\sub\B.EXE`, `/opt/x/a`, `/opt/xy/a`, `C:\it's\a "q".exe`},
		SHA256s:   []string{sha(1), sha(2), sha(3), sha(4)},
		MD5s:      []string{md5(1), md5(2), md5(3)},
		Mutexes:   []string{"one", "one-more", "Two", "three"},
		Processes: []string{"a.exe", "a.exe.bak", "b.exe", "svc"},
	}
	if seed%3 == 0 { // many files of one name: full pages
		values.Types = []string{"FILE", "FILE", "FILE", "NETWORK"}
	}
	events := qualystest.Generate(seed, []int{0, 30, 300, 1500}[rng.IntN(4)], values)
	limit := []int{1, 2, 7, 99, 100, 101, 1000}[rng.IntN(7)]

	pool := observablesOf(values)
	var observables []Observable
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
	describe := func(r Result) string {
		require.Empty(t, r.Errs)
		return fmt.Sprintf("%s %v cut=%v", r.Observable, ids(r.Events), r.Cut)
	}

	joined, _ := New(client, Options{}).Search(ctx, fake.Tenant(), observables, limit)
	alone := make([]string, len(joined))
	for i, r := range joined {
		single, _ := New(client, Options{}).Search(ctx, fake.Tenant(), []Observable{r.Observable}, limit)
		require.Len(t, single, 1)
		alone[i] = describe(single[0])
		require.Equal(t, alone[i], describe(r))
		for _, e := range r.Events {
			assert.NotEqual(t, No, r.Observable.Matches(e), "%v is not about %v", e.ID, r.Observable)
		}
	}

	shared := New(client, Options{CacheTTL: time.Minute})
	for round := range 2 {
		var group sync.WaitGroup
		answers := make([]string, len(joined))
		for i, r := range joined {
			group.Go(func() {
				results, _ := shared.Search(ctx, fake.Tenant(), []Observable{r.Observable}, limit)
				answers[i] = describe(results[0])
			})
		}
		group.Wait()
		require.Equal(t, alone, answers, "round %d", round)
	}
}

// observablesOf are all that can be asked about the values, and what is near them.
func observablesOf(v qualystest.Values) []Observable {
	var all []Observable
	add := func(typ string, values ...string) {
		for _, value := range values {
			all = append(all, Observable{typ, value})
		}
	}
	for _, ip := range v.IPs {
		if strings.Contains(ip, ":") {
			add("ipv6", ip)
		} else {
			add("ip", ip)
		}
	}
	add("domain", v.Domains...)
	add("hostname", "c2.example")
	add("file_path", v.Paths...)
	add("file_path", `C:\Temp`, `C:\Temp\`, `/opt/x`, `C:\`)
	add("file_name", "a.exe", "a", "B.EXE", "a.exe.bak", `a "q".exe`)
	add("sha256", v.SHA256s...)
	add("md5", v.MD5s...)
	add("mutex", v.Mutexes...)
	add("process_name", v.Processes...)
	add("ip", "203.0.113.9", "198.51.100.2")
	return all
}
