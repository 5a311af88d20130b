// What is known about one node, sighting, judgement or indicator.

import { badge, bdi, copyButton, count, el, link, longValue, time } from './dom.js';
import { keyOf, kindNames, typeName, words } from './model.js';

const most = 12; // rows of a list before "and N more"

const row = (name, ...value) => el('div', { class: 'row' }, el('dt', null, name), el('dd', null, value));
const rows = (...list) => el('dl', null, list.filter(Boolean));
const part = (title, ...content) => el('section', null, el('h3', null, title), content);
const plainRow = (name, value) => (value ? row(name, longValue(value)) : null);

// createDetails fills box. The actions lead to other things: node(key), sighting(id), judgement(id), indicator(id), search(text), close().
export function createDetails({ box, model, actions }) {
  const go = (label, act, ...aside) => el('li', null, el('button', { type: 'button', class: 'go-to', onclick: act }, label), aside);

  function capped(items, make, all) {
    const shown = items.slice(0, most).map(make);
    if (items.length > most) shown.push(el('li', null, all ? el('button', { type: 'button', class: 'link', onclick: all }, `All ${items.length.toLocaleString('en')} in the table`) : el('span', { class: 'muted' }, `and ${(items.length - most).toLocaleString('en')} more`)));
    return el('ul', { class: 'lines' }, shown);
  }

  const sightingLine = (id) => {
    const s = model().sightings.find((x) => x.id === id);
    return s ? go([time(s.time), ' ', badge(s.severity, 's'), ' ', bdi(s.title, 60)], () => actions.sighting(id)) : null;
  };
  const nodeLine = (o) => {
    const n = model().nodes.get(o.key ?? keyOf(o));
    return n ? go([el('span', { class: 'type' }, typeName(n.type)), ' ', bdi(n.label, 70)], () => actions.node(n.key), n.disposition ? badge(n.disposition, 'd') : null) : null;
  };

  function show(kind, title, focus, ...content) {
    const heading = el('h2', { tabindex: '-1' }, longValue(title, 140));
    box.replaceChildren(
      el('div', { class: 'bar' }, el('p', { class: 'eyebrow' }, kind), el('button', { type: 'button', class: 'quiet close', 'aria-label': 'Close details', onclick: actions.close }, '×')),
      el('div', { class: 'details-body' }, heading, content),
    );
    box.classList.add('is-open');
    box.scrollTop = 0;
    if (focus) heading.focus({ preventScroll: getComputedStyle(box).position === 'fixed' });
  }

  function empty() {
    box.classList.remove('is-open');
    box.replaceChildren(el('div', { class: 'bar' }, el('p', { class: 'eyebrow' }, 'Details')), el('p', { class: 'muted hint' }, 'Choose a node, a point of the timeline or a row to see all that is known about it.'));
  }

  function node(n, focus) {
    if (n.more) {
      show(kindNames[n.kind][1], n.label, focus, el('p', { class: 'muted' }, 'Gathered, as a graph of all of them could not be read.'), capped(n.more, nodeLine));
      return;
    }
    const often = (a, b) => b.sightings.length - a.sightings.length;
    const from = model().edges.filter((e) => e.from === n.key).sort(often);
    const to = model().edges.filter((e) => e.to === n.key).sort(often);
    const far = (e, key, arrow) => {
      const other = model().nodes.get(key);
      return go([el('span', { class: 'relation' }, arrow === '→' ? `${e.relation} →` : `← ${e.relation}`), ' ', el('span', { class: 'type' }, typeName(other.type)), ' ', bdi(other.label, 60)], () => actions.node(key), e.sightings.length > 1 ? el('span', { class: 'count' }, `×${e.sightings.length}`) : null);
    };
    const judgements = model().judgements.filter((j) => j.observable && keyOf(j.observable) === n.key);
    show(typeName(n.type), n.label, focus,
      el('p', { class: 'badges' }, n.disposition ? badge(n.disposition, 'd') : null, n.sightings.length ? badge(n.severity, 's') : null, n.asked ? el('span', { class: 'badge plain' }, 'asked for') : null),
      rows(
        n.disposition ? row(n.judged === 'verdict' ? 'Verdict' : 'Judgement', n.disposition, n.reason ? [' · ', longValue(n.reason)] : null) : (n.kind === 'host' ? null : row('Verdict', el('span', { class: 'muted' }, 'Qualys gave none'))),
        row('Sightings', n.sightings.length ? `${n.sightings.length.toLocaleString('en')}, of them ${n.active.toLocaleString('en')} active` : 'none'),
        Number.isFinite(n.first) ? row('First seen', time(n.first), ' UTC') : null,
        Number.isFinite(n.last) ? row('Last seen', time(n.last), ' UTC') : null,
        plainRow('System', n.os),
        n.addresses?.length ? row('Addresses', n.addresses.map((a) => el('div', null, bdi(a, 80)))) : null,
      ),
      el('p', { class: 'actions' }, copyButton(() => n.label, 'Copy value'), n.sightings.length ? el('button', { type: 'button', class: 'quiet small', onclick: () => actions.search(n.label) }, 'Filter table') : null),
      from.length + to.length ? part('Relations', capped([...from.map((e) => far(e, e.to, '→')), ...to.map((e) => far(e, e.from, '←'))], (line) => line)) : null,
      judgements.length ? part('Judgements', capped(judgements, (j) => go([badge(j.disposition, 'd'), ' ', j.reason ? bdi(j.reason, 60) : time(j.time)], () => actions.judgement(j.id)))) : null,
      n.sightings.length ? part('Sightings', capped(n.sightings, sightingLine, () => actions.search(n.label))) : null,
    );
  }

  function sighting(s, focus) {
    show('Sighting', s.title, focus,
      el('p', { class: 'badges' }, badge(s.severity, 's'), el('span', { class: `badge plain state-${s.state.toLowerCase()}` }, s.state), s.resolution ? el('span', { class: 'badge plain' }, bdi(s.resolution, 40)) : null),
      rows(
        row('Seen', time(s.time), ' UTC', Number.isFinite(s.end) && s.end !== s.time ? [' to ', time(s.end)] : null),
        plainRow('Description', typeof s.doc.description === 'string' && s.doc.description !== s.title ? s.doc.description : ''),
        plainRow('Confidence', s.confidence),
        s.url ? row('At Qualys', link(s.url, 'Open in Qualys')) : null,
      ),
      part('Observables', capped(s.observables, nodeLine)),
      s.hosts.length ? part('Hosts', capped(s.hosts, (h) => go([bdi(h.name, 60), h.os ? el('span', { class: 'muted' }, ' ', bdi(h.os, 60)) : null], () => actions.node(h.key)))) : null,
      s.relations.length ? part('Relations', capped(s.relations, (r) => el('li', null, el('span', null, bdi(r.source.value, 60), ' ', el('span', { class: 'relation' }, `${words(r.relation)} →`), ' ', bdi(r.related.value, 60))))) : null,
      s.judgements.length || s.indicators.length ? part('Based on', capped([...s.judgements.map((id) => ['judgement', id]), ...s.indicators.map((id) => ['indicator', id])], ([kind, id]) => {
        const x = model()[`${kind}s`].find((y) => y.id === id);
        return go([el('span', { class: 'type' }, kind), ' ', kind === 'judgement' ? [badge(x.disposition, 'd'), ' ', x.reason ? bdi(x.reason, 50) : null] : bdi(x.title, 60)], () => actions[kind](id));
      })) : null,
      contextParts(s.doc.context),
      raw(s.doc),
    );
  }

  function judgement(j, focus) {
    show('Judgement', j.reason || `${j.disposition} without a reason`, focus,
      el('p', { class: 'badges' }, badge(j.disposition, 'd'), badge(j.severity, 's')),
      rows(
        row('Priority', String(j.priority)), plainRow('Confidence', j.confidence),
        Number.isFinite(j.time) ? row('Valid from', time(j.time), ' UTC') : null,
        j.url ? row('At Qualys', link(j.url, 'Open in Qualys')) : null,
      ),
      j.observable ? part('Judged', el('ul', { class: 'lines' }, nodeLine(j.observable) ?? el('li', null, longValue(j.observable.value)))) : null,
      j.sightings.length ? part('Sightings', capped(j.sightings, sightingLine)) : null,
      raw(j.doc),
    );
  }

  function indicator(i, focus) {
    show('Indicator', i.title, focus,
      el('p', { class: 'badges' }, badge(i.severity, 's'), i.tags.map((t) => el('span', { class: 'badge plain' }, bdi(t, 40)))),
      rows(
        plainRow('Description', i.doc.description), plainRow('Producer', i.producer), plainRow('Confidence', i.confidence),
        Number.isFinite(i.time) ? row('Valid from', time(i.time), ' UTC') : null,
        i.url ? row('At Qualys', link(i.url, 'Open in Qualys')) : null,
      ),
      i.sightings.length ? part('Sightings', capped(i.sightings, sightingLine)) : null,
      raw(i.doc),
    );
  }

  return { empty, node, sighting, judgement, indicator };
}

// contextParts lists the endpoint's own events, field by field.
function contextParts(context) {
  if (!context || typeof context !== 'object') return null;
  return Object.entries(context).flatMap(([kind, events]) => (Array.isArray(events) ? events : []).slice(0, most).map((event) => part(
    `${words(kind).replace(/ events$/, '')} event`,
    rows(...fields(event).filter(([name]) => name !== 'type' && !name.startsWith('time'))
      .map(([name, value]) => row(words(name), longValue(value)))),
  )));
}

function fields(object, prefix = '') {
  return Object.entries(object ?? {}).flatMap(([name, value]) => (value !== null && typeof value === 'object' ? fields(value, `${prefix}${name} `) : [[`${prefix}${name}`, String(value)]]));
}

// raw shows one document as JSON, written only when it is opened.
function raw(doc) {
  const box = el('details', { class: 'raw' }, el('summary', null, 'Raw'));
  box.addEventListener('toggle', () => {
    if (box.open && box.childElementCount === 1) {
      const json = JSON.stringify(doc, null, 1);
      box.append(copyButton(() => json, 'Copy', 'Copy this document'), el('pre', { tabindex: '0', 'aria-label': 'Raw document' }, longValue(json, 6000)));
    }
  });
  return box;
}
