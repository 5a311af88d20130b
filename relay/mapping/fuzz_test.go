package mapping_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

var askedTypes = []ctim.ObservableType{
	ctim.ObservableIP, ctim.ObservableIPv6, ctim.ObservableDomain, ctim.ObservableHostname,
	ctim.ObservableFileName, ctim.ObservableFilePath,
	ctim.ObservableMutex, ctim.ObservableMD5, ctim.ObservableSHA256, ctim.ObservableProcessName,
}

// pool is what fields of real events hold, and what they should not.
var pool = []string{
	"", " ", "FILE", "PROCESS", "NETWORK", "MUTEX", "REGISTRY", "created", "SET", "DELETED", "MALICIOUS",
	"REMEDIATED", "UNKNOWN", sha, md5, otherSHA,
	path, "invoice.exe", "WS-07", remoteIP, "2001:db8::66", "::", "fe80::1%eth0", "X0.1X.XX1.00",
	"00:X0:XX:0X:00:00", "00:00:5e:00:53:29", remoteDNS, "TCP", "OUT", "IN", "17", "`", "\x00", "\u202e", "\xff\xfe",
	"<script>alert(1)</script>", "\u2028",
}

// FuzzMap builds an event out of the pool, the text and the seed, and holds what Map gives to what each
// result has to hold.
func FuzzMap(f *testing.F) {
	for i, s := range pool {
		f.Add(uint64(i), s, page)
	}
	f.Add(uint64(99), path, "javascript:alert(1)")
	f.Fuzz(func(t *testing.T, seed uint64, s, huntingURL string) {
		r := rand.New(rand.NewPCG(seed, 0))
		e := new(qualys.Event)
		fillEvent(reflect.ValueOf(e).Elem(), r, s)
		requireSound(t, observable(askedTypes[r.IntN(len(askedTypes))], fuzzText(r, s)), huntingURL, e)
	})
}

func fuzzText(r *rand.Rand, s string) string {
	if r.IntN(6) == 0 {
		return s
	}
	return pool[r.IntN(len(pool))]
}

func fillEvent(v reflect.Value, r *rand.Rand, s string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		times := []time.Time{
			{}, when, time.Unix(-1, 0), time.Unix(0, 0), time.Unix(math.MaxInt64, 0), when.AddDate(r.IntN(2000)-1000, 0, 0),
		}
		v.Set(reflect.ValueOf(times[r.IntN(len(times))]))
	case v.Kind() == reflect.String:
		v.SetString(fuzzText(r, s))
	case v.Kind() == reflect.Int || v.Kind() == reflect.Int64:
		v.SetInt([]int64{0, 1, 8, 443, -1, math.MaxInt64, math.MinInt64, r.Int64N(12)}[r.IntN(8)])
	case v.Kind() == reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case v.Kind() == reflect.Pointer:
		if r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillEvent(v.Elem(), r, s)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fillEvent(v.Index(i), r, s)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fillEvent(v.Field(i), r, s)
		}
	default:
		panic("a field of a kind that no test fills: " + v.Type().String())
	}
}
