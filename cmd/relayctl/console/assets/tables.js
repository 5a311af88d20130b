// Tables that filter, sort and turn pages. A page at a time is drawn, so a thousand rows cost no more than
// fifty.

import { badge, bdi, button, count, el, link, number, safeURL, time } from './dom.js';
import { severities, typeName, worstFirst } from './model.js';

const pageSize = 50;

const more = (list) => (list.length > 1 ? ` +${list.length - 1}` : null);
const observable = (o) =>
  (o ? [el('span', { class: 'type' }, typeName(o.type)), ' ', bdi(o.value, 32, 'code')]
  : el('span', { class: 'muted' }, 'none'));
const page = (entity) => (safeURL(entity.url) ? link(entity.url, 'Qualys')
  : el('span', { class: 'muted' }, entity.url ? 'no web address' : '–'));
const text = (value) => (value ? bdi(value, 32) : el('span', { class: 'muted' }, '–'));

// A column: its heading, what a cell shows, what it is sorted by (ascending puts the worst first); named: a
// cell on its own needs its heading. The first cell of a row opens the details.
const severity = { name: 'Severity', cell: (x) => badge(x.severity, 's'),
  key: (x) => severities.indexOf(x.severity) };
const confidence = { name: 'Confidence', named: true, cell: (x) => text(x.confidence),
  key: (x) => x.confidence };
const source = { name: 'Source', cell: page };
const since = {
  name: 'Since (UTC)', named: true, cell: (x) => time(x.time), key: (x) => x.time || 0, descending: true,
};

export const eventColumns = [
  { ...since, name: 'Time (UTC)', named: false },
  severity,
  { name: 'State', key: (e) => e.state, cell: (e) => [
    el('span', { class: `state state-${e.state.toLowerCase()}` }, e.state),
    e.resolution === 'detected' ? null : el('div', { class: 'muted' }, bdi(e.resolution, 24))] },
  { name: 'Event', cell: (e) => bdi(e.title, 160), key: (e) => e.title, wide: true },
  { name: 'Found by', cell: (e) => [observable(e.foundBy[0]), more(e.foundBy)],
    key: (e) => e.foundBy[0]?.value ?? '',
    wide: true },
  { name: 'Host', cell: (e) => [text(e.hosts[0]?.name), more(e.hosts)], key: (e) => e.hosts[0]?.name ?? '' },
];

export const judgementColumns = [
  { name: 'Disposition', cell: (j) => badge(j.disposition, 'd'),
    key: (j) => worstFirst.indexOf(j.disposition) },
  { name: 'Judged', cell: (j) => observable(j.observable), key: (j) => j.observable?.value ?? '',
    wide: true },
  { name: 'Reason', cell: (j) => text(j.reason), key: (j) => j.reason, wide: true },
  severity, confidence,
  { name: 'Priority', named: true, cell: (j) => String(j.priority), key: (j) => j.priority,
    descending: true },
  since, source,
];

export const indicatorColumns = [
  { name: 'Indicator', cell: (i) => bdi(i.title, 90), key: (i) => i.title, wide: true },
  severity, confidence,
  { name: 'Events', named: true, cell: (i) => number(i.events.length), key: (i) => i.events.length,
    descending: true },
  { name: 'Tags', cell: (i) => (i.tags.length ? i.tags.map((t) => [bdi(t, 40), ' ']) : text('')),
    key: (i) => i.tags.join(' ') },
  since, source,
];

const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b
  : String(a).localeCompare(String(b), 'en', { numeric: true, sensitivity: 'base' }));

const matching = (rows, query) => {
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean);
  return parts.length ? rows.filter((r) => parts.every((p) => r.hay.includes(p))) : rows;
};

// createTable fills pane. name is of one row ("event"); match(rows, query) filters; opening a row calls
// open(row).
export function createTable({ pane, name, columns, open, match = matching, typed = () => {} }) {
  let rows = [];
  let none = ''; // in place of "No events."
  let sortBy = 0;
  let down = Boolean(columns[0].descending);
  let at = 0;
  let current = '';

  const body = el('tbody', { role: 'rowgroup' });
  const filter = el('input', {
    type: 'search', id: `filter-${name}`, placeholder: `Filter ${name}s`, 'aria-label': `Filter ${name}s`,
    autocomplete: 'off', spellcheck: 'false', oninput: () => search(filter.value),
  });
  const said = el('span', { class: 'muted', role: 'status' });
  const earlier = button('‹', () => turn(-1), 'quiet', { 'aria-label': `Previous page of ${name}s` });
  const later = button('›', () => turn(1), 'quiet', { 'aria-label': `Next page of ${name}s` });
  const heads = columns.map((column, i) => el('th',
    { scope: 'col', role: 'columnheader', class: column.wide ? 'wide' : null },
    column.key ? button([column.name, el('span', { class: 'arrow', 'aria-hidden': 'true' })], () => sort(i),
      'sort',
      { 'aria-label': `Sort by ${column.name}` }) : column.name));
  const sorter = el('select',
    { class: 'sorter', 'aria-label': `Sort ${name}s by`, onchange: () => sort(Number(sorter.value)) },
    columns.map((column, i) => (column.key ? el('option', { value: i }, column.name) : null)));
  const grid = el('table', { role: 'table', 'aria-label': `${name[0].toUpperCase()}${name.slice(1)}s` },
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, heads)), body);
  pane.replaceChildren(
    el('div', { class: 'table-bar' }, filter, sorter, said, el('span', { class: 'pages' }, earlier, later)),
    el('div', { class: 'scroll' }, grid));

  function search(query) {
    filter.value = query;
    at = 0;
    typed(query);
    render();
  }

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
    return found.map((row, i) => ({ row, i, k: key(row) }))
      .sort((a, b) => sign * compare(a.k, b.k) || a.i - b.i)
      .map(({ row }) => row);
  }

  // line builds a row. Its first cell is a button, so that the row can be opened from the keyboard; a click
  // anywhere on it does the same.
  function line(row) {
    const first = (content) => button([content, el('span', { class: 'hidden-text' }, ', open details')],
      () => open(row), 'open');
    return el('tr', {
      role: 'row', dataset: { id: row.id }, class: row.id === current ? 'current' : null,
      onclick: (event) => { if (!event.target.closest('a, button')
        && getSelection().isCollapsed) open(row); },
    }, columns.map((column, i) => el('td',
      { role: 'cell', 'data-label': column.named ? column.name : null, class: column.wide ? 'wide' : null },
      el('div', null, i === 0 ? first(column.cell(row)) : column.cell(row)))));
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
    const matched = found.length === rows.length ? all : `${number(found.length)} of ${all}`;
    said.textContent = rows.length === 0 ? none || `No ${name}s.` : found.length === 0
      ? `None of ${all} matches.`
      : pages > 1 ? `${number(from + 1)}–${number(from + part.length)} of ${matched}` : matched;
    earlier.disabled = at === 0;
    later.disabled = at === pages - 1;
    earlier.parentElement.hidden = pages === 1;
    grid.parentElement.hidden = found.length === 0;
  }

  return {
    show(all, instead) { rows = all; none = instead; search(''); },
    render() { at = 0; render(); },
    search,
    mark(id) {
      current = id;
      for (const tr of body.rows) tr.classList.toggle('current', tr.dataset.id === id);
    },
  };
}
