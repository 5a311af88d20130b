// The events along time: a row for each severity, filled for what is still so on the endpoint, hollow for
// history. The table of events below holds the same for the keyboard.

import { button, clip, count, el, markOf, number, plain, when } from './dom.js';
import { severities } from './model.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const steps = [
  ...[1, 5, 15, 30].map((n) => n * second), ...[1, 5, 15, 30].map((n) => n * minute),
  ...[1, 3, 6, 12].map((n) => n * hour), ...[1, 2, 7, 14, 30, 91, 365].map((n) => n * day),
];

// ticks puts marks at round times, about as many as fit.
function ticks(min, max, most) {
  const step = steps.find((s) => (max - min) / s <= most)
    ?? Math.ceil((max - min) / most / (365 * day)) * 365 * day;
  const first = Math.ceil(min / step) * step;
  const length = Math.max(0, Math.floor((max - first) / step) + 1);
  return Array.from({ length }, (_, i) => ({ value: first + i * step }));
}

// tickLabel says the day where it changes, and the time where the marks are closer than days.
function tickLabel(value, index, all) {
  const text = when(value);
  const step = all.length > 1 ? all[1].value - all[0].value : day;
  if (step >= day) return text.slice(0, 10);
  const clock = text.slice(11, step < minute ? 19 : 16);
  const fresh = index === 0 || when(all[index - 1].value).slice(0, 10) !== text.slice(0, 10);
  return fresh ? [clock, text.slice(0, 10)] : clock;
}

// spread moves points of one row aside that would cover each other.
function spread(points, span) {
  const rows = new Map();
  const offsets = [0, 0.14, -0.14, 0.28, -0.28, 0.07, -0.07, 0.21, -0.21];
  for (const p of points.toSorted((a, b) => a.x - b.x)) {
    const last = rows.get(p.row) ?? { x: -Infinity, turn: 0 };
    const turn = p.x - last.x > span * 0.008 ? 0 : last.turn + 1;
    rows.set(p.row, { x: p.x, turn });
    p.y = p.row + offsets[turn % offsets.length];
  }
}

// createTimeline draws into the page's elements and calls open(event id) for a point, filtered() when a
// facet is switched.
export function createTimeline({ canvas, facets, none, filters, open, filtered }) {
  let chart = null;
  let chosen = '';

  function draw(events) {
    const timed = events.filter((s) => Number.isFinite(s.time));
    none.hidden = timed.length > 0;
    canvas.parentElement.hidden = timed.length === 0;
    const rows = severities.filter((severity) => timed.some((s) => s.severity === severity));
    canvas.parentElement.style.height = `${58 + rows.length * 38}px`;
    const times = timed.map((s) => s.time);
    let min = times.reduce((a, b) => Math.min(a, b), Infinity);
    let max = times.reduce((a, b) => Math.max(a, b), -Infinity);
    canvas.setAttribute('aria-label', timed.length === 0 ? 'Timeline without events'
      : `Timeline of ${count(timed.length, 'event')} from ${when(min)} to ${when(max)} UTC: `
        + `${rows.map((r) => `${r} ${timed.filter((s) => s.severity === r).length}`).join(', ')}. `
        + 'The table of events holds the same.');
    const margin = Math.max((max - min) * 0.02, 30 * second);
    min -= margin;
    max += margin;
    const points = timed.map((s) => ({ x: s.time, row: rows.indexOf(s.severity), event: s }));
    spread(points, max - min);

    const many = timed.length > 300;
    const colours = Object.fromEntries(severities.map((severity) =>
      [severity, css(`--s-${severity.toLowerCase()}`)]));
    const panel = css('--panel');
    const accent = css('--accent');
    const colour = (c) => colours[c.raw?.event.severity];
    const data = { datasets: [{
      data: points, parsing: false, clip: 8,
      pointRadius: (c) => (c.raw?.event.id === chosen ? 8 : many ? 3.5 : 5.5),
      pointHoverRadius: 8, pointHitRadius: 8,
      pointBackgroundColor: (c) => (c.raw?.event.state === 'Active' ? colour(c) : panel),
      pointBorderColor: (c) => (c.raw?.event.id === chosen ? accent : colour(c)),
      pointBorderWidth: (c) => (c.raw?.event.id === chosen ? 3 : 2),
    }] };
    const options = {
      animation: false, responsive: true, maintainAspectRatio: false,
      events: ['mousemove', 'mouseout', 'click', 'touchstart'],
      interaction: { mode: 'nearest', intersect: true },
      layout: { padding: { right: 12, top: 4 } },
      scales: {
        x: {
          type: 'linear', min, max, border: { color: css('--line') }, grid: { color: css('--line') },
          afterBuildTicks: (axis) => {
            axis.ticks = ticks(axis.min, axis.max, Math.max(2, Math.floor(axis.width / 78)));
          },
          ticks: {
            color: css('--faint'), font: { size: 11, family: css('--sans') }, maxRotation: 0,
            autoSkip: false,
            callback: tickLabel,
          },
        },
        y: {
          type: 'linear', min: -0.5, max: rows.length - 0.5, reverse: true, border: { display: false },
          grid: { color: css('--line') },
          afterBuildTicks: (axis) => { axis.ticks = rows.map((_, value) => ({ value })); },
          ticks: {
            color: (c) => colours[rows[c.index]], font: { size: 12, weight: 600, family: css('--sans') },
            autoSkip: false, callback: (value) => `${markOf(rows[value])} ${rows[value] ?? ''}`,
          },
        },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false, backgroundColor: css('--tip'), titleColor: css('--tip-ink'),
          bodyColor: css('--tip-ink'), titleFont: { family: css('--sans'), size: 12 },
          bodyFont: { family: css('--sans'), size: 12 }, padding: 9,
          callbacks: {
            title: ([item]) => plain(clip(item.raw.event.title, 60)),
            label: ({ raw: { event: e } }) => [`${when(e.time)} UTC · ${e.severity} · ${e.state}`,
              ...e.foundBy.slice(0, 2).map((o) => plain(clip(o.value, 48))),
              ...e.hosts.slice(0, 2).map((h) => `on ${plain(clip(h.name, 40))}`)],
          },
        },
      },
      onClick: (_, found) => { if (found.length) open(points[found[0].index].event.id); },
      onHover: (_, found) => { canvas.classList.toggle('over', found.length > 0); },
    };
    if (chart) {
      chart.data = data;
      chart.options = options;
      chart.resize();
      chart.update('none');
    } else {
      chart = new globalThis.Chart(canvas, { type: 'scatter', data, options });
    }
    draw.last = events;
  }

  // drawFacets shows the severities and states as switches that filter the timeline and the table alike.
  function drawFacets(all) {
    const facet = (set, word, mark, n) => {
      const facet = button([
        el('span', { class: 'mark', 'aria-hidden': 'true' }, mark === 's' ? markOf(word) : ''), word, ' ',
        el('span', { class: 'count' }, number(n)),
      ], () => {
        if (!set.delete(word)) set.add(word);
        facet.setAttribute('aria-pressed', String(set.has(word)));
        filtered();
      }, `facet ${mark}-${word.toLowerCase()}`, { 'aria-pressed': String(set.has(word)) });
      return facet;
    };
    const group = (name, set, words, mark, of) => el('div', { role: 'group', 'aria-label': name },
      words.map((word) => [word, all.filter((e) => of(e) === word).length]).filter(([, n]) => n)
        .map(([word, n]) => facet(set, word, mark, n)));
    drawSpan();
    facets.replaceChildren(whole, group('Severity', filters.severities, severities, 's', (e) => e.severity),
      group('State', filters.states, ['Active', 'Historical', 'Unknown'], 'state', (e) => e.state));
  }

  // A span that is dragged out with the mouse or a pen becomes a filter. From the keyboard, a time typed
  // into the table's filter does the same.
  const box = canvas.parentElement;
  const span = el('div', { class: 'span', hidden: true });
  box.append(span);
  let from = null;
  const within = (event) => Math.min(Math.max(event.clientX - canvas.getBoundingClientRect().left,
    chart.chartArea.left), chart.chartArea.right);
  canvas.addEventListener('pointerdown', (event) => {
    if (!chart || event.button !== 0 || event.pointerType === 'touch') return;
    from = within(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (from === null) return;
    const to = within(event);
    span.hidden = Math.abs(to - from) < 6;
    span.style.left = `${Math.min(from, to)}px`;
    span.style.width = `${Math.abs(to - from)}px`;
  });
  const release = (event) => {
    if (from === null) return;
    const ends = [from, within(event)].sort((a, b) => a - b)
      .map((x) => chart.scales.x.getValueForPixel(x));
    const dragged = !span.hidden && event.type === 'pointerup';
    from = null;
    span.hidden = true;
    if (!dragged) return;
    filters.span = ends;
    drawSpan();
    filtered();
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);

  const whole = button('', () => {
    filters.span = null;
    drawSpan();
    filtered();
    facets.querySelector('button')?.focus();
  }, 'facet');
  function drawSpan() {
    whole.hidden = !filters.span;
    if (!filters.span) return;
    whole.replaceChildren(el('span', { class: 'hidden-text' }, 'Show the whole time instead of '),
      filters.span.map(when).join(' – '), el('span', { 'aria-hidden': 'true' }, ' ×'));
  }

  function choose(id) {
    chosen = id;
    chart?.update('none');
  }

  document.addEventListener('themechange', () => { if (chart && draw.last) draw(draw.last); });
  return { draw, drawFacets, choose };
}
