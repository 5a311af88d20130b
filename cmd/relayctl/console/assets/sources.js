// Where the answer comes from: the pages at Qualys, the raw CTIM, and what it cost.

import { bdi, copyButton, count, el, link, longValue, safeURL } from './dom.js';

const shownRaw = 200_000; // characters of an answer; the copy has all of it

export function drawReferences(pane, references) {
  if (references.length === 0) {
    pane.replaceChildren(el('p', { class: 'muted' }, 'The answer names no page at Qualys. The relay links to them where it knows PLATFORM_URL.'));
    return;
  }
  const group = (title, list) => (list.length ? el('section', null, el('h3', null, title), el('ul', { class: 'references' }, list.slice(0, 200).map((r) => el('li', null,
    link(r.url, bdi(r.title, 140)),
    el('p', { class: 'muted' }, r.description ? [bdi(r.description, 200), ' · '] : null, bdi(safeURL(r.url)?.host ?? 'not a web address', 60), r.entities ? ` · ${count(r.entities, 'entity', 'entities')} of the answer` : null),
  )), list.length > 200 ? el('li', { class: 'muted' }, `and ${(list.length - 200).toLocaleString('en')} more`) : null)) : null);
  pane.replaceChildren(...[group('Search at Qualys', references.filter((r) => r.pivot)), group('Pages named by the answer', references.filter((r) => !r.pivot))].filter(Boolean));
}

export function drawRaw(pane, answer) {
  pane.replaceChildren(...[['observe', '/observe/observables'], ['deliberate', '/deliberate/observables'], ['refer', '/refer/observables']].map(([name, path]) => {
    if (!answer[name]) return el('p', { class: 'muted' }, `${path} gave no answer.`);
    const box = el('details', { class: 'raw' }, el('summary', null, path));
    box.addEventListener('toggle', () => {
      if (!box.open || box.childElementCount > 1) return;
      const json = JSON.stringify(answer[name], null, 1);
      box.append(copyButton(() => json, 'Copy', `Copy the answer of ${path}`),
        el('pre', { tabindex: '0', 'aria-label': `Answer of ${path}` }, longValue(json.slice(0, shownRaw), shownRaw), json.length > shownRaw ? `\n… ${count(json.length - shownRaw, 'more character')}: the copy has all of them.` : null));
    });
    return box;
  }));
}

const figure = (ms) => (ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 10 ? `${Math.round(ms).toLocaleString('en')} ms` : `${ms.toFixed(1)} ms`);
export { figure as milliseconds };

const bytes = (n) => (n >= 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MiB` : n >= 1024 ? `${Math.round(n / 1024)} KiB` : `${n} B`);

export function drawCost(pane, cost) {
  const cell = (value, label) => el('td', { role: 'cell', 'data-label': label }, el('div', null, value));
  pane.replaceChildren(
    el('p', null, `The three questions were asked side by side and took ${figure(cost.milliseconds)}, with ${count(cost.calls, 'call')} to Qualys.`),
    el('div', { class: 'scroll' }, el('table', { role: 'table', 'aria-label': 'Cost' },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ['Question', 'HTTP', 'Seen from here', 'In the relay', 'Waiting for Qualys', 'Calls', 'Answer'].map((h) => el('th', { scope: 'col', role: 'columnheader' }, h)))),
      el('tbody', { role: 'rowgroup' }, (cost.parts ?? []).map((p) => el('tr', { role: 'row' }, cell(p.endpoint, 'Question'), cell(p.status || 'none', 'HTTP'), cell(figure(p.milliseconds), 'Seen from here'),
        cell(p.relay === undefined ? '–' : figure(p.relay), 'In the relay'), cell(p.qualys === undefined ? '–' : figure(p.qualys), 'Waiting for Qualys'), cell(p.calls, 'Calls'), cell(bytes(p.bytes), 'Answer')))))),
    el('p', { class: 'muted' }, 'The relay tells its own times in the header Server-Timing. An answer from its cache needs no call.'),
  );
}
