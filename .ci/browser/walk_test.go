package browser

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/png"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/cmd/relayctl/console/consoletest"
)

// loader is the file of the story that does the harm.
const loader = "sha256|d41f7ab5902c6e38f4b17d0a5e93c8262b7f10e9d6c5a4831e0f9b27c8d3a645"

// The way of an analyst through an investigation, on a desk and on a telephone, by day and by night.
func TestAnInvestigation(t *testing.T) {
	for name, v := range map[string]view{
		"1280 light": desk, "1280 dark": {width: 1280, height: 900, dark: true},
		"390 light": {width: 390, height: 844}, "390 dark": {width: 390, height: 844, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, consoletest.Relay{}, v)
			const story = "13 events on 3 hosts, worst severity High."
			p.investigate(consoletest.Report)
			assert.Equal(t, story, p.text("#status"))
			assert.False(t, p.is(`document.getElementById('ask').open`), "the question folds away")
			assert.Contains(t, p.text("#question"), "9 observables: ")
			assert.Empty(t, p.text("#notices"))

			// The first pivot, from a node; the second, from a value of an event.
			p.click(`#outline button[data-key="domain|cdn.glasswing.example"]`)
			p.clickPath(`//aside//button[. = "Investigate this"]`)
			p.until(`location.hash === '#domain=cdn.glasswing.example'`)
			p.answered()
			const domain = "2 events on 1 host, worst severity High."
			assert.Equal(t, domain, p.text("#status"))
			p.click("#pane-events tbody button")
			p.click(`#details button[aria-label="Add 198.51.100.23 to the investigation"]`)
			p.until(`location.hash === '#domain=cdn.glasswing.example&ip=198.51.100.23'`)
			p.answered()
			assert.Equal(t, domain, p.text("#status"), "the same events, found by both")
			assert.Contains(t, p.text("#pane-events tbody"), "+1")

			// Back to the first question asks nobody.
			asked := p.asked("/api/investigate")
			require.Equal(t, 3, asked)
			p.click("#back")
			p.until(`location.hash === '#domain=cdn.glasswing.example'`)
			p.click("#back")
			p.until(`document.getElementById('status').textContent.startsWith('13 events')`)
			assert.Equal(t, 3, p.asked("/api/investigate"))
			assert.Equal(t, 3, eval[int](p, `document.querySelectorAll('#trail a').length`))

			p.filter("event", "passview")
			assert.Equal(t, 1, p.rows("events"))
			p.filter("event", "")

			// What can be taken away.
			file, err := os.Open(p.download("#download-csv"))
			require.NoError(t, err)
			defer file.Close()
			lines, err := csv.NewReader(file).ReadAll()
			require.NoError(t, err)
			assert.Len(t, lines, 1+13)
			answers, err := os.ReadFile(p.download("#download-json"))
			require.NoError(t, err)
			var got struct {
				Observe, Deliberate, Refer struct{ Data json.RawMessage }
			}
			require.NoError(t, json.Unmarshal(answers, &got))
			assert.NotEmpty(t, got.Observe.Data)
			assert.NotEmpty(t, got.Refer.Data)
			picture, err := os.Open(p.download("#download-png"))
			require.NoError(t, err)
			defer picture.Close()
			drawn, err := png.DecodeConfig(picture)
			require.NoError(t, err)
			assert.Greater(t, drawn.Width, 400)

			// The fragment is the question: a reload asks it again, and a bookmark opens it.
			p.do(chromedp.Reload())
			p.answered()
			assert.Equal(t, story, p.text("#status"))
			assert.Contains(t, p.text("#question"), "9 observables: ")

			p.click("#clear")
			p.until(`document.getElementById('results').hidden && location.hash === ''`)
			assert.True(t, p.is(`document.getElementById('ask').open && document.querySelector('.chip') === null`))
		})
	}
}

func TestAnAnalystReadsTheStory(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)

	p.paste(consoletest.Report + "\nand 192.0.2.77, evil.zip, 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
	assert.Equal(t, "11", p.text("#chips-count"))
	p.click("#skipped summary")
	assert.Equal(t, "1 skipped 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 Qualys has no SHA-1 of files", p.text("#skipped"))

	// A chip is removed and another retyped.
	p.click(`button[aria-label="Remove 192.0.2.77"]`)
	assert.Equal(t, "10", p.text("#chips-count"))
	assert.True(t, p.is(`document.activeElement.classList.contains('remove')`),
		"the focus goes on to the next chip")
	p.do(chromedp.SendKeys(chromedp.CSS(`select[aria-label="Type of evil.zip"]`), "Domain"))
	assert.True(t, p.is(`document.querySelector('select[aria-label="Type of evil.zip"]').value === 'domain'`))

	// Ctrl+Enter in the text asks.
	p.focus("#text")
	p.press(kb.Enter, kb.ModifierCtrl)
	p.answered()
	assert.Equal(t, 1, p.asked("/api/investigate"))

	summary := p.text("#summary")
	for _, part := range []string{
		"13 6 active, 7 historical", "High in 7 events", "3 WS-FINANCE-07, SRV-FILES-01, LT-DESIGN-02",
		"Malicious",
	} {
		assert.Contains(t, summary, part)
	}

	// The names, the paths and the hashes of one file are one node, and its verdict is the file's.
	assert.Equal(t, 1, eval[int](p, `[...document.querySelectorAll('#outline button')]
		.filter((b) => b.textContent.includes('update.exe')).length`))
	p.clickNode(loader)
	details := p.text("#details")
	for _, part := range []string{
		"update.exe", "Malicious", "asked for", "Known as",
		`File path C:\Users\mira\AppData\Local\Temp\glw\update.exe`,
		`File path D:\Shares\Public\update.exe`, "MD5 3b7de0a9145f8c62d17a4e90fb2c6583",
		"7, of them 4 active",
		"connected to →", "198.51.100.23",
	} {
		assert.Contains(t, details, part)
	}
	assert.True(t, p.is(`document.activeElement === document.querySelector('#details h2')`),
		"the focus is where the news is")

	// From there to a neighbour, and back out with Escape.
	p.clickPath(`//aside//button[contains(., "198.51.100.23")]`)
	assert.Equal(t, "198.51.100.23", p.text("#details h2"))
	p.press(kb.Escape)
	assert.Contains(t, p.text("#details"), "Choose a node")

	// A line opens its events, from the drawing and from a list.
	p.clickNode(loader + "\nconnected to\nip|203.0.113.199")
	assert.Equal(t, "update.exe connected to 203.0.113.199", p.text("#details h2"))
	assert.Equal(t, 1, eval[int](p, `document.querySelectorAll('#details time').length`))
	p.click(`#outline button[data-key="domain|cdn.glasswing.example"]`)
	p.clickPath(`//aside//button[. = "2 events"]`)
	assert.Contains(t, p.text("#details"), "Relation")

	// Without a mouse: the outline's button does the same, and Escape leads back to it. A host shows all
	// that its events touched, and leads on by its addresses.
	host := `#outline button[data-key="host|ws-finance-07"]`
	p.focus(host)
	p.press(kb.Enter)
	assert.Equal(t, "WS-FINANCE-07", p.text("#details h2"))
	details = p.text("#details")
	for _, part := range []string{
		"Touched by its events", "srv-files-01.corp.example", "winsvchelper.exe", "192.0.2.17",
		"Investigate its addresses",
	} {
		assert.Contains(t, details, part)
	}
	p.press(kb.Escape)
	assert.True(t, p.is(`document.activeElement.dataset.key === 'host|ws-finance-07'`))

	// The table: filter, sort, open. The page stays where it is.
	p.filter("event", "srv-files-01 created")
	assert.Equal(t, 2, p.rows("events"))
	assert.Contains(t, p.text("#pane-events .table-bar"), "2 of 13 events")
	p.click(`#pane-events button[aria-label="Sort by Severity"]`)
	assert.Equal(t, "ascending", p.attribute(`#pane-events th[aria-sort]`, "aria-sort"))
	assert.Contains(t, p.text("#pane-events tbody tr"), "High", "the worst first")
	p.focus("#pane-events tbody button")
	at := eval[float64](p, `scrollY`)
	require.Greater(t, at, 300.0)
	p.press(kb.Enter)
	assert.InDelta(t, at, eval[float64](p, `scrollY`), 1, "opening a row keeps the place")
	assert.True(t, p.is(`document.querySelector('#details h2').getBoundingClientRect().top < innerHeight`))
	details = p.text("#details")
	for _, part := range []string{"on SRV-FILES-01", "Active", "Found by", "Description", "Open in Qualys"} {
		assert.Contains(t, details, part)
	}
	assert.True(t, p.is(`document.querySelector('#details .prose li code') !== null`),
		"the description is rendered")
	p.filter("event", "")
	assert.Equal(t, 13, p.rows("events"))

	// The facets filter the table and the timeline.
	p.clickPath(`//div[@id="facets"]//button[contains(., "Active")]`)
	assert.Equal(t, 6, p.rows("events"))
	p.until(`document.getElementById('timeline').getAttribute('aria-label').includes('of 6 events')`)
	p.clickPath(`//div[@id="facets"]//button[contains(., "High")]`)
	assert.Equal(t, 5, p.rows("events"))

	// The tabs, by arrow keys. Judgements: the worst first.
	p.focus("#tab-events")
	p.press(kb.ArrowRight)
	assert.Equal(t, "tab-judgements", p.focused())
	dispositions := eval[[]string](p,
		`[...document.querySelectorAll('#pane-judgements tbody tr td:first-child .value')].map((e) => e.textContent)`)
	require.NotEmpty(t, dispositions)
	assert.Equal(t, "Malicious", dispositions[0])
	assert.NotEqual(t, "Malicious", dispositions[len(dispositions)-1])
	p.filter("judgement", "passview")
	p.click("#pane-judgements tbody button")
	assert.Equal(t, "Win32.Riskware.Passview", p.text("#details h2"))
	p.focus("#tab-judgements")
	p.press(kb.ArrowRight)
	assert.Positive(t, p.rows("indicators"))
	p.press(kb.ArrowRight)
	assert.Equal(t, "tab-references", p.focused())
	links := eval[[]struct{ Href, Rel, Target string }](p, `[...document.querySelectorAll('#pane-references a')]
		.map((a) => ({ href: a.href, rel: a.rel, target: a.target }))`)
	require.Len(t, links, 10)
	for _, l := range links {
		assert.True(t, strings.HasPrefix(l.Href, "https://qualysguard.example/"), l.Href)
		assert.Equal(t, "noopener noreferrer", l.Rel)
		assert.Equal(t, "_blank", l.Target)
	}
	assert.Contains(t, p.text("#pane-references"), "Domain cdn.glasswing.example Search for this domain")
	p.press(kb.ArrowRight)
	p.click("#pane-raw summary")
	p.shown("#pane-raw pre")
	assert.Contains(t, p.text("#pane-raw pre"), `"sightings": {`)
	p.focus("#tab-raw")
	p.press(kb.ArrowRight)
	assert.Contains(t, p.text("#pane-cost"), "/deliberate/observables 200")
}

func TestNothingFound(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.clickPath(`//button[contains(., "Quiet")]`)
	p.shown("#chips .chip")
	p.click("#investigate")
	p.answered()
	assert.Equal(t, "Qualys has no event about this.", p.text("#status"))
	assert.Contains(t, p.text("#summary"), "0 Qualys has none about this")
	assert.Contains(t, p.text("#pane-events"), "No events.")
	assert.Contains(t, p.text("#outline"), "nothing-here.example", "what was asked for is still shown")
	p.clickNode("ip|192.0.2.200")
	assert.Contains(t, p.text("#details"), "Events none")
}

func TestAFailureIsNotNothing(t *testing.T) {
	p := open(t, consoletest.Down(), desk)
	p.investigate(quiet)
	assert.Equal(t, "Not known: the search failed, or a part of it.", p.text("#status"))
	assert.Contains(t, p.text("#notices"), "Error: Connection error")
	assert.Equal(t, 4, strings.Count(p.text("#summary"), "not known"), "no tile shows a figure")
	assert.Contains(t, p.text("#pane-events"), "Not known")
	p.clickNode("ip|192.0.2.200")
	assert.Contains(t, p.text("#details"), "Events not known")
	assert.Contains(t, p.text("#details"), "Verdict not known")
	line, err := os.ReadFile(p.download("#download-csv"))
	require.NoError(t, err)
	assert.Contains(t, string(line), `"ip:192.0.2.200","","","not known"`)
}

func TestLinksThatAreNotKnownAreNoFailure(t *testing.T) {
	p := open(t, consoletest.WithoutPlatform(), desk)
	p.investigate(quiet)
	assert.Equal(t, "Qualys has no event about this.", p.text("#status"))
	assert.Contains(t, p.text("#notices"), "Note: No links to Qualys")
	assert.NotContains(t, p.text("#summary"), "not known")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	p := open(t, consoletest.Partial(), desk)
	p.investigate(consoletest.Report)
	notices := p.text("#notices")
	for _, part := range []string{"Error: No verdicts", "The relay answered with HTTP 404",
		"Unexpected failure", "Warning: Truncated"} {
		assert.Contains(t, notices, part)
	}
	assert.Less(t, strings.LastIndex(notices, "Error:"), strings.Index(notices, "Warning:"),
		"the worst first")
	assert.Contains(t, p.text("#status"), "There may be more: not all could be searched.")
	assert.Contains(t, p.text("#summary"), "10 at least: ")
	assert.Contains(t, p.text("#summary"), "Verdicts not known judged in the events: ✕ Malicious")
	assert.Positive(t, p.rows("events"), "what was found stays")
	p.click(`#outline button[data-key="domain|pool.glasswing.example"]`)
	assert.Contains(t, p.text("#details"), "Events not known")
}

func TestTheNameOfAnEndpointIsExplained(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.investigate("hostname:SRV-FILES-01.corp.example hostname:ws-finance-07 198.51.100.2")
	assert.Contains(t, p.text("#notices"), "Note: ws-finance-07 is an endpoint")
	assert.NotContains(t, p.text("#notices"), "SRV-FILES-01", "the answer has no such endpoint")
	p.click(`#outline button[data-key="domain|ws-finance-07"]`)
	assert.Contains(t, p.text("#details"), "searched as the remote name of connections")
}

func TestHostileEventsAreShownAsText(t *testing.T) {
	p := open(t, hostile(), desk)
	p.investigate(consoletest.Report)
	assert.Contains(t, p.text("#notices"), "<img src=x onerror")
	assert.Contains(t, p.text("#pane-events tbody"), "<img src=x")
	row := func(part string) string {
		return fmt.Sprintf(`//table[@aria-label="Events"]//tr[contains(., "%s")]//button`, part)
	}

	t.Run("a long value is cut, and whole on demand", func(t *testing.T) {
		p.clickPath(row("aaaaaaaa"))
		p.clickPath(`//aside//section[contains(., "Found by")]//button`)
		length := func() int {
			return eval[int](p,
				`document.querySelector('#details h2 bdi').textContent.length`)
		}
		assert.Less(t, length(), 200)
		p.clickPath(`//aside//h2//button[contains(., "Show all 10,000 characters")]`)
		assert.Equal(t, 10_000, length())
		assert.False(t, p.is(`document.documentElement.scrollWidth > innerWidth`),
			"the page is not wider than the window")
	})
	t.Run("marks that turn the reading direction are named", func(t *testing.T) {
		p.clickPath(row("fdp.exe"))
		assert.Contains(t, p.text("#details"), "invoiceU+202Efdp.exe")
		assert.False(t, p.is(`document.body.textContent.includes('\u202e')`))
	})
	t.Run("a formula is none in the CSV", func(t *testing.T) {
		content, err := os.ReadFile(p.download("#download-csv"))
		require.NoError(t, err)
		records, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
		require.NoError(t, err)
		for _, record := range records {
			for _, cell := range record {
				assert.NotRegexp(t, `^[=+@-]|\x{202e}`, cell)
			}
		}
	})
	t.Run("every view is opened and nothing runs", func(t *testing.T) {
		for i := range eval[int](p, `document.querySelectorAll('#outline button').length`) {
			eval[chromedp.Void](p, fmt.Sprintf(`document.querySelectorAll('#outline button')[%d].click()`,
				i))
			assert.NotEmpty(t, p.text("#details h2"))
		}
		for _, name := range []string{"events", "judgements", "indicators", "references", "raw"} {
			p.click("#tab-" + name)
			eval[chromedp.Void](p, `document.querySelectorAll('details').forEach((d) => { d.open = true; })`)
			if name != "references" && name != "raw" {
				p.click("#pane-" + name + " tbody button")
				assert.Contains(t, p.text("#details"), "<img src=x")
			}
			assert.True(t, p.is(`document.querySelectorAll('main img, main svg, main script, main iframe').length === 0`),
				"markup of the answer became elements")
			assert.True(t, p.is(`[...document.querySelectorAll('a')].every((a) => /^https?:/.test(a.href))`),
				"a link that is none")
		}
		p.until(`document.querySelectorAll('#pane-raw pre').length >= 2`)
		assert.False(t, p.is(`'hostile' in globalThis`), "a script of the answer ran")
		assert.True(t, p.is(`[...document.querySelectorAll('#pane-references li')]
			.some((li) => li.textContent.includes('javascript:') && !li.querySelector('a'))`), "a script is shown as text")
	})
	t.Run("a hostile fragment is a question like others", func(t *testing.T) {
		value := url.QueryEscape(script)
		eval[chromedp.Void](p, `{ location.hash = '#mutex=`+value+`&__proto__=x&sha1=1&ip='; }`)
		p.until(`document.title.startsWith('<img')`)
		p.answered()
		assert.Contains(t, p.text("#question"), "1 observable: ")
		assert.False(t, p.is(`'hostile' in globalThis`))
	})
}

func TestEveryControlHasAName(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.investigate(consoletest.Report + " 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
	eval[chromedp.Void](p, `{ document.getElementById('ask').open = true; }`)
	p.clickNode("domain|cdn.glasswing.example")
	controls := map[string]bool{
		"button": true, "link": true, "textbox": true, "searchbox": true, "combobox": true, "tab": true,
		"tabpanel": true,
		"img":      true, "table": true, "navigation": true, "complementary": true, "region": true,
		"listbox": true,
		"image":   true, "DisclosureTriangle": true,
	}
	seen := map[string]int{}
	for _, name := range []string{"events", "judgements", "indicators", "references", "raw", "cost"} {
		p.click("#tab-" + name)
		eval[chromedp.Void](p, `document.querySelectorAll('#pane-raw details').forEach((d) => { d.open = true; })`)
		for _, n := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			role := value(n.Role)
			if n.Ignored || !controls[role] {
				continue
			}
			seen[role]++
			assert.NotEmpty(t, strings.TrimSpace(value(n.Name)),
				"a %s without a name on the tab %s (DOM node %d)",
				role, name, n.BackendDOMNodeID)
		}
	}
	t.Logf("controls seen: %v", seen)
	assert.Greater(t, seen["button"], 100)
	assert.Positive(t, seen["combobox"])
	assert.Positive(t, seen["link"])
	assert.True(t, p.is(`[...document.querySelectorAll('[id]')]
		.every((e) => document.querySelectorAll('#' + CSS.escape(e.id)).length === 1)`), "an id is given twice")
}

func TestAThousandEventsStayUsable(t *testing.T) {
	const n = 1000
	p := open(t, many(n), desk)
	p.investigate(consoletest.Report)
	assert.Equal(t, "1,000 events on 200 hosts, worst severity High.", p.text("#status"))
	assert.Equal(t, 50, p.rows("events"), "a page of rows")
	assert.Contains(t, p.text("#outline"), "and 1", "the graph gathers what is too much")

	figures := eval[struct{ Draw, Filter, Painted, Sort, Turn, Facet float64 }](p, `(async () => {
		const timed = (act) => {
			const from = performance.now();
			act();
			document.body.getBoundingClientRect();
			return performance.now() - from;
		};
		const frame = () => new Promise(requestAnimationFrame);
		const settle = async () => { await frame(); await frame(); };
		const field = document.getElementById('filter-event');
		const type = (text) => { field.value = text; field.dispatchEvent(new Event('input')); };
		const figures = { draw: performance.getEntriesByName('draw').at(-1).duration };
		figures.filter = timed(() => type('ws-1 high'));
		await settle();
		type('');
		await settle();
		const from = performance.now();
		type('high');
		await settle();
		figures.painted = performance.now() - from;
		type('');
		await settle();
		figures.sort = timed(() => document.querySelector('[aria-label="Sort by Host"]').click());
		figures.turn = timed(() => document.querySelector('[aria-label="Next page of events"]').click());
		figures.facet = timed(() => document.querySelector('#facets [aria-pressed]').click());
		return figures;
	})()`)
	t.Logf("%d events: drawn in %.0f ms; filtered in %.1f ms, with the timeline on the screen after %.0f ms; "+
		"sorted in %.1f ms, page turned in %.1f ms, narrowed to one severity in %.1f ms",
		n, figures.Draw, figures.Filter, figures.Painted, figures.Sort, figures.Turn, figures.Facet)

	p.filter("event", "ws-013")
	assert.Less(t, p.rows("events"), 50)
	p.clickPath(`//nav[@id="outline"]//button[contains(., "more hosts")]`)
	assert.Contains(t, p.text("#details h2"), "more hosts")
}

// The view model is pure, so it is asked directly, in the page's own engine.
func TestModel(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	const helpers = `
		const o = { type: 'ip', value: '192.0.2.1' };
		const of = (type, value) => ({ type, value });
		const observe = (data, problems) => ({ observe: { data }, problems });
		const judged = (...docs) => m.buildModel(observe({ judgements: { docs } }), [o]);
		const rel = (source, relation, related) => ({ source, relation, related });
		const seen = (id, relations, ...observables) => ({ id, external_ids: [id], relations, observables });
		const story = (...docs) => m.buildModel(observe({ sightings: { docs } }), []);
		const keys = (model) => [...model.nodes.keys()].sort();
		const name = of('file_name', 'a.exe'), path = of('file_path', 'C:\\a.exe'), run = of('process_name', 'A.exe');
		const sha = of('sha256', 'aa'), other = of('sha256', 'bb'), md5 = of('md5', 'cc');
		const inFile = (n, h) => rel(n, n.type === 'file_name' ? 'File_Name_Of' : 'File_Path_Of', h);
	`
	for name, c := range map[string]struct{ js, want string }{
		"nothing at all is an empty model": {
			`(({ events, nodes, edges, notices, summary }) => [events.length, nodes.size, edges.length, notices.length,
				summary.worst])(m.buildModel({}, []))`, `[0,0,0,0,""]`,
		},
		"odd parts are passed over": {
			`(({ events: [e, ...more] }) => [more.length, e.state, e.severity, e.title])(m.buildModel(observe({
				sightings: { docs: [null, 7, { targets: 'x', relations: [{}], data: { columns: 3 }, severity: 'Odd' }] },
				indicators: 1 }, 'x'), []))`, `[0,"Unknown","Unknown","Event"]`,
		},
		"an event that several observables found is one": {
			`(({ events, nodes }) => [events.length, events[0].foundBy.length, nodes.get('ip|192.0.2.1').events])(
				story(seen('e', [], o), { ...seen('e', [], of('domain', 'a.example')), id: 'f' }))`, `[1,2,["e"]]`,
		},
		"the names, the path and the hashes of one file are one node": {
			`keys(story(seen('e', [inFile(name, sha), inFile(name, md5), inFile(path, sha)], name), seen('f', [], md5)))`,
			`["sha256|aa"]`,
		},
		"a process is its file where the event says so": {
			`keys(story(seen('e', [rel(run, 'Connected_To', o), rel(sha, 'Connected_To', o)], o),
				seen('f', [inFile(name, sha)], run)))`, `["ip|192.0.2.1","sha256|aa"]`,
		},
		"a name of two files stays apart from both": {
			`keys(story(seen('e', [inFile(name, sha)], name), seen('f', [inFile(name, other)], name)))`,
			`["file_name|a.exe","sha256|aa","sha256|bb"]`,
		},
		"a name in an event without a hash stays apart, and takes no verdict": {
			`(({ nodes }) => [...nodes.values()].map((n) => [n.key, n.disposition]).sort())(m.buildModel(observe({
				sightings: { docs: [seen('e', [inFile(name, sha)], name), seen('f', [], name)] },
				judgements: { docs: [{ id: 'j', observable: sha, disposition: 2 }] } }), []))`,
			`[["file_name|a.exe",""],["sha256|aa","Malicious"]]`,
		},
		"what connects is the file of a process that stays apart": {
			`story(seen('e', [rel(run, 'Connected_To', o), rel(sha, 'Connected_To', o)], o), seen('f', [], run))
				.edges.map((x) => x.key)`,
			`["process_name|a.exe\nruns\nsha256|aa","sha256|aa\nconnected to\nip|192.0.2.1"]`,
		},
		"two SHA-256s are never one file": {
			`keys(story(seen('e', [inFile(name, sha), inFile(name, md5)], md5), seen('f', [inFile(name, other),
				inFile(name, md5)], md5))).filter((k) => k.startsWith('sha256'))`, `["sha256|aa","sha256|bb"]`,
		},
		"a later judgement of the same priority wins": {
			`judged({ id: 'a', observable: o, disposition: 2, priority: 90, valid_time: { start_time: '2026-01-01T00:00:00Z' } },
				{ id: 'b', observable: o, disposition: 1, priority: 90, valid_time: { start_time: '2026-01-02T00:00:00Z' } })
				.nodes.get('ip|192.0.2.1').disposition`, `"Clean"`,
		},
		"a judgement of higher priority wins over a later one": {
			`judged({ id: 'a', observable: o, disposition: 2, priority: 95, valid_time: { start_time: '2026-01-01T00:00:00Z' } },
				{ id: 'b', observable: o, disposition: 1, priority: 90, valid_time: { start_time: '2026-01-02T00:00:00Z' } })
				.nodes.get('ip|192.0.2.1').disposition`, `"Malicious"`,
		},
		"at the same time CTIM's order decides": {
			`judged({ id: 'a', observable: o, disposition: 3, priority: 90 }, { id: 'b', observable: o, disposition: 2,
				priority: 90 }).nodes.get('ip|192.0.2.1').disposition`, `"Malicious"`,
		},
		"a verdict wins over every judgement": {
			`(({ disposition, judged }) => [disposition, judged])(m.buildModel({ ...observe({ judgements: { docs: [
				{ id: 'a', observable: o, disposition: 2, priority: 100 }] } }), deliberate: { data: { verdicts: { docs: [
				{ observable: o, disposition: 1 }] } } } }, [o]).nodes.get('ip|192.0.2.1'))`, `["Clean","Verdict"]`,
		},
		"judgements are sorted worst first": {
			`judged(...[1, 5, 3, 2].map((d) => ({ id: String(d), observable: o, disposition: d })))
				.judgements.map((j) => j.disposition)`, `["Malicious","Suspicious","Unknown","Clean"]`,
		},
		"what was truncated is not missing, what failed is": {
			`[['too-many-messages-warning', 'There are more results for the IP "a"'], ['too-many-messages-warning',
				'The answer is full'], ['too many requests'], ['']].map(([code, message]) => m.buildModel(observe({}, [
				{ endpoints: ['observe'], type: 'warning', code, message }]), []).missing.events)`,
			`[false,true,true,true]`,
		},
		"a file is asked for by its hash, a host by its addresses": {
			`[{ kind: 'file', values: [name, md5, sha] }, { kind: 'file', values: [name] }, { kind: 'host', values: [
				of('hostname', 'h'), of('ip', '192.0.2.1'), of('ipv6', 'fe80::1'), of('mac_address', 'x')] },
				{ kind: 'registry', values: [of('registry_key', 'x')] }].map((n) => m.questionAbout(n).map((v) => v.value))`,
			`[["aa"],["a.exe"],["192.0.2.1"],[]]`,
		},
		"hashes and domains are the same in any case": {
			`[m.keyOf(of('md5', 'AB')), m.keyOf(of('hostname', 'A.Example')), m.keyOf(of('mutex', 'A')),
				m.keyOf(of('file_path', '/A')), m.keyOf(path)]`,
			`["md5|ab","domain|a.example","mutex|A","file_path|/A","file_path|c:\\a.exe"]`,
		},
		"the graph is capped, and what is left out is counted": {
			`(({ nodes, edges }) => [nodes.length, nodes.at(-1).label, edges.length])(l.select(m.buildModel(observe({ sightings: {
				docs: Array.from({ length: 20 }, (_, i) => ({ ...seen('s' + i, [], o), targets: [{ observables: [
				of('hostname', 'h' + i)] }] })) } }), [o]), { most: 6, each: 12 }))`, `[7,"and 15 more hosts",6]`,
		},
		"a question survives the fragment": {
			`q.decode('#' + q.encode([of('mutex', 'a&b=c #%+ ü'), of('sha1', 'x'), path]))`,
			`[{"type":"mutex","value":"a&b=c #%+ ü"},{"type":"file_path","value":"C:\\a.exe"}]`,
		},
		"only web addresses become links": {
			`['https://a.example/', 'http://a.example/', 'javascript:alert(1)', 'data:text/html,x', ' JaVaScRiPt:x',
				'file:///etc/passwd', '//a.example', 'x'].map((u) => d.safeURL(u) !== null)`,
			`[true,true,false,false,false,false,false,false]`,
		},
		"unseen characters are named": {
			`d.plain('a\u202eb\u0000\u200b')`, `"a[U+202E]b[U+0000][U+200B]"`,
		},
		"Markdown: paragraphs, lists, code, bold": {
			"md.markdown('a **b** `c`\\nd\\n\\n- e: `f*g*`\\n- h').innerHTML.replace(/ class=\"value\"/g, '')",
			`"<p><bdi>a </bdi><strong><bdi>b</bdi></strong><bdi> </bdi><code><bdi>c</bdi></code> <bdi>d</bdi></p>` +
				`<ul><li><bdi>e: </bdi><code><bdi>f*g*</bdi></code></li><li><bdi>h</bdi></li></ul>"`,
		},
		"Markdown: the rest is text": {
			"md.markdown('[x](javascript:y) <b>z</b> \\\\*q\\\\* `open **open').textContent",
			"\"[x](javascript:y) <b>z</b> *q* `open **open\"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := eval[[]byte](p, `(async () => {
				const [m, l, d, q, md] = await Promise.all(['model', 'layout', 'dom', 'question', 'markdown']
					.map((n) => import('/assets/' + n + '.js')));`+helpers+`return `+c.js+`; })()`)
			assert.JSONEq(t, c.want, string(got))
		})
	}
}

func TestASpanOfTheTimelineFilters(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.investigate(consoletest.Report)
	p.do(chromedp.ScrollIntoView(chromedp.CSS("#timeline")))
	box := eval[struct{ Left, Top, Width float64 }](p, `(() => {
		const { left, top, width } = document.getElementById('timeline').getBoundingClientRect();
		return { left, top, width };
	})()`)
	p.do(chromedp.DragAndDropXY(box.Left+box.Width*0.5, box.Top+30, box.Left+box.Width*0.99, box.Top+60, 5))
	assert.Equal(t, 1, p.rows("events"), "all of the second day")
	assert.Regexp(t, `2026-03-1\d \d\d:\d\d:\d\d – 2026-03-18 \d\d:\d\d:\d\d`, p.text("#facets button"))
	p.clickPath(`//div[@id="facets"]//button[contains(., "Show the whole time")]`)
	assert.Equal(t, 13, p.rows("events"))
}

func TestTheChosenThemeStays(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	assert.Equal(t, "Theme: as the system", p.attribute("#theme", "aria-label"))
	p.click("#theme")
	p.click("#theme")
	p.until(`document.getElementById('theme').getAttribute('aria-label') === 'Theme: dark'`)
	p.do(chromedp.Navigate(p.url))
	p.until(`document.documentElement.dataset.theme === 'dark'
		&& document.getElementById('theme').getAttribute('aria-label') === 'Theme: dark'`)
}

func TestTheWheelZoomsTheGraph(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.investigate(consoletest.Report)
	before := eval[float64](p, `relayConsole.zoom()`)
	box := eval[struct{ X, Y float64 }](p, `(() => {
		const { left, top, width, height } = document.getElementById('graph').getBoundingClientRect();
		return { x: left + width / 2, y: top + height / 2 };
	})()`)
	call(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{
		// both must be sent, and 0 is not
		Type: input.DispatchMouseEventTypeMouseWheel, X: box.X, Y: box.Y, DeltaX: 1, DeltaY: -120,
	})
	p.until(fmt.Sprintf(`relayConsole.zoom() > %f`, before))
	p.click("#zoom-fit")
	assert.InDelta(t, before, eval[float64](p, `relayConsole.zoom()`), 0.01)
}

func TestFingersOnTheGraph(t *testing.T) {
	p := open(t, consoletest.Relay{}, view{width: 390, height: 844})
	call(p, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
	p.investigate(consoletest.Report)
	eval[chromedp.Void](p, `document.getElementById('graph').scrollIntoView({ block: 'center' })`)
	p.frames()
	touch := func(kind input.DispatchTouchEventType, at ...*input.TouchPoint) {
		call(p, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: kind, TouchPoints: append([]*input.TouchPoint{}, at...),
		})
	}
	before, zoom := eval[float64](p, `scrollY`), eval[float64](p, `relayConsole.zoom()`)
	touch(input.DispatchTouchEventTypeTouchStart, &input.TouchPoint{X: 195, Y: 420})
	for y := 410.0; y > 150; y -= 10 {
		touch(input.DispatchTouchEventTypeTouchMove, &input.TouchPoint{X: 195, Y: y})
	}
	touch(input.DispatchTouchEventTypeTouchEnd)
	p.until(fmt.Sprintf(`scrollY > %f`, before+100))
	p.frames()
	assert.False(t, p.is(`document.getElementById('details').classList.contains('is-open')`),
		"it was no tap")
	assert.InDelta(t, zoom, eval[float64](p, `relayConsole.zoom()`), 1e-9)

	eval[chromedp.Void](p, `document.getElementById('graph').scrollIntoView({ block: 'center' })`)
	p.frames()
	fingers := func(apart float64) []*input.TouchPoint {
		return []*input.TouchPoint{{X: 195, Y: 420 - apart, ID: new(1.0)},
			{X: 195, Y: 420 + apart, ID: new(2.0)}}
	}
	touch(input.DispatchTouchEventTypeTouchStart, fingers(40)...)
	for apart := 50.0; apart <= 120; apart += 10 {
		touch(input.DispatchTouchEventTypeTouchMove, fingers(apart)...)
	}
	touch(input.DispatchTouchEventTypeTouchEnd)
	p.until(fmt.Sprintf(`relayConsole.zoom() > %f`, zoom*1.2))
}

func TestAStoppedConsoleIsReported(t *testing.T) {
	p := open(t, consoletest.Relay{}, desk)
	p.investigate("198.51.100.23")
	eval[chromedp.Void](p, `{ globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch'));
		location.hash = '#ip=192.0.2.1'; }`)
	p.until(`document.getElementById('status').textContent.includes('The console does not answer')`)
	assert.True(t, p.is(`document.getElementById('results').hidden`),
		"an earlier answer does not pass for this one")
}

// value is the text of an accessible property.
func value(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) != nil {
		return ""
	}
	return s
}
