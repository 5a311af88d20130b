// The relay's tiles as XDR's dashboard would show them. A tile whose answer is not what its type needs says
// so and leaves the others as they are.

import { tiles } from './api.js';
import { bdi, clip, count, el, link, number, plain, safeURL, when } from './dom.js';
import { markdown } from './markdown.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// colourOf gives the class of a series. Verdicts have their own colours.
const verdicts = ['malicious', 'suspicious', 'remediated'];
const colourOf = (name, i) => (verdicts.includes(String(name).toLowerCase())
  ? `v-${String(name).toLowerCase()}` : `t-${i % 5}`);

const linked = (url, label) => (safeURL(url) ? link(url, bdi(label, 40)) : bdi(label, 40));
const swatch = (colour) => el('span', { class: `swatch ${colour}`, 'aria-hidden': 'true' });
const legend = (entries) => el('ul', { class: 'legend' }, entries.map(({ label, value, colour, url }) => (
  el('li', null, swatch(colour), ' ', linked(url, label), ' ', el('strong', null, number(value))))));

const fonts = () => ({ size: 11, family: css('--sans') });
const common = () => ({
  animation: false, responsive: true, maintainAspectRatio: false,
  plugins: { legend: { display: false }, tooltip: {
    backgroundColor: css('--tip'), titleColor: css('--tip-ink'), bodyColor: css('--tip-ink'),
  } },
});

// canvas gives a drawing that is drawn once it is on the page, and again in another theme.
function canvas(label, config) {
  const node = el('canvas', { role: 'img', 'aria-label': plain(label) });
  node.draw = () => {
    globalThis.Chart.getChart(node)?.destroy();
    new globalThis.Chart(node, config());
  };
  return el('div', { class: 'chart' }, node);
}

const shapes = {
  metric_group: ({ data }) => el('div', { class: 'metrics' }, data.map((m) => el('p', null,
    el('span', { class: 'muted' }, linked(m.link_uri, m.label)),
    el('span', { class: `figure ${colourOf(m.label, 0)}` }, number(m.value))))),

  vertical_bar_chart({ keys, data }) {
    const series = keys.map(({ key, label }, i) => {
      const values = data.map((bar) => bar.values.find((v) => v.key === key)?.value ?? 0);
      return { label, values, colour: colourOf(key, i), value: values.reduce((a, b) => a + b, 0) };
    });
    const summary = `Bar chart: ${series.map((s) => `${s.label} ${s.value}`).join(', ')}`;
    return [canvas(summary, () => ({
      type: 'bar',
      data: { labels: data.map((bar) => plain(bar.label)), datasets: series.map((s) => ({
        label: plain(s.label), data: s.values, backgroundColor: css(`--${s.colour}`), maxBarThickness: 46,
      })) },
      options: { ...common(), scales: {
        x: { stacked: true, grid: { display: false }, border: { color: css('--line') },
          ticks: { color: css('--faint'), font: fonts(), maxRotation: 0, autoSkipPadding: 12,
            callback: (_, i) => plain(data[i].label).slice(5) } },
        y: { stacked: true, beginAtZero: true, grid: { color: css('--line') }, border: { display: false },
          ticks: { color: css('--faint'), font: fonts(), precision: 0 } },
      } },
    })), legend(series)];
  },

  donut_graph({ labels, data }) {
    const [outer, inner] = labels;
    const slices = data.map((d, i) => ({ label: outer[d.key], value: d.value, url: d.link_uri,
      colour: colourOf(outer[d.key], i) }));
    const segments = inner ? data.flatMap((d) => d.segments.map((s) => ({ label: inner[s.key],
      value: s.value, colour: colourOf(inner[s.key], s.key) }))) : [];
    const sums = (inner ?? []).map((label, i) => ({ label, colour: colourOf(label, i),
      value: segments.filter((s) => s.label === label).reduce((sum, s) => sum + s.value, 0) }));
    const total = slices.reduce((sum, s) => sum + s.value, 0);
    const ring = (parts) => ({ data: parts.map((p) => p.value), borderColor: css('--panel'), borderWidth: 2,
      backgroundColor: parts.map((p) => css(`--${p.colour}`)), names: parts.map((p) => plain(p.label)) });
    const options = () => {
      const all = common();
      all.plugins.tooltip.callbacks = { title: () => '',
        label: ({ dataset, dataIndex: i }) => ` ${dataset.names[i]}: ${number(dataset.data[i])}` };
      return { ...all, cutout: '45%' };
    };
    const summary = `Donut: ${slices.map((s) => `${s.label} ${s.value}`).join(', ')}`;
    const drawing = total ? canvas(summary, () => ({
      type: 'doughnut', options: options(),
      data: { datasets: inner ? [ring(slices), ring(segments)] : [ring(slices)] },
    })) : el('p', { class: 'muted' }, 'None.');
    return el('div', { class: 'donut' }, drawing,
      el('div', null, slices.length ? legend(slices) : null, inner ? legend(sums) : null));
  },

  // A line that begins with a bar is a row of a table, and a cell that is one link becomes it.
  markdown({ data }) {
    const rows = data.filter((line) => line?.startsWith?.('|') && !/^[|\s:-]+$/.test(line))
      .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
    const cell = (text) => {
      const [, label, url] = /^\[([^\]]*)\]\(([^\s()]+)\)$/.exec(text) ?? [];
      return url ? link(url, bdi(label, 60)) : markdown(text);
    };
    const [head, ...body] = rows;
    return [
      ...data.filter((line) => !line?.startsWith?.('|')).map((line) => markdown(String(line))),
      head ? el('div', { class: 'scroll' }, el('table', null,
        el('thead', null, el('tr', null, head.map((text) => el('th', { scope: 'col' }, bdi(text, 60))))),
        el('tbody', null, body.map((row) => el('tr', null, row.map((text, i) => el('td', {
          class: text.length < 32 || text.startsWith('[') ? 'short' : 'wide', 'data-label': head[i] || null,
        }, cell(text)))))))) : null,
    ];
  },
};

function content(head, answer) {
  if (!answer?.data) return el('p', { class: 'not-known' }, 'Not known.');
  const draw = Object.hasOwn(shapes, head.type) ? shapes[head.type] : null;
  if (!draw) return el('p', { class: 'muted' }, 'This page cannot draw the type ', bdi(head.type, 40), '.');
  try {
    return draw(answer.data);
  } catch {
    return el('p', { class: 'not-known' }, 'The answer is not what this type of tile needs.');
  }
}

const problem = (p) => el('p', { class: `tile-problem ${p.type}` },
  el('strong', null, p.type === 'warning' ? 'Warning' : bdi(p.heading, 60), ': '), bdi(p.message, 300));

// createTiles fills the box when the panel is opened, and again for another period.
export function createTiles({ panel, period, box, status }) {
  let asking = null;
  async function load() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    status.textContent = 'Asking the relay…';
    try {
      const answer = await tiles(period.value, mine.signal);
      const calls = answer.tiles.reduce((sum, t) => sum + t.cost.calls, 0);
      box.replaceChildren(...(answer.problems ?? []).map(problem), ...answer.tiles.map((t) => el('section', {
        class: 'panel dashboard-tile', title: plain(clip(String(t.head.description ?? ''), 500)),
      }, el('h3', null, bdi(t.head.title, 80)), content(t.head, t.answer), (t.problems ?? []).map(problem))));
      for (const node of box.querySelectorAll('canvas')) node.draw();
      const seen = answer.tiles.find((t) => t.answer?.data)?.answer.data.observed_time;
      const at = (text) => when(Date.parse(text));
      status.textContent = `${seen ? `${at(seen.start_time)} to ${at(seen.end_time)} UTC, ` : ''}`
        + `${count(calls, 'call')} to Qualys`;
    } catch (error) {
      if (mine.signal.aborted) return;
      box.replaceChildren();
      status.textContent = error.message;
    }
  }
  panel.addEventListener('toggle', () => { if (panel.open && !asking) load(); });
  period.addEventListener('change', load);
  document.addEventListener('themechange', () => {
    for (const node of box.querySelectorAll('canvas')) node.draw();
  });
}
