package mapping_test

import (
	"strconv"
	"testing"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/mapping"
)

// hundred events as a busy search finds them: three connections and mutexes for each file and process,
// each on its own endpoint.
func hundred() []*qualys.Event {
	makers := []func() *qualys.Event{fileEvent, processEvent, networkEvent, networkEvent, mutexEvent}
	out := make([]*qualys.Event, 100)
	for i := range out {
		out[i] = makers[i%len(makers)]()
		out[i].ID += strconv.Itoa(i)
	}
	return out
}

func BenchmarkMap(b *testing.B) {
	asked := observable(ctim.ObservableSHA256, sha)
	for _, n := range []int{1, 100} {
		events := hundred()[:n]
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := mapping.New(asked, page)
				for _, e := range events {
					m.Map(e)
				}
			}
		})
	}
}

// BenchmarkEncode goes from entities to the bytes of the answer.
func BenchmarkEncode(b *testing.B) {
	asked := observable(ctim.ObservableSHA256, sha)
	for _, n := range []int{1, 100} {
		var entities []ctim.Entities
		for _, e := range hundred()[:n] {
			entities = append(entities, mapping.New(asked, page).Map(e))
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bundle := ctim.NewBundle(30 << 20)
				for _, e := range entities {
					bundle.Add(e)
				}
				b.SetBytes(int64(bundle.Len()))
			}
		})
	}
}
