package relay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/qualys/qualystest"
)

// TestAFailureIsNeverNothingFound gives answers that are no list of events. Each is an error in every
// answer, a warning in the log, and never remembered.
func TestAFailureIsNeverNothingFound(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]qualystest.Behaviour{
		"404, a wrong API_PATH":     qualystest.Status(404, "nothing here"),
		"404 of Qualys":             qualystest.Status(404, `{"message":"not found"}`),
		"404 and an empty list":     qualystest.Status(404, `[]`),
		"empty":                     qualystest.Empty(),
		"white space":               qualystest.Status(200, " \r\n\t"),
		"an empty object":           qualystest.Status(200, `{}`),
		"data that is an object":    qualystest.Status(200, `{"data":{}}`),
		"data that is null":         qualystest.Status(200, `{"data":null}`),
		"data that is a text":       qualystest.Status(200, `{"data":"none"}`),
		"events that are null":      qualystest.Status(200, `{"events":null,"count":0}`),
		"a reason":                  qualystest.Status(200, `{"message":"no module"}`),
		"a reason beside no events": qualystest.Status(200, `{"data":[],"message":"no module"}`),
		"a reason before no events": qualystest.Status(200, `{"message":"no module","events":[]}`),
		"errors beside no events":   qualystest.Status(200, `{"data":[],"errors":[{"message":"no module"}]}`),
		"a code beside no events":   qualystest.Status(200, `{"data":[],"responseCode":"OPERATION_NOT_ALLOWED"}`),
		"null":                      qualystest.Null(),
		"a text":                    qualystest.Status(200, `"no module"`),
		"a number":                  qualystest.Status(200, `0`),
		"false":                     qualystest.Status(200, `false`),
		"words":                     qualystest.Status(200, `no module`),
		"a page":                    qualystest.HTML(),
		"a list without an end":     qualystest.Status(200, `[`),
		"an event without an end":   qualystest.Status(200, `[{"id":"F_1"}`),
		"text after the list":       qualystest.Status(200, `[] []`),
		"an object without an end":  qualystest.Status(200, `{"data":[]`),
		"201 and nothing":           qualystest.Status(201, ""),
		"202, try again":            qualystest.Status(202, `{"message":"queued"}`),
		"304":                       qualystest.Status(304, ""),
		"a redirect to a login":     qualystest.Redirect("/login"),
		"XML":                       qualystest.AccountExpired(),
		"XML of QPS":                qualystest.InvalidCredentials(),
	} {
		for _, state := range []qualystest.State{qualystest.CurrentState, qualystest.HistoryState} {
			t.Run(fmt.Sprint(name, " ", state), func(t *testing.T) {
				t.Parallel()
				r := newRelay(t, nil)
				remove := r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: state, Do: do})
				for range 2 {
					for _, path := range []string{"/observe/observables", "/deliberate/observables"} {
						a := r.query(path, "sha256", sha(1))
						require.NotEmpty(t, a.Errors, "%s", a.body)
						assert.NotContains(t, a.body, `"data"`)
						if strings.Contains(name, "reason") {
							assert.Contains(t, a.body, "no module")
						}
					}
				}
				if state == qualystest.CurrentState {
					assert.NotEmpty(t, r.post("/health", r.token, "").Errors)
				}
				remove()
				r.fake.RevokeTokens() // an account's refusal may have ended the login
				found := badFile(1)
				if state == qualystest.CurrentState { // no events in the other state is a good answer, and is remembered
					found = found.Current()
				}
				r.fake.SetEvents(found)
				if name != "XML" && name != "XML of QPS" {
					assert.Equal(t, 1, r.query("/observe/observables", "sha256", sha(1)).Data.Sightings.Count, "what failed is not remembered")
				}
				r.waitInFlight(0) // a line is written after its answer
				assert.NotContains(t, r.log.String(), "no module")
				assert.Contains(t, r.log.String(), `"severity":"WARNING"`)
			})
		}
	}
}

// TestNoEventsAreNothingFound holds the answers that do say that there is nothing.
func TestNoEventsAreNothingFound(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]qualystest.Behaviour{
		"an empty list": qualystest.Status(200, ` [ ] `), "204": qualystest.Status(204, ""), "an object with an empty list": qualystest.Status(200, `{"data":[]}`),
		"one with a count": qualystest.Status(200, `{"count":0,"events":[]}`), "items": qualystest.Status(200, `{"items":[],"next":null}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, nil)
			r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: do})
			assert.JSONEq(t, `{"data":{}}`, r.query("/observe/observables", "sha256", sha(1), "ip", "192.0.2.1").body)
			assert.JSONEq(t, `{"data":{"status":"ok"}}`, r.post("/health", r.token, "").body)
		})
	}
}

func TestWrappedEventsAreRead(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"", "data", "events", "items"} {
		r := newRelay(t, []qualystest.Event{badFile(1), badFile(1).At("2026-01-01T00:00:00Z").Current(), badFile(2)})
		r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Wrapped(list)})
		a := r.query("/observe/observables", "sha256", sha(1), "sha256", sha(2))
		assert.Empty(t, a.Errors, list)
		assert.Equal(t, 3, a.Data.Sightings.Count, list)
	}
}

// TestEventsThatCannotBeReadAreCounted: none is dropped in silence, whatever is found beside it.
func TestEventsThatCannotBeReadAreCounted(t *testing.T) {
	t.Parallel()
	for element, n := range map[string]int{
		`null`: 1, `7`: 1, `"F_1"`: 1, `[]`: 1, `{}`: 1, `{"data":{}}`: 1, `{"sortValues":[1],"data":null}`: 1, `[{"id":"F_1"}],true`: 2, `{"unknown":1},{},null`: 3,
	} {
		t.Run(element, func(t *testing.T) {
			t.Parallel()
			for _, asked := range [][]string{{"sha256", sha(1)}, {"sha256", sha(1), "sha256", sha(2)}} {
				r := newRelay(t, nil)
				r.fake.Inject(qualystest.Fault{On: qualystest.Search, State: qualystest.HistoryState, Do: qualystest.Status(200, "["+string(badFile(1).JSON())+","+element+"]")})
				a := r.query("/observe/observables", asked...)
				assert.Equal(t, 1, countFor(a, sha(1)), "%s", a.body)
				require.Len(t, a.Errors, len(asked)/2)
				assert.Contains(t, a.Errors[0].Message, fmt.Sprintf("%d of the events", n))
				r.waitInFlight(0)
				assert.Contains(t, r.log.String(), `"severity":"WARNING"`)
			}
		})
	}
}

func rawFile(id, when string) qualystest.Event {
	return qualystest.Raw(`{"id":`+id+`,"type":"FILE",`+when+`"score":"8","file":{"fileName":"a.exe","fullPath":"C:\\a.exe","sha256":"`+sha(1)+`"},
		"indicator2":[{"verdict":"MALICIOUS","sha256":"`+sha(1)+`"}],"asset":{"hostName":"WS-1"}}`, "file.hash.sha256", sha(1))
}

// TestTimesInAnyForm: the sighting is there, at that time.
func TestTimesInAnyForm(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]string{
		`"17 March 2026"`: "2026-03-17T00:00:00.000Z", `"2026-03-17T12:19:31.123456+0000"`: "2026-03-17T12:19:31.123Z", `"March 17, 2026"`: "2026-03-17T00:00:00.000Z",
		`"2026-03-17T12:19:31.123456789Z"`: "2026-03-17T12:19:31.123Z", `"2026-03-17T14:19:31+02:00"`: "2026-03-17T12:19:31.000Z", `1773749971123`: "2026-03-17T12:19:31.123Z",
		`"1773749971"`: "2026-03-17T12:19:31.000Z", `1773749971123456`: "2026-03-17T12:19:31.123Z", `"2026-03-17 12:19:31"`: "2026-03-17T12:19:31.000Z",
		`" 2026-03-17T12:19:31Z "`: "2026-03-17T12:19:31.000Z", `"17-Mar-2026 12:19:31"`: "2026-03-17T12:19:31.000Z", `"2026-03-17T12:19:31,123+0000"`: "2026-03-17T12:19:31.123Z",
	} {
		r := newRelay(t, []qualystest.Event{rawFile(`"F_1"`, `"dateTime":`+form+`,`)})
		a := r.query("/observe/observables", "sha256", sha(1))
		assert.Empty(t, a.Errors, form)
		require.Equal(t, 1, a.Data.Sightings.Count, form)
		assert.Equal(t, map[string]any{"start_time": want, "end_time": want}, a.Data.Sightings.Docs[0]["observed_time"], form)
	}
}

func TestTimesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, form := range []string{`"soon"`, `null`, `{}`, `[]`, `true`, `""`, `"31 February 2026"`, `1e300`, `-5`, `"3/4/2026"`} {
		r := newRelay(t, []qualystest.Event{rawFile(`"F_1"`, `"dateTime":`+form+`,"eventProcessedTime":"2026-03-17T12:19:31.000+0000",`)})
		a := r.query("/observe/observables", "sha256", sha(1))
		assert.Empty(t, a.Errors, form)
		assert.Equal(t, 1, a.Data.Sightings.Count, form)

		r = newRelay(t, []qualystest.Event{rawFile(`"F_1"`, `"dateTime":`+form+`,`), badFile(1)})
		a = r.query("/observe/observables", "sha256", sha(1))
		assert.Equal(t, 1, a.Data.Sightings.Count, form)
		assert.Equal(t, 2, a.Data.Judgements.Count, form)
		require.Len(t, a.Errors, 1, form)
		assert.Contains(t, a.Errors[0].Message, "1 event", form)
	}
}

func TestEventsWithoutAnID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{`null`, `""`, `{}`, `[]`, `true`} {
		r := newRelay(t, []qualystest.Event{rawFile(id, `"dateTime":"2026-03-17T12:19:31.000+0000",`), rawFile(id, `"dateTime":"2026-03-17T12:19:32.000+0000",`)})
		a := r.query("/observe/observables", "sha256", sha(1))
		assert.Empty(t, a.Errors, id)
		assert.Equal(t, 2, a.Data.Sightings.Count, id)
		assert.Equal(t, 2, a.Data.Indicators.Count, id)
	}
}

// TestLookAlikesHideNothing crowds the first pages with newer events of names that only begin like the one
// asked for.
func TestLookAlikesHideNothing(t *testing.T) {
	t.Parallel()
	crowd := func(n int, similar func(i int) qualystest.Event) []qualystest.Event {
		events := make([]qualystest.Event, n)
		for i := range events {
			events[i] = similar(i).At("2026-06-01T00:00:00Z").ID(fmt.Sprintf("N_%d", i))
		}
		return events
	}
	domain := func(i int) qualystest.Event { return toDomain(fmt.Sprintf("c2.example.n%d.net", i%7)) }
	address := func(i int) qualystest.Event {
		return qualystest.Network("a.exe", "192.0.2.17", fmt.Sprintf("198.51.100.2%d", i%10), "")
	}
	for name, test := range map[string]struct {
		asked  []string
		events []qualystest.Event
		real   qualystest.Event
	}{
		"a domain, 1,500":     {[]string{"domain", "c2.example"}, crowd(1500, domain), toDomain("c2.example")},
		"a domain, 101":       {[]string{"domain", "c2.example"}, crowd(101, domain), toDomain("c2.example")},
		"a domain, 100":       {[]string{"domain", "c2.example"}, crowd(100, domain), toDomain("c2.example")},
		"a domain, 1,000":     {[]string{"domain", "c2.example"}, crowd(1000, domain), toDomain("c2.example")},
		"a domain, 2,500":     {[]string{"domain", "c2.example"}, crowd(2500, domain), toDomain("c2.example")},
		"an address":          {[]string{"ip", "198.51.100.2"}, crowd(1500, address), qualystest.Network("b.exe", "192.0.2.17", "198.51.100.2", "")},
		"a name":              {[]string{"file_name", "update.exe"}, crowd(1500, func(i int) qualystest.Event { return qualystest.File(fmt.Sprintf(`C:\a\my-update.exe-%d`, i), "", "") }), qualystest.File(`C:\b\update.exe`, sha(1), "")},
		"beside other values": {[]string{"sha256", sha(5), "domain", "c2.example", "file_name", "x.exe"}, crowd(1500, domain), toDomain("c2.example")},
	} {
		for _, current := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", current), func(t *testing.T) {
				t.Parallel()
				wanted := test.real.At("2026-01-02T00:00:00Z").Verdict("MALICIOUS", 10, "x")
				if current {
					wanted = wanted.Current()
					for i := range test.events {
						test.events[i] = test.events[i].Current()
					}
				}
				r := newRelay(t, append(test.events, wanted))
				a := r.query("/observe/observables", test.asked...)
				assert.Equal(t, 1, a.Data.Sightings.Count, "%v", a.Errors)
				assert.Empty(t, a.Errors)
			})
		}
	}
}

// TestWhatCouldNotBeLookedAtIsSaid: Qualys returns no event beyond the 10,000th.
func TestWhatCouldNotBeLookedAtIsSaid(t *testing.T) {
	t.Parallel()
	events := []qualystest.Event{toDomain("c2.example"), toDomain("c2.example").At("2026-08-01T00:00:00Z")}
	for i := range 10_050 {
		events = append(events, toDomain("c2.example.org").At("2026-06-01T00:00:00Z").ID(fmt.Sprintf("N_%d", i)))
	}
	r := newRelay(t, events)
	a := r.query("/observe/observables", "domain", "c2.example")
	assert.Equal(t, 1, a.Data.Sightings.Count)
	require.Len(t, a.Errors, 1)
	assert.Equal(t, CodeTruncated, a.Errors[0].Code)
	assert.Contains(t, a.Errors[0].Message, "10000 events were looked at, and 1 of them")
}

// TestAWrongAPIPath is told from a gateway that has no such path at all.
func TestAWrongAPIPath(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	r.fake.Inject(qualystest.Fault{On: qualystest.Search, Do: qualystest.Status(http.StatusNotFound, "no context path")})
	for _, path := range []string{"/observe/observables", "/deliberate/observables", "/health"} {
		a := r.query(path, "sha256", sha(1))
		require.Len(t, a.Errors, 1)
		assert.Equal(t, Fatal, a.Errors[0].Severity)
		assert.Contains(t, a.Errors[0].Message, "API_PATH")
		assert.Contains(t, a.Errors[0].Message, "EDR module")
	}
}
