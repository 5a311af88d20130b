// Tables that filter, sort and turn pages. A page at a time is drawn, so a thousand rows cost no more than fifty.

import { badge, bdi, count, el, link, safeURL, time } from './dom.js';
import { dispositions, severities, typeName } from './model.js';

const pageSize = 50;

const state = (s) => el('span', { class: `state state-${s.state.toLowerCase()}` }, s.state);
const shownObservable = (o) => (o ? [el('span', { class: 'type' }, typeName(o.type)), ' ', bdi(o.value, 40, 'code')] : el('span', { class: 'muted' }, 'none'));
const page = (entity) => (safeURL(entity.url) ? link(entity.url, 'Qualys') : el('span', { class: 'muted' }, entity.url ? 'no web address' : '–'));
const text = (value) => (value ? bdi(value, 44) : el('span', { class: 'muted' }, '–'));

// A column: its heading, what a cell shows, what it is sorted by; named: a cell on its own needs its heading. The first cell of a row opens the details.
export const sightingColumns = [
  { name: 'Time (UTC)', cell: (s) => time(s.time), key: (s) => s.time || 0, descending: true },
  { name: 'Severity', cell: (s) => badge(s.severity, 's'), key: (s) => -severities.indexOf(s.severity), descending: true },
  { name: 'State', cell: state, key: (s) => s.state },
  { name: 'Event', cell: (s) => bdi(s.title, 90), key: (s) => s.title, wide: true },
  { name: 'Observable', cell: (s) => [shownObservable(s.observables[0]), s.observables.length > 1 ? ` +${s.observables.length - 1}` : null], key: (s) => s.observables[0]?.value ?? '', wide: true },
  { name: 'Host', cell: (s) => [text(s.hosts[0]?.name), s.hosts.length > 1 ? ` +${s.hosts.length - 1}` : null], key: (s) => s.hosts[0]?.name ?? '' },
  { name: 'Resolution', cell: (s) => text(s.resolution), key: (s) => s.resolution },
  { name: 'Source', cell: page },
];

export const judgementColumns = [
  { name: 'Disposition', cell: (j) => badge(j.disposition, 'd'), key: (j) => dispositions.indexOf(j.disposition) },
  { name: 'Observable', cell: (j) => shownObservable(j.observable), key: (j) => j.observable?.value ?? '', wide: true },
  { name: 'Reason', cell: (j) => text(j.reason), key: (j) => j.reason, wide: true },
  { name: 'Severity', cell: (j) => badge(j.severity, 's'), key: (j) => -severities.indexOf(j.severity), descending: true },
  { name: 'Confidence', named: true, cell: (j) => text(j.confidence), key: (j) => j.confidence },
  { name: 'Priority', named: true, cell: (j) => String(j.priority), key: (j) => j.priority, descending: true },
  { name: 'Since (UTC)', named: true, cell: (j) => time(j.time), key: (j) => j.time || 0, descending: true },
  { name: 'Source', cell: page },
];

export const indicatorColumns = [
  { name: 'Indicator', cell: (i) => bdi(i.title, 90), key: (i) => i.title, wide: true },
  { name: 'Severity', cell: (i) => badge(i.severity, 's'), key: (i) => -severities.indexOf(i.severity), descending: true },
  { name: 'Confidence', named: true, cell: (i) => text(i.confidence), key: (i) => i.confidence },
  { name: 'Sightings', named: true, cell: (i) => String(i.sightings.length), key: (i) => i.sightings.length, descending: true },
  { name: 'Tags', cell: (i) => (i.tags.length ? i.tags.map((t) => [bdi(t, 40), ' ']) : text('')), key: (i) => i.tags.join(' ') },
  { name: 'Since (UTC)', named: true, cell: (i) => time(i.time), key: (i) => i.time || 0, descending: true },
  { name: 'Source', cell: page },
];

const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true, sensitivity: 'base' }));

const matching = (rows, query) => {
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean);
  return parts.length ? rows.filter((r) => parts.every((p) => r.hay.includes(p))) : rows;
};

// createTable fills pane. name is of one row ("sighting"); match(rows, query) filters; opening a row calls open(row).
export function createTable({ pane, name, columns, open, match = matching, typed = () => {} }) {
  let rows = [];
  let sortBy = 0;
  let down = Boolean(columns[0].descending);
  let at = 0;
  let current = '';

  const body = el('tbody', { role: 'rowgroup' });
  const filter = el('input', { type: 'search', id: `filter-${name}`, placeholder: `Filter ${name}s`, 'aria-label': `Filter ${name}s`, autocomplete: 'off', spellcheck: 'false', oninput: () => { at = 0; typed(filter.value); render(); } });
  const said = el('span', { class: 'muted', role: 'status' });
  const earlier = el('button', { type: 'button', class: 'quiet', 'aria-label': `Previous page of ${name}s`, onclick: () => turn(-1) }, '‹');
  const later = el('button', { type: 'button', class: 'quiet', 'aria-label': `Next page of ${name}s`, onclick: () => turn(1) }, '›');
  const heads = columns.map((column, i) => el('th', { scope: 'col', role: 'columnheader', class: column.wide ? 'wide' : null },
    column.key ? el('button', { type: 'button', class: 'sort', 'aria-label': `Sort by ${column.name}`, onclick: () => sort(i) }, column.name, el('span', { class: 'arrow', 'aria-hidden': 'true' })) : column.name));
  const sorter = el('select', { class: 'sorter', 'aria-label': `Sort ${name}s by`, onchange: () => sort(Number(sorter.value)) }, columns.map((column, i) => (column.key ? el('option', { value: i }, column.name) : null)));
  const grid = el('table', { role: 'table', 'aria-label': `${name[0].toUpperCase()}${name.slice(1)}s` }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, heads)), body);
  pane.replaceChildren(el('div', { class: 'table-bar' }, filter, sorter, said, el('span', { class: 'pages' }, earlier, later)), el('div', { class: 'scroll' }, grid));

  function sort(i) {
    down = i === sortBy ? !down : Boolean(columns[i].descending);
    sortBy = i;
    at = 0;
    render();
  }

  function turn(by) {
    at += by;
    render();
    grid.scrollIntoView({ block: 'nearest' });
  }

  function sorted(found) {
    const { key } = columns[sortBy];
    const sign = down ? -1 : 1;
    return found.map((row, i) => ({ row, i, k: key(row) })).sort((a, b) => sign * compare(a.k, b.k) || a.i - b.i).map(({ row }) => row);
  }

  // line builds a row. Its first cell is a button, so that the row can be opened from the keyboard; a click anywhere on it does the same.
  function line(row) {
    return el('tr', {
      role: 'row', dataset: { id: row.id }, class: row.id === current ? 'current' : null,
      onclick: (event) => { if (!event.target.closest('a, button') && getSelection().isCollapsed) open(row); },
    }, columns.map((column, i) => el('td', { role: 'cell', 'data-label': column.named ? column.name : null, class: column.wide ? 'wide' : null },
      el('div', null, i === 0 ? el('button', { type: 'button', class: 'open', onclick: () => open(row) }, column.cell(row), el('span', { class: 'hidden-text' }, ', open details')) : column.cell(row)))));
  }

  function render() {
    const found = sorted(match(rows, filter.value));
    const pages = Math.max(1, Math.ceil(found.length / pageSize));
    at = Math.min(Math.max(at, 0), pages - 1);
    const from = at * pageSize;
    const part = found.slice(from, from + pageSize);
    body.replaceChildren(...part.map(line));
    heads.forEach((head, i) => {
      if (i === sortBy) head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    sorter.value = String(sortBy);
    const all = count(rows.length, name);
    said.textContent = rows.length === 0 ? `No ${name}s.` : found.length === 0 ? `None of ${all} fits.`
      : `${pages > 1 ? `${(from + 1).toLocaleString('en')}–${(from + part.length).toLocaleString('en')} of ` : ''}${found.length === rows.length ? all : `${found.length.toLocaleString('en')} of ${all}`}`;
    earlier.disabled = at === 0;
    later.disabled = at === pages - 1;
    earlier.parentElement.hidden = pages === 1;
    grid.parentElement.hidden = found.length === 0;
  }

  return {
    show(all) { rows = all; at = 0; filter.value = ''; typed(''); render(); },
    render(fromStart = true) { if (fromStart) at = 0; render(); },
    search(query) { filter.value = query; at = 0; typed(query); render(); },
    mark(id) {
      current = id;
      for (const tr of body.rows) tr.classList.toggle('current', tr.dataset.id === id);
    },
  };
}
