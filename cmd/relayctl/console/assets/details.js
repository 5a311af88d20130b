// What is known about one node, edge, event, judgement or indicator.

import { badge, bdi, button, clip, copyButton, count, el, link, longValue, number, plain,
  time } from './dom.js';
import { markdown } from './markdown.js';
import { keyOf, kindNames, questionAbout, searchable, typeName, words } from './model.js';

const most = 12; // entries of a list before "and N more"

const row = (name, ...value) => el('div', { class: 'row' }, el('dt', null, name), el('dd', null, value));
const rows = (...list) => el('dl', null, list.filter(Boolean));
const part = (title, ...content) => el('section', null, el('h3', null, title), content);
const textRow = (name, value) => (value ? row(name, longValue(value)) : null);

// createDetails fills box. go leads to other things: node(key), edge(edge), event(id), judgement(id),
// indicator(id), filter(text), close(), investigate(observables), add(observables).
export function createDetails({ box, model, go }) {
  const line = (label, act, ...aside) => el('li', null, button(label, act, 'go-to'), aside);
  const note = (...content) => el('p', { class: 'muted' }, content);

  function capped(items, make, all) {
    const shown = items.slice(0, most).map(make);
    const rest = items.length - most;
    if (rest > 0) {
      shown.push(el('li', null, all ? button(`All ${number(items.length)} in the table`, all)
        : el('details', { class: 'rest', ontoggle: (event) => { // written only when it is opened
          const more = event.target;
          if (more.childElementCount === 1) more.append(el('ul', { class: 'lines' },
            items.slice(most).map(make)));
        } }, el('summary', null, `and ${number(rest)} more`))));
    }
    return el('ul', { class: 'lines' }, shown);
  }

  // pivots are the two buttons that lead from a value to the next question.
  function pivots(o) {
    if (!searchable.includes(o.type)) return null;
    const name = plain(clip(o.value, 60));
    const one = (sign, words, act) => button(sign, act, 'pivot', { 'aria-label': words, title: words });
    return el('span', { class: 'pivots' }, one('⌕', `Investigate ${name}`, () => go.investigate([o])),
      one('+', `Add ${name} to the investigation`, () => go.add([o])));
  }

  const valueLine = (o) => {
    const n = model().find(o);
    const shown = [el('span', { class: 'type' }, typeName(o.type)), ' ', bdi(o.value, 70)];
    return n ? line(shown, () => go.node(n.key), n.disposition ? badge(n.disposition, 'd') : null, pivots(o))
      : el('li', null, el('span', { class: 'go-to' }, shown), pivots(o));
  };
  const nodeLine = (key) => {
    const n = model().nodes.get(key);
    return line([el('span', { class: 'type' }, kindNames[n.kind][0]), ' ', bdi(n.label, 60)],
      () => go.node(key),
      n.disposition ? badge(n.disposition, 'd') : null);
  };
  const eventLine = (id) => {
    const e = model().events.find((x) => x.id === id);
    return line([time(e.time), ' ', badge(e.severity, 's'), ' ', bdi(e.title, 90)], () => go.event(id));
  };
  const entityLine = (kind) => (id) => {
    const x = model()[`${kind}s`].find((y) => y.id === id);
    return line([el('span', { class: 'type' }, kind), ' ',
      kind === 'judgement' ? [badge(x.disposition, 'd'), ' ', x.reason ? bdi(x.reason, 60) : time(x.time)]
        : bdi(x.title, 60)], () => go[kind](id));
  };
  const list = (title, items, make, all) => (items.length ? part(title, capped(items, make, all)) : null);

  function show(kind, title, ...content) {
    const heading = el('h2', { tabindex: '-1' }, longValue(title, 140));
    box.replaceChildren(
      el('div', { class: 'bar' }, el('p', { class: 'eyebrow' }, kind),
        button('×', go.close, 'quiet close', { 'aria-label': 'Close details' })),
      el('div', { class: 'details-body' }, heading, content),
    );
    box.classList.add('is-open');
    box.scrollTop = 0;
    heading.focus({ preventScroll: true }); // the page stays where it is
  }

  function empty() {
    box.classList.remove('is-open');
    box.replaceChildren(el('div', { class: 'bar' }, el('p', { class: 'eyebrow' }, 'Details')), el('p',
      { class: 'muted hint' },
      'Choose a node, a line, a point of the timeline or a row to see what is known about it.'));
  }

  function node(n) {
    if (n.more) {
      show(kindNames[n.kind][1], n.label, note('Gathered, as a graph of all of them could not be read.'),
        capped(n.more.map((x) => x.key), nodeLine));
      return;
    }
    const { edges, nodes, judgements, missing } = model();
    const question = questionAbout(n);
    const ends = edges.filter((e) => e.from === n.key || e.to === n.key)
      .sort((a, b) => b.events.length - a.events.length);
    const end = (e) => {
      const other = nodes.get(e.from === n.key ? e.to : e.from);
      return line([el('span', { class: 'relation' }, e.from === n.key ? `${e.relation} →`
        : `← ${e.relation}`), ' ',
        bdi(other.label, 60)], () => go.node(other.key),
        button(count(e.events.length, 'event'), () => go.edge(e)));
    };
    const keys = n.values.map(keyOf);
    const judged = judgements.filter((j) => j.observable && keys.includes(keyOf(j.observable)));
    const filter = () => go.filter(n.kind === 'file' ? (questionAbout(n)[0]?.value ?? n.label) : n.label);
    const isHost = n.kind === 'host';
    show(n.kind === 'domain' ? typeName(n.values[0].type) : kindNames[n.kind][0], n.label,
      el('p', { class: 'badges' }, n.disposition ? badge(n.disposition, 'd') : null,
        n.events.length ? badge(n.severity, 's') : null,
        n.asked ? el('span', { class: 'badge plain' }, 'asked for') : null),
      el('p', { class: 'actions' }, question.length ? [
        button(isHost ? 'Investigate its addresses' : 'Investigate this', () => go.investigate(question),
          'quiet small'),
        button('Add to the investigation', () => go.add(question), 'quiet small')] : null,
      copyButton(() => n.label, 'Copy value'),
      n.events.length ? button('Filter table', filter, 'quiet small') : null),
      rows(
        isHost ? null : row(n.judged ?? 'Verdict', n.disposition
          ? [n.disposition, n.reason ? [' · ', longValue(n.reason)] : null]
          : el('span', { class: 'muted' }, missing.verdicts ? 'not known' : 'Qualys gave none')),
        row('Events', n.events.length ? `${number(n.events.length)}, of them ${number(n.active)} active`
          : missing.events ? 'not known' : 'none'),
        Number.isFinite(n.first) ? row('First seen', time(n.first), ' UTC') : null,
        Number.isFinite(n.last) ? row('Last seen', time(n.last), ' UTC') : null,
        textRow('System', n.os),
      ),
      n.values.some((o) => o.type === 'hostname') && !isHost
        ? note('A hostname is searched as the remote name of connections, not as the endpoint of this name.')
          : null,
      n.values.length > 1 || isHost
        ? list(isHost ? 'Names and addresses' : 'Known as', n.values, (o) => el('li', null,
        el('span', { class: 'go-to' }, el('span', { class: 'type' },
          isHost && o.type === 'hostname' ? 'Name' : typeName(o.type)), ' ', longValue(o.value)),
        isHost && o.type === 'hostname' ? null : pivots(o))) : null,
      isHost ? list('Touched by its events', [...n.touched], nodeLine) : list('Relations', ends, end),
      list('Judgements', judged.map((j) => j.id), entityLine('judgement')),
      list('Events', n.events, eventLine, filter),
    );
  }

  function edge(e) {
    const { nodes } = model();
    show('Relation', `${nodes.get(e.from)?.label ?? ''} ${e.relation} ${nodes.get(e.to)?.label ?? ''}`,
      capped([e.from, e.to].filter((key) => nodes.has(key)), nodeLine), list('Events', e.events, eventLine));
  }

  function event(e) {
    show('Event', e.title,
      el('p', { class: 'badges' }, badge(e.severity, 's'),
        el('span', { class: `badge plain state-${e.state.toLowerCase()}` }, e.state),
        el('span', { class: 'badge plain' }, bdi(e.resolution, 40))),
      rows(
        row('Seen', time(e.time), ' UTC', Number.isFinite(e.end) && e.end !== e.time
          ? [' to ', time(e.end), ' UTC'] : null),
        textRow('Confidence', e.confidence),
        e.url ? row('At Qualys', link(e.url, 'Open in Qualys')) : null,
      ),
      list('Found by', e.foundBy, valueLine),
      list('Hosts', e.hosts.map((h) => h.key), nodeLine),
      e.description && e.description !== e.title ? part('Description', markdown(e.description)) : null,
      list('All values', e.values, valueLine),
      list('Based on', [...e.judgements.map((id) => ['judgement', id]),
        ...e.indicators.map((id) => ['indicator', id])],
        ([kind, id]) => entityLine(kind)(id)),
      contextParts(e.context),
      e.docs.map(raw),
    );
  }

  function judgement(j) {
    show('Judgement', j.reason || `${j.disposition} without a reason`,
      el('p', { class: 'badges' }, badge(j.disposition, 'd'), badge(j.severity, 's')),
      rows(
        row('Priority', String(j.priority)), textRow('Confidence', j.confidence),
        Number.isFinite(j.time) ? row('Valid from', time(j.time), ' UTC') : null,
        j.url ? row('At Qualys', link(j.url, 'Open in Qualys')) : null,
      ),
      j.observable ? list('Judged', [j.observable], valueLine) : null,
      list('Events', j.events, eventLine),
      raw(j.doc),
    );
  }

  function indicator(i) {
    show('Indicator', i.title,
      el('p', { class: 'badges' }, badge(i.severity, 's'),
        i.tags.map((t) => el('span', { class: 'badge plain' }, bdi(t, 40)))),
      i.description ? markdown(i.description) : null,
      rows(
        textRow('Producer', i.producer), textRow('Confidence', i.confidence),
        Number.isFinite(i.time) ? row('Valid from', time(i.time), ' UTC') : null,
        i.url ? row('At Qualys', link(i.url, 'Open in Qualys')) : null,
      ),
      list('Events', i.events, eventLine),
      raw(i.doc),
    );
  }

  return { empty, node, edge, event, judgement, indicator };
}

// contextParts lists the endpoint's own events, field by field.
function contextParts(context) {
  if (!context || typeof context !== 'object') return null;
  return Object.entries(context).flatMap(([kind, events]) => (
    Array.isArray(events) ? events : []).slice(0, most).map((event) => part(
    `${words(kind).replace(/ events$/, '')} event`,
    rows(...fields(event).filter(([name]) => name !== 'type' && !name.startsWith('time'))
      .map(([name, value]) => row(words(name), longValue(value)))),
  )));
}

const fields = (object, prefix = '') => Object.entries(object ?? {}).flatMap(([name, value]) => (
  value !== null && typeof value === 'object' ? fields(value, `${prefix}${name} `)
    : [[`${prefix}${name}`, String(value)]]));

// raw shows one document as JSON, written only when it is opened.
function raw(doc) {
  const box = el('details', { class: 'raw', ontoggle: () => {
    if (box.childElementCount > 1) return;
    const json = JSON.stringify(doc, null, 1);
    box.append(copyButton(() => json, 'Copy', 'Copy this document'),
      el('pre', { tabindex: '0', 'aria-label': 'Raw document' }, longValue(json, 6000)));
  } }, el('summary', null, `Raw ${String(doc.type)}`));
  return box;
}
