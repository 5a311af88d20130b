package probe

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"qualysrelay.example/cmd/relayctl/plain"
	"qualysrelay.example/qualys"
)

// term is raw QQL, for what package qualys does not write. The value has none of the quote.
func term(f qualys.Field, quote, value string) string {
	return string(f) + ": " + quote + value + quote
}

// find searches for a query that should be served. Where it is not, the verdict says so.
func (p *prober) find(ctx context.Context, active bool, qql string) ([]*event, verdict, bool) {
	a := p.search(ctx, active, qql, somePage, 0)
	v := judge(a, a.served())
	if v.outcome == DoesNotHold && a.status != http.StatusBadRequest { // not about the query
		v.outcome = CouldNotTell
	}
	return a.events, v, v.outcome == Holds
}

// finds is the verdict on a query that should find the event by its value.
func (p *prober) finds(ctx context.Context, s sighted, f qualys.Field, qql string) verdict {
	found, v, ok := p.find(ctx, s.Active, qql)
	switch {
	case !ok:
		return v
	case slices.ContainsFunc(found, func(e *event) bool { return e.has(f, s.value) }):
		return holds("an event is found, of %d", len(found))
	case len(found) == somePage:
		return unclear("more events are found than are looked at")
	}
	return fails("an event is not found (%d others are)", len(found))
}

// testFinds makes a query of a value of the field that fits.
func testFinds(
	f qualys.Field, fits func(string) bool, qql func(string) string,
) func(context.Context, *prober) verdict {
	return func(ctx context.Context, p *prober) verdict {
		s, ok := p.pick(ctx, f, fits)
		if !ok {
			return p.lacking("with a value to test this with")
		}
		return p.finds(ctx, s, f, qql(s.value))
	}
}

// parts are the parts of a path.
func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '\\' || r == '/' || r == ' ' })
}

func severalParts(path string) bool { return len(parts(path)) > 2 }

// endsInLetters reports whether a value can do without its last two letters, and is then another one.
func endsInLetters(v string) bool {
	return len(v) > 4 && strings.Trim(v[len(v)-3:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func withoutEnd(v string) string { return v[:len(v)-2] }

func otherOrder(path string) string {
	words := parts(path)
	slices.Reverse(words)
	return term(qualys.FieldFilePath, `"`, strings.Join(words, " "))
}

func otherCase(name string) string {
	if upper := strings.ToUpper(name); upper != name {
		return term(qualys.FieldFileName, `"`, upper)
	}
	return term(qualys.FieldFileName, `"`, strings.ToLower(name))
}

func testAllTokens(ctx context.Context, p *prober) verdict {
	s, ok := p.pick(ctx, qualys.FieldFilePath, severalParts)
	if !ok {
		return p.lacking("with a path of several words")
	}
	found, v, ok := p.find(ctx, s.Active, term(qualys.FieldFilePath, `"`, nonsense+" "+s.value))
	if ok && len(found) > 0 {
		return fails("%d events are found that cannot have all of them", len(found))
	}
	return v
}

func testExact(quote string) func(context.Context, *prober) verdict {
	const f = qualys.FieldFileName
	return func(ctx context.Context, p *prober) verdict {
		v := testFinds(f, endsInLetters, func(name string) string { return term(f, quote, name) })(ctx, p)
		if v.outcome != Holds {
			return v
		}
		s, _ := p.pick(ctx, f, endsInLetters)
		found, v, ok := p.find(ctx, s.Active, term(f, quote, withoutEnd(s.value)))
		if ok && slices.ContainsFunc(found, func(e *event) bool { return !e.has(f, withoutEnd(s.value)) }) {
			return fails("the beginning of a name finds it")
		}
		return v
	}
}

func testInnerQuotes(ctx context.Context, p *prober) verdict {
	_, v, ok := p.find(ctx, true, term(qualys.FieldFileName, "`", nonsense+`"`+nonsense))
	if ok {
		_, v, _ = p.find(ctx, true, term(qualys.FieldFileName, "'", nonsense+"\"`"+nonsense))
	}
	return v
}

func testBackslash(ctx context.Context, p *prober) verdict {
	const f = qualys.FieldFilePath
	s, ok := p.pick(ctx, f, func(v string) bool { return strings.Contains(v, `\`) })
	if !ok {
		return p.lacking("with a path of Windows")
	}
	v := p.finds(ctx, s, f, term(f, `"`, s.value))
	if v.outcome == DoesNotHold {
		v.seen += "; with doubled backslashes " +
			p.finds(ctx, s, f, term(f, `"`, strings.ReplaceAll(s.value, `\`, `\\`))).seen
	}
	return v
}

// testOr joins a value of one event and a value of another.
func testOr(ctx context.Context, p *prober) verdict {
	for _, f := range searchFields() {
		a, ok := p.pick(ctx, f, anyValue)
		for _, g := range searchFields() {
			b, other := p.pick(ctx, g, anyValue)
			if !ok || !other || a.Active != b.Active || a.has(g, b.value) || b.has(f, a.value) {
				continue
			}
			qql := term(f, `"`, a.value) + " or " + term(g, `"`, b.value)
			if v := p.finds(ctx, a, f, qql); v.outcome != Holds {
				return v
			}
			return p.finds(ctx, b, g, qql)
		}
	}
	return p.lacking("without the value of another one")
}

// testOnly makes a query of an event that fits. It should find that one, and no other than such events.
func testOnly(
	fits func(*event) bool, qql func(*event) qualys.Filter, such func(e, found *event) bool,
) func(context.Context, *prober) verdict {
	return func(ctx context.Context, p *prober) verdict {
		i := slices.IndexFunc(p.sample(ctx), fits)
		if i < 0 {
			return p.lacking("to test this with")
		}
		e := p.sample(ctx)[i]
		found, v, ok := p.find(ctx, e.Active, qql(e).String())
		if !ok {
			return v
		}
		if n := len(slices.DeleteFunc(slices.Clone(found), func(o *event) bool { return such(e, o) })); n > 0 {
			return fails("%d of %d events are not such", n, len(found))
		}
		if len(found) == 0 {
			return fails("nothing is found, but there is such an event")
		}
		return holds("%s", plain.Count(len(found), "event"))
	}
}

func isFile(e *event) bool   { return e.Type == "FILE" }
func hasTime(e *event) bool  { return !e.Time.IsZero() }
func hasScore(e *event) bool { return e.Score.Known }

func files(*event) qualys.Filter {
	f, _ := qualys.EventType("file") // which there is
	return f
}

func filesAround(e *event) qualys.Filter {
	f, _ := qualys.EventType("process")
	return qualys.And(qualys.Or(files(e), f), around(e))
}

// around is the query for the second before and after an event.
func around(e *event) qualys.Filter {
	return qualys.Between(e.Time.Add(-time.Second), e.Time.Add(time.Second))
}

func near(e, o *event) bool { return o.Time.Sub(e.Time).Abs() <= time.Second }

func sameScore(e *event) qualys.Filter { return qualys.ScoreRange(e.Score.Value, e.Score.Value) }

func hasSameScore(e, o *event) bool {
	return o.Score == e.Score ||
		slices.ContainsFunc(o.Indicators, func(i qualys.Indicator) bool { return i.Score == e.Score })
}

func testField(f qualys.Field) func(context.Context, *prober) verdict {
	return func(ctx context.Context, p *prober) verdict {
		v := testFinds(f, anyValue, func(value string) string { return term(f, `"`, value) })(ctx, p)
		if v.outcome == CouldNotTell { // at least whether Qualys knows the field
			if _, refused, ok := p.find(ctx, true, term(f, `"`, nonsense)); !ok {
				return refused
			}
		}
		return v
	}
}

// expected are the keys that the client reads of an event type: one at least of each list is there.
func expected(kind string) [][]string {
	return map[string][][]string{
		"FILE":     {{"file.fullPath"}, {"file.fileName"}, {"file.sha256", "file.md5"}},
		"PROCESS":  {{"process.processName"}, {"process.fullPath"}, {"process.pid"}},
		"NETWORK":  {{"network.remoteIP"}, {"process.processName"}},
		"MUTEX":    {{"process.processName"}},
		"REGISTRY": {{"registry.key"}, {"registry.valueName", "registry.value.name"}},
	}[kind]
}

func testKeys(kind string) func(context.Context, *prober) verdict {
	return func(ctx context.Context, p *prober) verdict {
		keys, n := p.keysOf(ctx, kind)
		if n == 0 {
			return p.lacking("of this type")
		}
		var missing, unknown []string
		object := strings.ToLower(kind) + "."
		for _, oneOf := range expected(kind) {
			if !slices.ContainsFunc(oneOf, func(key string) bool { return keys[key] != nil }) {
				missing = append(missing, strings.Join(oneOf, " or "))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !isKnown(key) || len(missing) > 0 && strings.HasPrefix(key, object) {
				unknown = append(unknown, key)
			}
		}
		switch {
		case len(missing) > 0:
			return fails("missing: %s; there are: %s", list(missing), list(unknown))
		case kind == "MUTEX" && len(unknown) > 0:
			return fails("%s", list(unknown)).so("The relay could check that it is the right mutex. " + bug)
		}
		seen := plain.Count(n, "event")
		if len(unknown) > 0 {
			seen += "; not read: " + list(unknown)
		}
		return holds("%s", seen)
	}
}

// keysOf are the keys that the events of a type have, and how many of those there are.
func (p *prober) keysOf(ctx context.Context, kind string) (keys shapes, n int) {
	keys = make(shapes)
	for _, e := range p.sample(ctx) {
		if strings.EqualFold(e.Type, kind) {
			keys.add(e.doc)
			n++
		}
	}
	return keys, n
}

func testPorts(ctx context.Context, p *prober) verdict {
	var read, unread []string
	keys, _ := p.keysOf(ctx, "NETWORK")
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		lower := strings.ToLower(key)
		switch {
		case slices.Contains(ports[:], key):
			read = append(read, key)
		case strings.HasSuffix(lower, "port") || strings.Contains(lower, "protocol") ||
			strings.Contains(lower, "direction"):
			unread = append(unread, key)
		}
	}
	switch {
	case len(unread) > 0:
		return fails("%s", list(unread))
	case len(read) == 0:
		return p.lacking("with a port")
	}
	return holds("%s", list(read))
}

var ports = [...]string{"network.localPort", "network.remotePort", "network.protocol", "network.direction"}

func testDates(ctx context.Context, p *prober) verdict {
	all, other, unreadable := len(p.sample(ctx)), 0, 0
	for _, e := range p.sample(ctx) {
		var read qualys.Event
		raw, _ := json.Marshal(map[string]any{"id": "x", "dateTime": e.doc["dateTime"]})
		_ = json.Unmarshal(raw, &read)
		text, _ := e.doc["dateTime"].(string)
		if _, err := time.Parse("2006-01-02T15:04:05.000-0700", text); read.Time.IsZero() {
			unreadable++
		} else if err != nil {
			other++
		}
	}
	switch {
	case all == 0:
		return p.lacking("")
	case unreadable > 0:
		return fails("%d of %d events have a date that is missing or cannot be read", unreadable, all)
	case other > 0:
		return fails("%d of %d events have another form", other, all).so("Nothing: the relay reads it too.")
	}
	return holds("%d events", all)
}

func testIDs(ctx context.Context, p *prober) verdict {
	all := 0
	for _, active := range [...]bool{true, false} {
		ids, null := make(map[string]bool), 0
		events := p.firstPage(ctx, active).events
		for _, e := range events {
			if ids[e.ID] = true; e.ID == "" {
				null++
			}
		}
		if null > 0 || len(ids) < len(events) {
			return fails("%d events have %d ids; %d have none", len(events), len(ids)-min(null, 1), null)
		}
		all += len(events)
	}
	if all == 0 {
		return p.lacking("")
	}
	return holds("%d events", all)
}
