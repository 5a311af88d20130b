package mapping_test

import (
	"strconv"
	"testing"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/mapping"
)

// hundred events as a busy search finds them: three connections and mutexes for each file and process, each on its own endpoint.
func hundred() []*qualys.Event {
	makers := []func() *qualys.Event{fileEvent, processEvent, networkEvent, networkEvent, mutexEvent}
	out := make([]*qualys.Event, 100)
	for i := range out {
		out[i] = makers[i%len(makers)]()
		out[i].ID += strconv.Itoa(i)
	}
	return out
}

func BenchmarkMap100(b *testing.B) {
	asked, events := observable(ctim.ObservableSHA256, sha), hundred()
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range events {
			mapping.Map(asked, page, e)
		}
	}
}

func BenchmarkBundleAdd100(b *testing.B) {
	asked, events := observable(ctim.ObservableSHA256, sha), hundred()
	entities := make([]ctim.Entities, len(events))
	for i, e := range events {
		entities[i] = mapping.Map(asked, page, e)
	}
	b.ReportAllocs()
	for b.Loop() {
		bundle := ctim.NewBundle(30 << 20)
		for _, e := range entities {
			bundle.Add(e)
		}
		b.SetBytes(int64(bundle.Len()))
	}
}

// BenchmarkEncode100 is the last step: from a bundle to the bytes of the answer, into a buffer that is kept.
func BenchmarkEncode100(b *testing.B) {
	bundle := ctim.NewBundle(30 << 20)
	for _, e := range hundred() {
		bundle.Add(mapping.Map(observable(ctim.ObservableSHA256, sha), page, e))
	}
	out := make([]byte, 0, bundle.Len())
	b.SetBytes(int64(bundle.Len()))
	b.ReportAllocs()
	for b.Loop() {
		out = bundle.AppendJSON(out[:0])
	}
}
