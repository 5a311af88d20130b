// What can be taken away: the events as CSV, the relay's answers as JSON, the graph as a picture.

import { el, plain } from './dom.js';

export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// cell is safe in a spreadsheet, which would run a cell that begins like a formula.
const cell = (value) => {
  const shown = plain(value);
  return `"${(/^[=+\-@]/.test(shown) ? `'${shown}` : shown).replaceAll('"', '""')}"`;
};
const iso = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString() : '');
const joined = (values) => values.map((o) => `${o.type}:${o.value}`).join(' | ');

// csv has a line for each event, and one for each observable that found none.
export function csv(model) {
  const lines = [['observed', 'event', 'found_by', 'hosts', 'severity', 'state', 'resolution',
    'what_happened',
    'judged_type', 'judged_value', 'verdict', 'reason', 'page']];
  for (const e of model.events) {
    const j = model.judgements.find((x) => e.judgements.includes(x.id)); // the worst, as they are sorted
    lines.push([iso(e.time), e.id, joined(e.foundBy), e.hosts.map((h) => h.name).join(' | '), e.severity,
      e.state,
      e.resolution, e.title, j?.observable?.type ?? '', j?.observable?.value ?? '', j?.disposition ?? '',
      j?.reason ?? '', e.url]);
  }
  const found = new Set(model.events.flatMap((e) => e.foundBy.map((o) => `${o.type}:${o.value}`)));
  for (const o of model.asked) {
    if (found.has(`${o.type}:${o.value}`)) continue;
    lines.push(['', '', joined([o]), '', '', model.missing.events ? 'not known' : 'no event',
      ...Array(7).fill('')]);
  }
  return new Blob([lines.map((line) => `${line.map(cell).join(',')}\r\n`).join('')], { type: 'text/csv' });
}

export const json = (answer) => new Blob([JSON.stringify(
  { observe: answer.observe, deliberate: answer.deliberate, refer: answer.refer }, null, 1)],
  { type: 'application/json' });
