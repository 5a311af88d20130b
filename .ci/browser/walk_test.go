package browser

import (
	"encoding/json"
	"fmt"
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

func TestAnAnalystReadsTheStory(t *testing.T) {
	p := open(t, consoletest.Story(), desk)

	p.paste(consoletest.Report() + "\nand 192.0.2.77, evil.zip")
	assert.Equal(t, "11", p.text("#chips-count"))

	// A chip is removed and another retyped.
	p.click(`button[aria-label="Remove 192.0.2.77"]`)
	assert.Equal(t, "10", p.text("#chips-count"))
	assert.True(t, p.is(`document.activeElement.classList.contains('remove')`), "the focus goes on to the next chip")
	p.do(chromedp.SendKeys(chromedp.CSS(`select[aria-label="Type of evil.zip"]`), "Domain"))
	assert.True(t, p.is(`document.querySelector('select[aria-label="Type of evil.zip"]').value === 'domain'`))

	// Ctrl+Enter in the text asks.
	p.focus("#text")
	p.press(kb.Enter, kb.ModifierCtrl)
	p.shown("#results")
	assert.Equal(t, 1, p.asked("/api/investigate"))
	assert.Equal(t, "21 sightings on 3 hosts, worst severity High.", p.text("#status"))

	summary := p.text("#summary")
	for _, part := range []string{"21 9 active, 12 historical", "High", "3 WS-041, LAP-117, SRV-FILE-02", "Malicious", "3 calls to Qualys"} {
		assert.Contains(t, summary, part)
	}

	// A node of the drawing opens its details.
	p.clickNode("domain|cdn-update.example")
	assert.Equal(t, "cdn-update.example", p.text("#details h2"))
	details := p.text("#details")
	for _, part := range []string{"Domain", "resolved to →", "203.0.113.45", "← connected to", "winupd-svc.exe", "seen on →", "WS-041"} {
		assert.Contains(t, details, part)
	}
	assert.Equal(t, "domain|cdn-update.example", p.attribute(`#outline [aria-current]`, "data-key"))
	assert.True(t, p.is(`document.activeElement === document.querySelector('#details h2')`), "the focus is where the news is")

	// From there to a neighbour, and back out with Escape.
	p.clickPath(`//aside//button[contains(., "203.0.113.45")]`)
	assert.Equal(t, "203.0.113.45", p.text("#details h2"))
	p.press(kb.Escape)
	assert.Contains(t, p.text("#details"), "Choose a node")

	// Without a mouse: the outline's button does the same, and Escape leads back to it.
	host := `#outline button[data-key="host|WS-041"]`
	p.focus(host)
	p.press(kb.Enter)
	assert.Equal(t, "WS-041", p.text("#details h2"))
	assert.Contains(t, p.text("#details"), "Microsoft Windows 11 Pro")
	assert.Contains(t, p.text("#details"), "2001:db8:10::41")
	p.press(kb.Escape)
	assert.True(t, p.is(`document.activeElement.dataset.key === 'host|WS-041'`))

	// The table: filter, sort, open.
	p.filter("sighting", "srv-file-02")
	assert.Equal(t, 2, p.rows("sightings"))
	assert.Contains(t, p.text("#pane-sightings .table-bar"), "2 of 21 sightings")
	p.click(`#pane-sightings button[aria-label="Sort by Severity"]`)
	assert.Equal(t, "descending", p.attribute(`#pane-sightings th[aria-sort]`, "aria-sort"))
	assert.Contains(t, p.text("#pane-sightings tbody tr"), "Low")
	p.click(`#pane-sightings button[aria-label="Sort by Severity"]`)
	assert.Contains(t, p.text("#pane-sightings tbody tr"), "None")
	p.focus("#pane-sightings tbody button")
	p.press(kb.Enter)
	details = p.text("#details")
	for _, part := range []string{"File created on SRV-FILE-02", "Active", "archiver.exe", "file name of →", "Known Good File event", "Clean", "Open in Qualys"} {
		assert.Contains(t, details, part)
	}
	p.filter("sighting", "")
	assert.Equal(t, 21, p.rows("sightings"))

	// The facets filter the table and the timeline.
	p.clickPath(`//div[@id="facets"]//button[contains(., "Active")]`)
	assert.Equal(t, 9, p.rows("sightings"))
	p.until(`document.getElementById('timeline').getAttribute('aria-label').includes('of 9 sightings')`)
	p.clickPath(`//div[@id="facets"]//button[contains(., "High")]`)
	assert.Equal(t, 6, p.rows("sightings"))

	// The tabs, by arrow keys.
	p.focus("#tab-sightings")
	p.press(kb.ArrowRight)
	assert.Equal(t, "tab-judgements", p.focused())
	assert.Equal(t, 17, p.rows("judgements"))
	p.filter("judgement", "suspicious double")
	assert.Equal(t, 2, p.rows("judgements"))
	p.click("#pane-judgements tbody button")
	assert.Equal(t, "Suspicious double extension", p.text("#details h2"))
	p.focus("#tab-judgements")
	p.press(kb.ArrowRight)
	assert.Equal(t, 17, p.rows("indicators"))
	p.press(kb.ArrowRight)
	assert.Equal(t, "tab-references", p.focused())
	links := eval[[]struct{ Href, Rel, Target string }](p, `[...document.querySelectorAll('#pane-references a')].map((a) => ({ href: a.href, rel: a.rel, target: a.target }))`)
	require.Len(t, links, 8)
	for _, l := range links {
		assert.True(t, strings.HasPrefix(l.Href, "https://qualysguard.qg2.apps.qualys.com/ioc/#/hunting?search="), l.Href)
		assert.Equal(t, "noopener noreferrer", l.Rel)
		assert.Equal(t, "_blank", l.Target)
	}
	p.press(kb.ArrowRight)
	p.click("#pane-raw summary")
	p.shown("#pane-raw pre")
	assert.Contains(t, p.text("#pane-raw pre"), `"sightings": {`)
	p.press(kb.Tab) // from the summary to the copy button
	p.focus("#tab-raw")
	p.press(kb.ArrowRight)
	assert.Contains(t, p.text("#pane-cost"), "/deliberate/observables 200")
}

func TestNothingFound(t *testing.T) {
	p := open(t, consoletest.Empty(), desk)
	p.clickPath(`//button[contains(., "Quiet")]`)
	p.shown("#chips .chip")
	p.click("#investigate")
	p.shown("#results")
	assert.Equal(t, "Qualys has seen none of this.", p.text("#status"))
	assert.Contains(t, p.text("#pane-sightings"), "No sightings.")
	assert.Contains(t, p.text("#outline"), "nothing-here.example", "what was asked for is still shown")
	p.clickNode("ip|192.0.2.200")
	assert.Contains(t, p.text("#details"), "Sightings none")
}

func TestErrorsAreSaidInPlainWords(t *testing.T) {
	p := open(t, consoletest.Partial(), desk)
	p.investigate(consoletest.Report())
	notices := p.text("#notices")
	for _, part := range []string{
		"Error: Unexpected failure", "500 Internal Server Error", "Warning: Rate limit reached", "Ask again in a few minutes", "Warning: Cut short",
		"Warning: No verdicts", "The relay does not answer this question (HTTP 404)",
	} {
		assert.Contains(t, notices, part)
	}
	assert.Less(t, strings.Index(notices, "Error:"), strings.Index(notices, "Warning:"), "the worst first")
	assert.Equal(t, 7, p.rows("sightings"), "what was found stays")
	assert.Contains(t, p.text("#summary"), "Judgements", "without verdicts the judgements speak")
}

func TestHostileEventsAreShownAsText(t *testing.T) {
	p := open(t, consoletest.Hostile(), desk)
	p.investigate(consoletest.Report())
	assert.Contains(t, p.text("#notices"), "<img src=x onerror")
	assert.Contains(t, p.text("#pane-sightings tbody"), "<img src=x")

	t.Run("a long value is cut, and whole on demand", func(t *testing.T) {
		p.clickPath(`//table[@aria-label="Sightings"]//tr[contains(., "aaaaaaaa")]//button`)
		p.clickPath(`//aside//section[contains(., "Observables")]//button`)
		length := func() int { return eval[int](p, `document.querySelector('#details h2 bdi').textContent.length`) }
		assert.Less(t, length(), 200)
		p.clickPath(`//aside//h2//button[contains(., "Show all 10,000 characters")]`)
		assert.Equal(t, 10_000, length())
		assert.False(t, p.is(`document.documentElement.scrollWidth > innerWidth`), "the page is not wider than the window")
	})
	t.Run("marks that turn the reading direction are named", func(t *testing.T) {
		p.clickPath(`//table[@aria-label="Sightings"]//tr[contains(., "fdp.exe")]//button`)
		assert.Contains(t, p.text("#details"), "invoiceU+202Efdp.exe")
		assert.False(t, p.is(`document.body.textContent.includes('\u202e')`))
	})
	t.Run("every view is opened and nothing runs", func(t *testing.T) {
		for i := range eval[int](p, `document.querySelectorAll('#outline button').length`) {
			eval[chromedp.Void](p, fmt.Sprintf(`document.querySelectorAll('#outline button')[%d].click()`, i))
			assert.NotEmpty(t, p.text("#details h2"))
		}
		for _, name := range []string{"judgements", "indicators", "references", "raw"} {
			p.click("#tab-" + name)
			eval[chromedp.Void](p, `document.querySelectorAll('details').forEach((d) => { d.open = true; })`)
			if name == "judgements" || name == "indicators" {
				p.click("#pane-" + name + " tbody button")
				assert.Contains(t, p.text("#details"), "<img src=x")
			}
		}
		p.until(`document.querySelectorAll('#pane-raw pre').length === 3`)
		assert.False(t, p.is(`'hostile' in globalThis`), "a script of the answer ran")
		assert.True(t, p.is(`document.querySelectorAll('main img, main svg, main script, main iframe').length === 0`), "markup of the answer became elements")
		assert.True(t, p.is(`[...document.querySelectorAll('a')].every((a) => /^https?:/.test(a.href))`), "a link that is none")
		assert.True(t, p.is(`[...document.querySelectorAll('#pane-references li')].some((li) => li.textContent.includes('javascript:') && !li.querySelector('a'))`), "an address that is a script is shown as text")
	})
}

func TestEveryControlHasAName(t *testing.T) {
	p := open(t, consoletest.Story(), desk)
	p.investigate(consoletest.Report() + " 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
	p.clickNode("domain|cdn-update.example")
	controls := map[string]bool{"button": true, "link": true, "textbox": true, "searchbox": true, "combobox": true, "tab": true, "tabpanel": true, "img": true, "table": true, "group": false, "navigation": true, "complementary": true, "region": true, "listbox": true, "image": true, "DisclosureTriangle": true}
	seen := map[string]int{}
	for _, name := range []string{"sightings", "judgements", "indicators", "references", "raw", "cost"} {
		p.click("#tab-" + name)
		eval[chromedp.Void](p, `document.querySelectorAll('#pane-raw details').forEach((d) => { d.open = true; })`)
		for _, n := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			role := value(n.Role)
			if n.Ignored || !controls[role] {
				continue
			}
			seen[role]++
			assert.NotEmpty(t, strings.TrimSpace(value(n.Name)), "a %s without a name on the tab %s (DOM node %d)", role, name, n.BackendDOMNodeID)
		}
	}
	t.Logf("controls seen: %v", seen)
	assert.Greater(t, seen["button"], 100)
	assert.Positive(t, seen["combobox"])
	assert.Positive(t, seen["link"])
	assert.True(t, p.is(`[...document.querySelectorAll('[id]')].every((e) => document.querySelectorAll('#' + CSS.escape(e.id)).length === 1)`), "an id is given twice")
}

func TestAThousandSightingsStayUsable(t *testing.T) {
	const n = 1000
	p := open(t, consoletest.Many(n), desk)
	p.investigate(consoletest.Report())
	assert.Equal(t, "1,000 sightings on 200 hosts, worst severity High.", p.text("#status"))
	assert.Equal(t, 50, p.rows("sightings"), "a page of rows")
	assert.Contains(t, p.text("#outline"), "and 1", "the graph gathers what is too much")

	figures := eval[struct{ Draw, Filter, Painted, Sort, Turn, Facet float64 }](p, `(async () => {
		const timed = (act) => { const from = performance.now(); act(); document.body.getBoundingClientRect(); return performance.now() - from; };
		const frame = () => new Promise(requestAnimationFrame);
		const settle = async () => { await frame(); await frame(); };
		const field = document.getElementById('filter-sighting');
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
		figures.turn = timed(() => document.querySelector('[aria-label="Next page of sightings"]').click());
		figures.facet = timed(() => document.querySelector('#facets [aria-pressed]').click());
		return figures;
	})()`)
	t.Logf("%d sightings: drawn in %.0f ms; filtered in %.1f ms, with the timeline on the screen after %.0f ms; sorted in %.1f ms, page turned in %.1f ms, narrowed to one severity in %.1f ms",
		n, figures.Draw, figures.Filter, figures.Painted, figures.Sort, figures.Turn, figures.Facet)

	p.filter("sighting", "ws-013")
	assert.Less(t, p.rows("sightings"), 50)
	p.clickPath(`//nav[@id="outline"]//button[contains(., "more hosts")]`)
	assert.Contains(t, p.text("#details h2"), "more hosts")
}

// The view model is pure, so it is asked directly, in the page's own engine.
func TestModel(t *testing.T) {
	p := open(t, consoletest.Story(), desk)
	for name, c := range map[string]struct{ js, want string }{
		"nothing at all is an empty model": {
			`(({ sightings, nodes, edges, notices, summary }) => [sightings.length, nodes.size, edges.length, notices.length, summary.worst])(m.buildModel({}, []))`, `[0,0,0,0,""]`,
		},
		"odd parts are passed over": {
			`(({ sightings }) => [sightings.length, sightings[0].state, sightings[0].severity, sightings[0].title])(m.buildModel({ observe: { data: { sightings: { docs: [null, 7, { targets: 'x', relations: [{}], data: { columns: 3 }, severity: 'Odd' }] }, indicators: 1 }, errors: 'x' } }, []))`, `[1,"Unknown","Unknown","Sighting"]`,
		},
		"a later judgement of the same priority wins": {
			`(({ nodes }) => nodes.get('ip|192.0.2.1').disposition)(m.buildModel({ observe: { data: { judgements: { docs: [
				{ id: 'a', observable: o, disposition: 2, priority: 90, valid_time: { start_time: '2026-01-01T00:00:00Z' } },
				{ id: 'b', observable: o, disposition: 1, priority: 90, valid_time: { start_time: '2026-01-02T00:00:00Z' } }] } } } }, [o]))`, `"Clean"`,
		},
		"a judgement of higher priority wins over a later one": {
			`(({ nodes }) => nodes.get('ip|192.0.2.1').disposition)(m.buildModel({ observe: { data: { judgements: { docs: [
				{ id: 'a', observable: o, disposition: 2, priority: 95, valid_time: { start_time: '2026-01-01T00:00:00Z' } },
				{ id: 'b', observable: o, disposition: 1, priority: 90, valid_time: { start_time: '2026-01-02T00:00:00Z' } }] } } } }, [o]))`, `"Malicious"`,
		},
		"at the same time CTIM's order decides": {
			`(({ nodes }) => nodes.get('ip|192.0.2.1').disposition)(m.buildModel({ observe: { data: { judgements: { docs: [
				{ id: 'a', observable: o, disposition: 3, priority: 90 }, { id: 'b', observable: o, disposition: 2, priority: 90 }] } } } }, [o]))`, `"Malicious"`,
		},
		"a verdict wins over every judgement": {
			`(({ nodes }) => [nodes.get('ip|192.0.2.1').disposition, nodes.get('ip|192.0.2.1').judged])(m.buildModel({ observe: { data: { judgements: { docs: [
				{ id: 'a', observable: o, disposition: 2, priority: 100 }] } } }, deliberate: { data: { verdicts: { docs: [{ observable: o, disposition: 1 }] } } } }, [o]))`, `["Clean","verdict"]`,
		},
		"equal errors are said once, the worst first": {
			`m.buildModel({ observe: { errors: [{ type: 'warning', code: 'too many requests', message: 'x' }, { type: 'fatal', code: 'authorization error', message: 'y' }] }, refer: { errors: [{ type: 'fatal', code: 'authorization error', message: 'y' }] } }, []).notices.map((n) => [n.type, n.heading, n.endpoints.join()])`,
			`[["fatal","Not authorised","observe,refer"],["warning","Rate limit reached","observe"]]`,
		},
		"hashes and domains are the same in any case": {
			`[m.keyOf({ type: 'md5', value: 'AB' }), m.keyOf({ type: 'domain', value: 'A.Example' }), m.keyOf({ type: 'mutex', value: 'A' })]`, `["md5|ab","domain|a.example","mutex|A"]`,
		},
		"the graph is capped, and what is left out is counted": {
			`(({ nodes, edges }) => [nodes.length, nodes.at(-1).label, edges.length])(l.select(m.buildModel({ observe: { data: { sightings: { docs: Array.from({ length: 20 }, (_, i) => ({ id: 's' + i, observables: [o], targets: [{ observables: [{ type: 'hostname', value: 'h' + i }] }] })) } } } }, [o]), { most: 6, each: 12 }))`, `[7,"and 15 more hosts",6]`,
		},
		"only web addresses become links": {
			`['https://a.example/', 'http://a.example/', 'javascript:alert(1)', 'data:text/html,x', ' JaVaScRiPt:x', 'file:///etc/passwd', '//a.example', 'x'].map((u) => d.safeURL(u) !== null)`, `[true,true,false,false,false,false,false,false]`,
		},
		"unseen characters are named": {
			`d.plain('a\u202eb\u0000\u200b')`, `"a[U+202E]b[U+0000][U+200B]"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := eval[[]byte](p, `(async () => { const [m, l, d] = await Promise.all(['model', 'layout', 'dom'].map((n) => import('/assets/' + n + '.js'))); const o = { type: 'ip', value: '192.0.2.1' }; return `+c.js+`; })()`)
			assert.JSONEq(t, c.want, string(got))
		})
	}
}

func TestASpanOfTheTimelineFilters(t *testing.T) {
	p := open(t, consoletest.Story(), desk)
	p.investigate(consoletest.Report())
	p.do(chromedp.ScrollIntoView(chromedp.CSS("#timeline")))
	box := eval[struct{ Left, Top, Width float64 }](p, `(() => { const { left, top, width } = document.getElementById('timeline').getBoundingClientRect(); return { left, top, width }; })()`)
	p.do(chromedp.DragAndDropXY(box.Left+box.Width*0.5, box.Top+30, box.Left+box.Width*0.99, box.Top+60, 5))
	assert.Equal(t, 20, p.rows("sightings"), "all of the second day")
	p.clickPath(`//div[@id="facets"]//button[contains(., "Show the whole time")]`)
	assert.Equal(t, 21, p.rows("sightings"))
}

func TestTheChosenThemeStays(t *testing.T) {
	p := open(t, consoletest.Story(), desk)
	assert.Equal(t, "Theme: as the system", p.attribute("#theme", "aria-label"))
	p.click("#theme")
	p.click("#theme")
	p.until(`document.getElementById('theme').getAttribute('aria-label') === 'Theme: dark'`)
	p.do(chromedp.Navigate(p.url))
	p.until(`document.documentElement.dataset.theme === 'dark' && document.getElementById('theme').getAttribute('aria-label') === 'Theme: dark'`)
}

func TestAFingerOnTheGraphScrollsThePage(t *testing.T) {
	p := open(t, consoletest.Story(), view{width: 390, height: 844})
	call(p, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
	p.investigate(consoletest.Report())
	eval[chromedp.Void](p, `document.getElementById('graph').scrollIntoView({ block: 'center' })`)
	p.frames()
	before := eval[float64](p, `scrollY`)
	touch := func(kind input.DispatchTouchEventType, at ...*input.TouchPoint) {
		call(p, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: append([]*input.TouchPoint{}, at...)})
	}
	touch(input.DispatchTouchEventTypeTouchStart, &input.TouchPoint{X: 195, Y: 420})
	for y := 410.0; y > 150; y -= 10 {
		touch(input.DispatchTouchEventTypeTouchMove, &input.TouchPoint{X: 195, Y: y})
	}
	touch(input.DispatchTouchEventTypeTouchEnd)
	p.until(fmt.Sprintf(`scrollY > %f`, before+100))
	p.frames()
	assert.False(t, p.is(`document.getElementById('details').classList.contains('is-open')`), "it was no tap")
}

func TestAStoppedConsoleIsReported(t *testing.T) {
	p := open(t, consoletest.Story(), desk)
	p.paste("203.0.113.45")
	eval[chromedp.Void](p, `(() => { globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch')); document.getElementById('investigate').click(); })()`)
	p.until(`document.getElementById('status').textContent.includes('The console does not answer')`)
	assert.Equal(t, "Investigate", p.text("#investigate"))
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
