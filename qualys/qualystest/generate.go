package qualystest

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// Values are what generated events are made of. An empty list stands for one of Generate's own.
type Values struct {
	IPs       []string
	Domains   []string
	Paths     []string // full paths of files and images
	SHA256s   []string
	MD5s      []string
	Mutexes   []string
	Processes []string // names of processes in NETWORK, MUTEX and REGISTRY events
	Types     []string // of FILE, PROCESS, NETWORK, MUTEX, REGISTRY; empty: all
	State     State    // AnyState: some in the current state, some in the history, some in both
}

// Generate returns n events (an event that is in both datasets counts twice) of about 1.3 KB each, drawn
// from the values. The same seed gives the same events. No two have the same time, so their order is one.
func Generate(seed uint64, n int, v Values) []Event {
	rng := rand.New(rand.NewPCG(seed, 2026))
	pick := func(own []string, otherwise func(i int) string) string {
		if len(own) > 0 {
			return own[rng.IntN(len(own))]
		}
		return otherwise(rng.IntN(200))
	}
	ip := func() string { return pick(v.IPs, func(i int) string { return fmt.Sprintf("198.51.100.%d", i+1) }) }
	domain := func() string {
		return pick(v.Domains, func(i int) string { return fmt.Sprintf("host-%d.generated.example", i) })
	}
	path := func() string {
		return pick(v.Paths, func(i int) string {
			return fmt.Sprintf(`C:\ProgramData\Package Cache\{%s}\component-%d.exe`, uuid("folder", fmt.Sprint(i)), i)
		})
	}
	sha256 := func() string {
		return pick(v.SHA256s, func(i int) string {
			return hex.EncodeToString(digest("sha256", fmt.Sprint(i)))
		})
	}
	md5 := func() string {
		return pick(v.MD5s, func(i int) string {
			return hex.EncodeToString(digest("md5", fmt.Sprint(i))[:16])
		})
	}
	mutex := func() string {
		return pick(v.Mutexes, func(i int) string { return fmt.Sprintf(`Global\Generated-%d`, i) })
	}
	process := func() string {
		return pick(v.Processes, func(i int) string { return fmt.Sprintf("service-%d.exe", i) })
	}
	types := v.Types
	if len(types) == 0 {
		types = []string{"FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY"}
	}

	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	events := make([]Event, 0, n+1)
	for len(events) < n {
		var e Event
		switch types[rng.IntN(len(types))] {
		case "FILE":
			e = File(path(), sha256(), md5()).Actor(path())
		case "PROCESS":
			image := path()
			e = Process(image, image+" --service", sha256())
		case "NETWORK":
			e = Network(process(), ip(), ip(), domain()).Image(path(), sha256())
		case "MUTEX":
			e = Mutex(mutex(), process()).Image(path(), sha256())
		default:
			const key = `HKLM\SYSTEM\CurrentControlSet\Services\Generated`
			e = Registry(key, "ImagePath", path(), process()).Image(path(), sha256())
		}
		host := rng.IntN(50)
		e = e.On(Host{
			Name: fmt.Sprintf("WS-%04d", host), User: fmt.Sprintf(`.\user%d`, host),
			IPs:  []string{fmt.Sprintf("192.0.2.%d", host+1), fmt.Sprintf("fe80::5a1d:3c2b:9e10:%x", host+1)},
			MACs: []string{fmt.Sprintf("00:00:5e:00:53:%02x", host)},
		})
		at = at.Add(time.Duration(1+rng.IntN(90_000)) * time.Millisecond)
		e.time = at
		switch rng.IntN(8) {
		case 0, 1, 2, 3:
			e = e.Verdict("KNOWN", 0, "")
		case 4:
			e = e.Verdict("UNKNOWN", -1, "")
		case 5:
			e = e.Verdict("SUSPICIOUS", 2+rng.IntN(6), "")
		case 6:
			e = e.Verdict("MALICIOUS", 8+rng.IntN(3), "Win32.Trojan.Generated")
		case 7:
			e = e.Verdict("REMEDIATED", 1, "Win32.Trojan.Generated")
		}
		switch chance := rng.IntN(3); {
		case v.State == CurrentState:
			events = append(events, e.Current())
		case v.State == HistoryState:
			events = append(events, e)
		case chance == 0:
			events = append(events, e.Both()...)
		case chance == 1:
			events = append(events, e.Current())
		default:
			events = append(events, e)
		}
	}
	return events[:n]
}
