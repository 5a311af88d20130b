// Brings the parts of the page together.

import { investigate } from './api.js';
import { createDetails } from './details.js';
import { badge, bdi, button, clip, count, el, number, plain } from './dom.js';
import { csv, download, json } from './export.js';
import { createGraph } from './graph.js';
import { buildModel, keyOf, narrow, typeName, unique } from './model.js';
import { createQuestion, decode, encode } from './question.js';
import { drawCost, drawRaw, drawReferences, milliseconds } from './sources.js';
import { createTable, eventColumns, indicatorColumns, judgementColumns } from './tables.js';
import { createTiles } from './tiles.js';
import { createTimeline } from './timeline.js';

const $ = (id) => document.getElementById(id);
const wide = matchMedia('(min-width: 1000px)');
const keptAnswers = 20; // for the way back, which asks nobody

const greeting = $('status').textContent;

let model = null;
let answered = null; // what the model was made from
let asking = null;
let again = false; // the question was put by a person just now: it is asked even where an answer is kept
let opener = null; // what had the focus before the details took it
const trail = []; // {hash, label} of the questions on the way here
let here = -1; // the present one's place in the trail
const kept = new Map(); // hash -> answer

const filters = { severities: new Set(), states: new Set(), query: '', span: null };

const details = createDetails({
  box: $('details'), model: () => model,
  go: {
    node: openNode, edge: openEdge, event: openEvent, judgement: (id) => openEntity('judgement', id),
    indicator: (id) => openEntity('indicator', id), close: closeDetails,
    investigate: ask, add: (more) => ask(unique([...decode(location.hash), ...more])),
    filter(text) {
      selectTab('events');
      tables.events.search(text);
      if (!wide.matches) closeDetails();
      $('filter-event').focus();
    },
  },
});
const graph = createGraph({
  canvas: $('graph'), outline: $('outline'), legend: $('legend'), openNode, openEdge,
});
const timeline = createTimeline({
  canvas: $('timeline'), facets: $('facets'), none: $('timeline-none'), filters, open: openEvent,
  filtered: () => { tables.events.render(); drawTimelineSoon(); },
});
const tables = {
  events: createTable({
    pane: $('pane-events'), name: 'event', columns: eventColumns, open: (e) => openEvent(e.id),
    match: (rows) => narrow(rows, filters),
    typed(query) { filters.query = query; drawTimelineSoon(); },
  }),
  judgements: createTable({
    pane: $('pane-judgements'), name: 'judgement', columns: judgementColumns,
    open: (j) => openEntity('judgement', j.id),
  }),
  indicators: createTable({
    pane: $('pane-indicators'), name: 'indicator', columns: indicatorColumns,
    open: (i) => openEntity('indicator', i.id),
  }),
};
createTiles({ panel: $('dashboard'), period: $('period'), box: $('tiles'), status: $('tiles-status') });
const question = createQuestion({
  field: $('text'), chips: $('chips'), empty: $('chips-empty'), omitted: $('skipped'), counter: $('chips-count'),
  changed(asked) {
    $('investigate').disabled = asked.length === 0;
    $('question').replaceChildren(...(asked.length
      ? [count(asked.length, 'observable'), ': ', ...labelOf(asked)] : []));
  },
  failed: (error) => say(error.message, true),
});

const labelOf = (asked) =>
  [bdi(asked[0].value, 32), asked.length > 1 ? ` and ${number(asked.length - 1)} more` : ''];

const drawTimeline = () => { if (model) timeline.draw(narrow(model.events, filters)); };
let soon = 0;
function drawTimelineSoon() { // the table answers to each key, the drawing when there is time for it
  cancelAnimationFrame(soon);
  soon = requestAnimationFrame(drawTimeline);
}

function say(text, wrong = false) {
  $('status').textContent = text;
  $('status').classList.toggle('wrong', wrong);
}

// ask puts a question: it becomes the page's fragment, which follow answers.
function ask(asked) {
  if (asked.length === 0) return;
  const hash = `#${encode(asked)}`;
  again = true;
  if (location.hash === hash) follow();
  else location.hash = hash;
}

// follow shows what the fragment asks for, whoever put it there: ask, a reload, a bookmark, the way back.
async function follow() {
  const anew = again;
  again = false;
  const { hash } = location;
  const asked = decode(hash);
  if (asked.length === 0) {
    clear();
    return;
  }
  let i = trail.findIndex((t) => t.hash === hash);
  if (i < 0) {
    trail.length = here + 1;
    i = trail.push({ hash, asked }) - 1;
  }
  here = i;
  drawTrail();
  asking?.abort();
  if (encode(question.asked()) !== encode(asked)) await question.set('', asked);
  if (location.hash !== hash) return; // somebody was faster
  if (!anew && kept.has(hash)) show(kept.get(hash), asked);
  else await run(asked, hash);
}

async function run(asked, hash) {
  const mine = new AbortController();
  asking = mine;
  document.body.setAttribute('aria-busy', 'true');
  say(`Asking the relay about ${count(asked.length, 'observable')}…`);
  try {
    const answer = await investigate(asked, mine.signal);
    if (mine.signal.aborted) return;
    kept.delete(hash);
    // another try may get what failed
    if (answer.problems.every((p) => p.type === 'note')) kept.set(hash, answer);
    if (kept.size > keptAnswers) kept.delete(kept.keys().next().value);
    show(answer, asked);
  } catch (error) {
    if (mine.signal.aborted) return;
    hide(); // an earlier answer must not pass for this one
    say(error.message, true);
  } finally {
    if (asking === mine) {
      asking = null;
      document.body.removeAttribute('aria-busy');
    }
  }
}

function hide() {
  model = null;
  $('results').hidden = true;
  $('notices').replaceChildren();
}

async function clear() {
  asking?.abort();
  asking = null;
  document.body.removeAttribute('aria-busy');
  hide();
  $('ask').open = true;
  document.title = 'Qualys relay console';
  say(greeting);
  await question.set('');
}

function drawTrail() {
  $('back').hidden = here < 1;
  $('trail').replaceChildren(...(trail.length < 2 ? [] : trail.map((t, i) => (
    el('li', null, el('a', { href: t.hash, 'aria-current': i === here ? 'page' : null },
      labelOf(t.asked)))))));
}

function show(answer, asked) {
  const started = performance.now();
  answered = answer;
  model = buildModel(answer, asked);
  unmark();
  filters.severities.clear();
  filters.states.clear();
  filters.query = '';
  filters.span = null;
  opener = null;
  $('ask').open = false;
  document.title = `${plain(clip(asked[0].value, 40))} – Qualys relay console`;
  $('results').hidden = false;
  $('results').classList.toggle('nothing', model.events.length === 0 && model.judgements.length === 0);
  drawNotices();
  drawSummary();
  graph.draw(model);
  timeline.drawFacets(model.events);
  const heading = (name, n) => $(`tab-${name}`).replaceChildren(
    `${name[0].toUpperCase()}${name.slice(1)} `, el('span', { class: 'count' }, n));
  for (const name of ['events', 'judgements', 'indicators']) {
    const lost = model.missing.events && model[name].length === 0;
    tables[name].show(model[name], lost ? 'Not known: the search failed.' : '');
    heading(name, lost ? '?' : number(model[name].length));
  }
  heading('references', number(model.references.length));
  drawTimeline();
  drawReferences($('pane-references'), model.references);
  drawRaw($('pane-raw'), answer);
  drawCost($('pane-cost'), model.cost);
  selectTab('events');
  details.empty();
  performance.measure('draw', { start: started });
  scrollTo(0, 0);
  const s = model.summary;
  const incomplete = model.missing.events;
  if (s.events) {
    say(`${count(s.events, 'event')} on ${count(s.hosts.length, 'host')}, worst severity ${s.worst}.`
      + `${incomplete ? ' There may be more: not all could be searched.' : ''}`);
  } else if (incomplete) say('Not known: the search failed, or a part of it.', true);
  else say('Qualys has no event about this.');
}

const noticesShown = 20;

function drawNotices() {
  const kinds = { fatal: ['✕', 'Failure'], error: ['✕', 'Error'], warning: ['!', 'Warning'],
    note: ['i', 'Note'] };
  const weight = (n) => Object.keys(kinds).indexOf(n.type);
  const concerned = { observe: 'events', deliberate: 'verdicts', refer: 'links' };
  const all = model.notices.toSorted((a, b) => weight(a) - weight(b));
  $('notices').replaceChildren(...all.slice(0, noticesShown).map((n) => {
    const [mark, word] = kinds[n.type];
    return el('div', { class: `notice ${n.type}` },
      el('strong', null, el('span', { class: 'mark', 'aria-hidden': 'true' }, mark), `${word}: `,
        bdi(n.heading, 60)),
      el('p', null, n.endpoints.length
        ? el('span', { class: 'concerns' }, n.endpoints.map((e) => concerned[e]).join(', ')) : null,
      bdi(n.message, 400)), n.means ? el('p', { class: 'muted' }, n.means) : null,
      n.fix?.length ? el('ul', { class: 'fix' }, n.fix.map((step) => el('li', null,
        step.startsWith('$ ') ? el('code', null, step.slice(2)) : step))) : null);
  }), ...(all.length > noticesShown
    ? [el('p', { class: 'muted' }, `and ${count(all.length - noticesShown, 'more notice')}`)] : []));
}

function drawSummary() {
  const { summary: s, missing, cost } = model;
  const tile = (name, figure, ...below) => el('div', { class: 'tile' },
    el('h2', null, name), el('p', { class: 'figure' }, figure), el('p', { class: 'below' }, below));
  const unknown = el('span', { class: 'not-known' }, 'not known');
  const orUnknown = (figure) => (s.events === 0 && missing.events ? unknown.cloneNode(true) : figure);
  const tallied = (tally) => Object.entries(tally).map(([word, n]) => (
    el('span', { class: 'tally' }, badge(word, 'd'), ' ', number(n))));
  const hosts = s.hosts.slice(0, 3).map((h, i) => [
    i ? ', ' : null, button(bdi(h.label, 24), () => openNode(h.key))]);
  const hasVerdicts = Object.keys(s.verdicts).length > 0;
  const judged = hasVerdicts ? s.verdicts : s.judgements;
  const threats = s.threats.length
    ? [bdi(s.threats[0], 60), s.threats.length > 1 ? ` and ${s.threats.length - 1} more` : ''] : null;
  $('summary').replaceChildren(
    tile('Events', orUnknown(number(s.events)),
      s.events && missing.rest ? el('strong', null, 'at least: ') : null,
      s.events ? `${number(s.active)} active, ${number(s.historical)} historical`
        : missing.events ? 'the search failed' : 'Qualys has none about this'),
    tile('Worst severity', orUnknown(s.worst ? badge(s.worst, 's') : '–'),
      s.worst ? `in ${count(s.worstCount, 'event')}` : ''),
    tile('Hosts affected', orUnknown(number(s.hosts.length)), hosts,
      s.hosts.length > 3 ? ` and ${number(s.hosts.length - 3)} more` : ''),
    tile(hasVerdicts || missing.verdicts ? 'Verdicts' : 'Judgements',
      hasVerdicts || (Object.keys(judged).length && !missing.verdicts) ? tallied(judged) : missing.verdicts
        ? unknown : '–',
      missing.verdicts ? [hasVerdicts ? 'there may be more' : Object.keys(s.judgements).length
        ? ['judged in the events: ', tallied(s.judgements)] : 'the search failed']
        : threats ?? (Object.keys(judged).length ? '' : 'Qualys judged none of this')),
    tile('Cost', milliseconds(cost.milliseconds), `${count(cost.calls, 'call')} to Qualys`),
  );
}

// opening remembers where the focus was, so that closing leads back there.
function opening() {
  if (!$('details').contains(document.activeElement)) opener = document.activeElement;
  unmark();
}

function openNode(key) {
  const node = graph.nodeOf(key) ?? model.nodes.get(key);
  if (!node) return;
  opening();
  graph.choose([key], [...(node.touched ?? [])]);
  details.node(node);
}

function openEdge(edge) {
  opening();
  graph.choose([edge.from, edge.to]);
  details.edge(edge);
}

function openEvent(id) {
  const e = model.events.find((x) => x.id === id);
  if (!e) return;
  opening();
  graph.choose([...e.nodes, ...e.hosts.map((h) => h.key)]);
  timeline.choose(id);
  tables.events.mark(id);
  details.event(e);
}

function openEntity(kind, id) {
  const entity = model[`${kind}s`].find((x) => x.id === id);
  if (!entity) return;
  opening();
  graph.choose();
  tables[`${kind}s`].mark(id);
  details[kind](entity);
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

const on = (id, act) => $(id).addEventListener('click', act);
async function askText() {
  await question.settled();
  ask(question.asked());
}
on('investigate', askText);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  askText();
});
on('back', () => { if (here > 0) location.hash = trail[--here].hash; });
on('clear', async () => {
  if (location.hash) history.pushState(null, '', location.pathname);
  await clear();
  $('text').focus();
});
for (const example of document.querySelectorAll('.example')) {
  example.addEventListener('click', () => question.set(example.dataset.text));
}
on('zoom-in', graph.zoomIn);
on('zoom-out', graph.zoomOut);
on('zoom-fit', graph.fit);
on('download-png', async () => download('graph.png', await graph.picture()));
on('download-csv', () => download('events.csv', csv(model)));
on('download-json', () => download('ctim.json', json(answered)));
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && $('details').classList.contains('is-open')) closeDetails();
});
addEventListener('hashchange', follow);

if (location.hash) follow();
else if ($('text').value) question.set($('text').value); // a reload keeps it in some browsers

// For the browser test, which clicks on what is drawn.
globalThis.relayConsole = { positionOf: graph.positionOf, zoom: graph.zoom };
