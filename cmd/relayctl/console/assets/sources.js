// Where the answer comes from: the pages at Qualys, the raw CTIM, and what it cost.

import { bdi, copyButton, count, el, link, longValue, number, safeURL } from './dom.js';
import { typeName } from './model.js';

const shownRaw = 200_000; // characters of an answer; the copy and the download have all of it
const endpoints = { observe: '/observe/observables', deliberate: '/deliberate/observables',
  refer: '/refer/observables' };

export function drawReferences(pane, references) {
  const about = (r) => r.about.slice(0, 5)
    .map((o) => el('p', null, el('span', { class: 'type' }, typeName(o.type)), ' ',
    bdi(o.value, 100, 'code')));
  const line = (r) => el('li', null, about(r), r.about.length > 5
    ? el('p', { class: 'muted' }, `and ${count(r.about.length - 5, 'more observable')}`) : null,
  link(r.url, bdi(r.title, 140)),
  el('span', { class: 'muted' }, ' ', bdi(safeURL(r.url)?.host ?? 'not a web address', 60)));
  const group = (title, list) => (list.length ? el('section', null, el('h3', null, title),
    el('ul', { class: 'references' }, list.slice(0, 200).map(line),
      list.length > 200 ? el('li', { class: 'muted' }, `and ${number(list.length - 200)} more`) : null))
        : null);
  pane.replaceChildren(...[
    references.length ? null : el('p', { class: 'muted' },
      'The answer names no page at Qualys. The relay links to them where it knows PLATFORM_URL.'),
    group('Searches at Qualys', references.filter((r) => r.fromRefer)),
    group('Pages named by the events', references.filter((r) => !r.fromRefer)),
  ].filter(Boolean));
}

export function drawRaw(pane, answer) {
  pane.replaceChildren(...Object.entries(endpoints).map(([name, path]) => {
    if (!answer[name]) return el('p', { class: 'muted' }, `${path} gave no answer.`);
    const box = el('details', { class: 'raw', ontoggle: () => {
      if (box.childElementCount > 1) return;
      const json = JSON.stringify(answer[name], null, 1);
      const rest = json.length - shownRaw;
      box.append(copyButton(() => json, 'Copy', `Copy the answer of ${path}`),
        el('pre', { tabindex: '0', 'aria-label': `Answer of ${path}` },
          longValue(json.slice(0, shownRaw), shownRaw),
          rest > 0 ? `\n… ${count(rest, 'more character')}: the copy has all of them.` : null));
    } }, el('summary', null, path));
    return box;
  }));
}

export const milliseconds = (ms) => (ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s`
  : ms >= 10 ? `${number(Math.round(ms))} ms` : `${ms.toFixed(1)} ms`);

const bytes = (n) => (
  n >= 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MiB` : n >= 1024 ? `${Math.round(n / 1024)} KiB` : `${n} B`);

export function drawCost(pane, cost) {
  const duration = (ms) => (ms === undefined ? '–' : milliseconds(ms));
  const columns = {
    Question: (p) => p.endpoint, HTTP: (p) => p.status || 'none',
    'Seen from here': (p) => milliseconds(p.milliseconds),
    'In the relay': (p) => duration(p.relay), 'Waiting for Qualys': (p) => duration(p.qualys),
    Calls: (p) => p.calls,
    Answer: (p) => bytes(p.bytes),
  };
  pane.replaceChildren(
    el('p', null, `The three questions were asked side by side and took `
      + `${milliseconds(cost.milliseconds)}, with ${count(cost.calls, 'call')} to Qualys.`),
    el('div', { class: 'scroll' }, el('table', { role: 'table', 'aria-label': 'Cost' },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
        Object.keys(columns).map((name) => el('th', { scope: 'col', role: 'columnheader' }, name)))),
      el('tbody', { role: 'rowgroup' }, (cost.parts ?? []).map((p) => el('tr', { role: 'row' },
        Object.entries(columns).map(([name, cell]) => (
          el('td', { role: 'cell', 'data-label': name }, el('div', null, cell(p)))))))))),
    el('p', { class: 'muted' },
      'The relay tells its own times in the header Server-Timing. An answer from its cache needs no call.'),
  );
}
