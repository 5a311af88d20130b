// Brings the parts of the page together.

import { investigate } from './api.js';
import { createDetails } from './details.js';
import { badge, bdi, count, el } from './dom.js';
import { createGraph } from './graph.js';
import { buildModel, keyOf, narrow } from './model.js';
import { createObservables } from './observables.js';
import { drawCost, drawRaw, drawReferences, milliseconds } from './sources.js';
import { createTable, indicatorColumns, judgementColumns, sightingColumns } from './tables.js';
import { createTimeline } from './timeline.js';

const $ = (id) => document.getElementById(id);
const wide = matchMedia('(min-width: 1000px)');

let model = null;
let asking = null;
let opener = null; // what had the focus before the details took it

const filters = { severities: new Set(), states: new Set(), query: '', span: null };

const details = createDetails({
  box: $('details'), model: () => model,
  actions: {
    node: (key) => openNode(key), sighting: openSighting, judgement: (id) => openEntity('judgement', id), indicator: (id) => openEntity('indicator', id), close: closeDetails,
    search(text) {
      selectTab('sightings');
      tables.sightings.search(text);
      if (!wide.matches) closeDetails();
      $('filter-sighting').focus();
    },
  },
});

const graph = createGraph({ canvas: $('graph'), outline: $('outline'), legend: $('legend'), open: (key) => openNode(key) });
const timeline = createTimeline({ canvas: $('timeline'), facets: $('facets'), none: $('timeline-none'), filters, open: openSighting, filtered: () => { tables.sightings.render(); drawTimelineSoon(); } });
const tables = {
  sightings: createTable({
    pane: $('pane-sightings'), name: 'sighting', columns: sightingColumns, open: (s) => openSighting(s.id),
    match: (rows) => narrow(rows, filters),
    typed(query) { filters.query = query; drawTimelineSoon(); },
  }),
  judgements: createTable({ pane: $('pane-judgements'), name: 'judgement', columns: judgementColumns, open: (j) => openEntity('judgement', j.id) }),
  indicators: createTable({ pane: $('pane-indicators'), name: 'indicator', columns: indicatorColumns, open: (i) => openEntity('indicator', i.id) }),
};

const observables = createObservables({
  field: $('text'), chips: $('chips'), empty: $('chips-empty'), counter: $('chips-count'),
  changed(asked) { $('investigate').disabled = asked.length === 0; },
  failed: (error) => say(error.message, true),
});

const drawTimeline = () => { if (model) timeline.draw(narrow(model.sightings, filters)); };
let soon = 0;
function drawTimelineSoon() { // the table answers to each key, the drawing when there is time for it
  cancelAnimationFrame(soon);
  soon = requestAnimationFrame(drawTimeline);
}

function say(text, wrong = false) {
  $('status').textContent = text;
  $('status').classList.toggle('wrong', wrong);
}

async function run() {
  await observables.settled();
  const asked = observables.asked();
  if (asked.length === 0) return;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  $('investigate').textContent = 'Investigating…';
  document.body.setAttribute('aria-busy', 'true');
  say(`Asking the relay about ${count(asked.length, 'observable')}…`);
  try {
    const answer = await investigate(asked, mine.signal);
    if (mine.signal.aborted) return;
    draw(answer, asked);
  } catch (error) {
    if (!mine.signal.aborted) say(error.message, true);
  } finally {
    if (asking === mine) {
      asking = null;
      $('investigate').textContent = 'Investigate';
      document.body.removeAttribute('aria-busy');
    }
  }
}

function draw(answer, asked) {
  const started = performance.now();
  model = buildModel(answer, asked);
  filters.severities.clear();
  filters.states.clear();
  filters.query = '';
  filters.span = null;
  opener = null;
  $('results').hidden = false;
  $('results').classList.toggle('nothing', model.sightings.length === 0 && model.judgements.length === 0);
  drawNotices();
  drawSummary();
  graph.draw(model);
  timeline.drawFacets(model.sightings);
  for (const name of ['sightings', 'judgements', 'indicators']) {
    tables[name].show(model[name]);
    $(`tab-${name}`).replaceChildren(`${name[0].toUpperCase()}${name.slice(1)} `, el('span', { class: 'count' }, model[name].length.toLocaleString('en')));
  }
  $('tab-references').replaceChildren('References ', el('span', { class: 'count' }, model.references.length.toLocaleString('en')));
  drawTimeline();
  drawReferences($('pane-references'), model.references);
  drawRaw($('pane-raw'), answer);
  drawCost($('pane-cost'), model.cost);
  selectTab('sightings');
  details.empty();
  performance.measure('draw', { start: started });
  const s = model.summary;
  if ($('status').getBoundingClientRect().top > innerHeight * 0.6) $('status').scrollIntoView({ block: 'start' });
  say(s.sightings ? `${count(s.sightings, 'sighting')} on ${count(s.hosts.length, 'host')}, worst severity ${s.worst}.` : model.notices.some((n) => n.type !== 'warning') ? 'The investigation failed.' : 'Qualys has seen none of this.');
}

function drawNotices() {
  const words = { fatal: 'Failure', error: 'Error', warning: 'Warning' };
  $('notices').replaceChildren(...model.notices.map((n) => el('div', { class: `notice ${n.type}` },
    el('strong', null, el('span', { class: 'mark', 'aria-hidden': 'true' }, n.type === 'warning' ? '!' : '✕'), `${words[n.type]}: `, bdi(n.heading, 60)),
    el('p', null, bdi(n.message, 400)), n.help ? el('p', { class: 'muted' }, n.help) : null)));
}

function drawSummary() {
  const s = model.summary;
  const tile = (name, figure, ...below) => el('div', { class: 'tile' }, el('h2', null, name), el('p', { class: 'figure' }, figure), el('p', { class: 'below' }, below));
  const tallied = (tally, kind) => Object.entries(tally).map(([word, n]) => el('span', { class: 'tally' }, badge(word, kind), ' ', n.toLocaleString('en')));
  const judged = s.verdictCount ? s.verdicts : s.judgements;
  $('summary').replaceChildren(
    tile('Sightings', s.sightings.toLocaleString('en'), s.sightings ? `${s.active.toLocaleString('en')} active, ${s.historical.toLocaleString('en')} historical` : 'Qualys has no event about these'),
    tile('Worst severity', s.worst ? badge(s.worst, 's') : '–', s.worst ? `in ${count(s.worstCount, 'sighting')}` : ''),
    tile('Hosts affected', s.hosts.length.toLocaleString('en'), s.hosts.slice(0, 3).map((h, i) => [i ? ', ' : null, el('button', { type: 'button', class: 'link', onclick: () => openNode(h.key) }, bdi(h.label, 24))]), s.hosts.length > 3 ? ` and ${(s.hosts.length - 3).toLocaleString('en')} more` : ''),
    tile(s.verdictCount ? 'Verdicts' : 'Judgements', Object.keys(judged).length ? tallied(judged, 'd') : '–', s.threats.length ? [bdi(s.threats[0], 60), s.threats.length > 1 ? ` and ${s.threats.length - 1} more` : ''] : Object.keys(judged).length ? '' : 'Qualys judged none of these'),
    tile('Cost', milliseconds(model.cost.milliseconds), `${count(model.cost.calls, 'call')} to Qualys`),
  );
}

// opening remembers where the focus was, so that closing leads back there.
function opening() {
  if (!$('details').contains(document.activeElement)) opener = document.activeElement;
}

function openNode(key) {
  const node = graph.nodeOf(key) ?? model.nodes.get(key);
  if (!node) return;
  opening();
  graph.choose(key);
  unmark();
  details.node(node, true);
}

function openSighting(id) {
  const s = model.sightings.find((x) => x.id === id);
  if (!s) return;
  opening();
  graph.choose(...[...s.observables, ...s.relations.flatMap((r) => [r.source, r.related])].map(keyOf), ...s.hosts.map((h) => h.key));
  unmark();
  timeline.choose(id);
  tables.sightings.mark(id);
  details.sighting(s, true);
}

function openEntity(kind, id) {
  const entity = model[`${kind}s`].find((x) => x.id === id);
  if (!entity) return;
  opening();
  graph.choose();
  unmark();
  tables[`${kind}s`].mark(id);
  details[kind](entity, true);
}

function unmark() {
  timeline.choose('');
  for (const table of Object.values(tables)) table.mark('');
}

function closeDetails() {
  graph.choose();
  unmark();
  details.empty();
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}

const tabs = [...document.querySelectorAll('[role=tab]')];
function selectTab(name, focus = false) {
  for (const tab of tabs) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute('aria-selected', String(on));
    tab.tabIndex = on ? 0 : -1;
    $(tab.getAttribute('aria-controls')).hidden = !on;
    if (on && focus) tab.focus();
  }
}
tabs.forEach((tab, i) => {
  tab.addEventListener('click', () => selectTab(tab.id.slice(4)));
  tab.addEventListener('keydown', (event) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    selectTab(tabs[(to + tabs.length) % tabs.length].id.slice(4), true);
  });
});

$('investigate').addEventListener('click', run);
$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
$('clear').addEventListener('click', async () => {
  await observables.set('');
  $('text').focus();
});
for (const button of document.querySelectorAll('.example')) button.addEventListener('click', () => observables.set(button.dataset.text));
$('zoom-in').addEventListener('click', graph.zoomIn);
$('zoom-out').addEventListener('click', graph.zoomOut);
$('zoom-fit').addEventListener('click', graph.fit);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && $('details').classList.contains('is-open')) closeDetails();
});

// A reload keeps the text in the field in some browsers.
if ($('text').value) observables.set($('text').value);

// For the browser test, which clicks on what is drawn.
globalThis.relayConsole = { positionOf: graph.positionOf };
