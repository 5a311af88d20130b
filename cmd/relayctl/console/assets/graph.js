// The relation graph: a drawing of the outline beside it, which holds the same nodes as buttons and serves
// the keyboard.

import cytoscape from './vendor/cytoscape.esm.min.mjs';
import { badge, bdi, button, clip, count, el, markOf, number, plain } from './dom.js';
import { kinds, kindNames, worstFirst } from './model.js';
import { place, select } from './layout.js';

const limits = { most: 44, each: 12 }; // nodes: more cannot be told apart
const labelled = 48; // edges; with more of them only those of the chosen node are named

// Line drawings in a 24 by 24 box, one for each kind.
const icons = {
  host: 'M4 5h16v10H4zM9 19h6M12 15v4',
  process: 'M5 5h14v14H5zM8 9l3 3-3 3M13 15h3',
  mutex: 'M6 11h12v8H6zM9 11V8a3 3 0 0 1 6 0v3',
  file: 'M7 4h7l4 4v12H7zM14 4v4h4',
  registry: 'M9 5L7 19M17 5l-2 14M5 9.5h14M4.5 14.5h14',
  domain: 'M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16M4 12h16M12 4c-5 5-5 11 0 16c5-5 5-11 0-16',
  address: 'M12 20s6-5.4 6-10a6 6 0 0 0-12 0c0 4.600 6 10 6 10'
    + 'M12 8.200a1.900 1.900 0 1 0 0 3.800a1.900 1.900 0 1 0 0-3.800',
  other: 'M12 5l7 7-7 7-7-7z',
};
const shapes = {
  host: 'round-rectangle', process: 'round-hexagon', mutex: 'round-diamond', file: 'round-tag',
  registry: 'round-rectangle', domain: 'ellipse', address: 'ellipse', other: 'rectangle',
};
const borders = { Malicious: 'solid', Suspicious: 'dashed', Clean: 'solid', Common: 'solid',
  Unknown: 'dotted', '': 'solid' };

// shortLabel keeps what tells a node from its neighbours: the end of a path, little of a hash.
function shortLabel(n, limit) {
  const label = n.label.slice(0, 4000);
  const type = n.values[0]?.type;
  if (['sha256', 'md5', 'sha1'].includes(type)) return clip(label, Math.min(limit - 2, 13));
  if (type === 'file_path' || type === 'registry_key') {
    const name = label.slice(Math.max(label.lastIndexOf('\\'), label.lastIndexOf('/')) + 1);
    if (name && name !== label) return `…${label.includes('\\') ? '\\' : '/'}${clip(name, limit - 2)}`;
  }
  return clip(label, limit);
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const icon = (kind, colour) => `data:image/svg+xml;utf8,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48" viewBox="0 0 24 24" fill="none" `
  + `stroke="${colour}" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round">`
  + `<path d="${icons[kind]}"/></svg>`)}`;

// createGraph draws into the page's elements and calls openNode(key) or openEdge(edge) when one is chosen.
export function createGraph({ canvas, outline, legend, openNode, openEdge }) {
  let cy = null;
  let known = true; // whether a node without events has none
  let shown = { nodes: [], edges: [] };
  let chosen = [[]]; // arguments of near

  const upright = () => canvas.clientWidth < 520;

  function draw(model) {
    shown = select(model, limits);
    known = !model.missing.events;
    chosen = [[]];
    cy?.destroy();
    const few = shown.edges.length <= labelled;
    const positions = arrange();
    cy = cytoscape({
      container: canvas,
      elements: [
        ...shown.nodes.map((n) => ({
          data: { id: n.key, label: nodeLabel(n), kind: n.kind, disposition: n.disposition },
          position: positions.get(n.key),
          classes: [n.asked && 'asked', n.more && 'more', n.events.length === 0 && 'unseen'].filter(Boolean)
            .join(' '),
        })),
        ...shown.edges.map((e) => ({
          data: {
            id: e.key, source: e.from, target: e.to, width: 1 + Math.min(3, Math.log2(e.events.length)),
            label: plain(clip(e.relation, 30)) + (e.events.length > 1 ? ` ×${e.events.length}` : ''),
          },
          classes: [e.relation === 'seen on' || e.relation === 'address of' ? 'place' : '', e.active ? ''
            : 'past',
            few && e.relation !== 'seen on' ? 'named' : '', few ? '' : 'dense'].join(' '),
        })),
      ],
      layout: { name: 'preset' }, style: style(), minZoom: 0.2, maxZoom: 3, boxSelectionEnabled: false,
      autounselectify: true, pixelRatio: 'auto',
    });
    fit();
    cy.on('tap', 'node', (event) => openNode(event.target.id()));
    cy.on('tap', 'edge', (event) => openEdge(shown.edges.find((e) => e.key === event.target.id())));
    cy.on('mouseover', 'node', (event) => near([event.target.id()]));
    cy.on('mouseout', 'node', () => near(...chosen));
    cy.on('mouseover', 'node, edge', () => canvas.classList.add('over'));
    cy.on('mouseout', 'node, edge', () => canvas.classList.remove('over'));
    drawOutline();
    drawLegend();
    const hidden = shown.nodes.filter((n) => n.more).reduce((sum, n) => sum + n.more.length, 0);
    canvas.setAttribute('aria-label', `Relation graph of ${count(shown.nodes.length, 'node')} and `
      + `${count(shown.edges.length, 'relation')}${hidden ? `, ${number(hidden)} more gathered` : ''}. `
      + 'The list before it holds the same entries.');
  }

  const arrange = () => place(shown,
    { width: canvas.clientWidth, height: canvas.clientHeight, upright: upright() });

  function fit() {
    if (!cy || cy.elements().empty()) return;
    cy.resize();
    cy.fit(undefined, upright() ? 6 : 26);
    if (cy.zoom() > 1.25) {
      cy.zoom(1.25);
      cy.center();
    }
    still(upright());
  }

  // still leaves a finger on the canvas to the page, which it scrolls. Once the drawing is zoomed, the
  // finger moves it.
  function still(yes) {
    cy.userPanningEnabled(!yes);
    cy.autoungrabify(yes);
    canvas.classList.toggle('still', yes);
  }

  function zoom(factor) {
    if (!cy) return;
    still(false);
    const middle = { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 };
    cy.zoom({ level: cy.zoom() * factor, renderedPosition: middle });
  }

  // near brings out nodes and what lies between them and around; of one node alone, all that it touches.
  function near(keys, around = []) {
    if (!cy) return;
    const nodesOf = (list) => cy.collection(list.map((key) => cy.getElementById(key)[0]).filter(Boolean));
    cy.batch(() => {
      cy.elements().removeClass('near far chosen');
      const all = nodesOf([...keys, ...around]);
      if (all.empty()) return;
      const shown = all.length === 1 ? all.closedNeighborhood() : all.union(all.edgesWith(all));
      shown.addClass('near');
      cy.elements().not(shown).addClass('far');
      if (keys.length === 1) nodesOf(keys).addClass('chosen');
    });
  }

  // choose marks nodes here and in the outline, and brings out what is around them; without any it lets go.
  function choose(keys = [], around = []) {
    chosen = [keys, around];
    near(...chosen);
    for (const entry of outline.querySelectorAll('button[data-key]')) {
      if (keys.includes(entry.dataset.key)) entry.setAttribute('aria-current', 'true');
      else entry.removeAttribute('aria-current');
    }
  }

  const without = () => (known ? 'no event' : 'not known');

  function nodeLabel(n) {
    const second = n.more ? '' : n.disposition ? `${markOf(n.disposition)} ${n.disposition}`
      : n.events.length === 0 ? without() : n.kind === 'host' ? `${n.severity} · ${n.events.length}` : '';
    const limit = upright() ? 11 : 20;
    return clip(plain(shortLabel(n, limit)), limit + 10) + (second ? `\n${second}` : '');
  }

  function drawOutline() {
    const groups = kinds.map((kind) => [kind, shown.nodes.filter((n) => n.kind === kind)])
      .filter(([, n]) => n.length);
    const order = (a, b) => Boolean(a.more) - Boolean(b.more) || b.events.length - a.events.length;
    const entry = (n) => el('li', null, button([
      el('span', { class: `dot d-${(n.disposition || 'plain').toLowerCase()}`, 'aria-hidden': 'true' },
        markOf(n.disposition)),
      bdi(n.label, 60), n.disposition ? el('span', { class: 'hidden-text' }, `, ${n.disposition}`) : null,
      n.more ? null : el('span', { class: 'count' }, n.events.length || !known ? n.events.length || '?' : 0,
        el('span', { class: 'hidden-text' }, n.events.length === 1 ? ' event' : ' events')),
    ], () => openNode(n.key), 'node', {
      dataset: { key: n.key },
      title: n.more ? null : `${kindNames[n.kind][0]}, `
        + (n.events.length ? count(n.events.length, 'event') : without()) + (n.asked ? ', asked for' : ''),
    }));
    outline.replaceChildren(...groups.map(([kind, nodes]) => el('section', null,
      el('h3', null, kindNames[kind][1],
        el('span', { class: 'count' }, number(nodes.reduce((sum, n) => sum + (n.more?.length ?? 1), 0)))),
      el('ul', null, nodes.toSorted(order).map(entry)))));
  }

  function drawLegend() {
    const present = worstFirst.filter((d) => shown.nodes.some((n) => n.disposition === d));
    legend.replaceChildren(...present.map((d) => badge(d, 'd')),
      el('span', { class: 'key asked' }, 'asked for'),
      ...(shown.edges.length ? [el('span', { class: 'key place' }, 'seen on host'),
        el('span', { class: 'key past' }, 'history only')] : []));
  }

  const style = () => {
    const ink = css('--ink');
    const faint = css('--faint');
    const panel = css('--panel');
    const colours = Object.fromEntries(Object.keys(borders)
      .map((d) => [d, css(`--d-${(d || 'plain').toLowerCase()}`)]));
    const colourOf = (n) => colours[n.data('disposition')];
    const pictures = new Map();
    const picture = (n) => {
      const key = `${n.data('kind')} ${n.data('disposition')}`;
      if (!pictures.has(key)) pictures.set(key, icon(n.data('kind'), colourOf(n)));
      return pictures.get(key);
    };
    const text = {
      'font-family': css('--sans'), 'text-background-color': panel, 'min-zoomed-font-size': 5,
      'overlay-opacity': 0,
    };
    return [
      { selector: 'node', style: {
        ...text, width: 34, height: 34, shape: (n) => shapes[n.data('kind')],
        'background-color': css('--raised'),
        'border-width': 1.5, 'border-color': colourOf, 'border-style': (n) => borders[n.data('disposition')]
          ?? 'solid',
        'background-image': picture, 'background-width': '62%', 'background-height': '62%',
        label: 'data(label)',
        'text-wrap': 'wrap', 'text-max-width': 200, 'text-valign': 'bottom', 'text-margin-y': 4,
        'font-size': 11,
        'line-height': 1.2, color: ink, 'text-background-opacity': 0.85, 'text-background-padding': 1,
      } },
      { selector: 'node[disposition = "Malicious"]',
        style: { 'border-width': 3, 'background-color': css('--d-malicious-soft') } },
      { selector: 'node[disposition = "Suspicious"]',
        style: { 'border-width': 3, 'background-color': css('--d-suspicious-soft') } },
      { selector: 'node.asked', style: { width: 42, height: 42, 'font-weight': 600 } },
      { selector: 'node.unseen', style: { 'border-style': 'dotted', color: faint } },
      { selector: 'node.more', style: { 'border-style': 'dashed', 'font-style': 'italic' } },
      { selector: 'edge', style: {
        ...text, width: 'data(width)', 'line-color': css('--edge'), 'target-arrow-color': css('--edge'),
        'target-arrow-shape': 'triangle', 'arrow-scale': 0.8, 'curve-style': 'bezier',
        'control-point-step-size': 46,
        'font-size': 9.5, color: faint, 'text-rotation': 'autorotate', 'text-background-opacity': 0.9,
        'text-background-padding': 1.5,
      } },
      { selector: 'edge.place',
        style: { 'line-color': css('--edge-soft'), 'target-arrow-color': css('--edge-soft') } },
      { selector: 'edge.dense', style: { opacity: 0.45 } },
      { selector: 'edge.past', style: { 'line-style': 'dashed' } },
      { selector: 'edge.named, edge.near', style: { label: 'data(label)' } },
      { selector: 'edge.near', style: {
        'line-color': css('--accent'), 'target-arrow-color': css('--accent'), color: ink, opacity: 1,
        'z-index': 9,
      } },
      { selector: '.far', style: { opacity: 0.22 } },
      { selector: 'node.chosen', style: {
        'underlay-color': css('--accent'), 'underlay-opacity': 0.3, 'underlay-padding': 5,
        'underlay-shape': 'round-rectangle', 'underlay-corner-radius': 12,
      } },
    ];
  };

  document.addEventListener('themechange', () => cy?.style(style()));
  // The library remembers where the canvas is on the page; what is drawn above it may have moved it since.
  for (const name of ['pointerenter', 'pointerdown', 'wheel']) {
    canvas.addEventListener(name, () => cy?.resize(), { capture: true, passive: true });
  }

  // Two fingers zoom the drawing and do not scroll the page. One does, which the library would prevent where
  // it moves on a node or an edge.
  canvas.addEventListener('touchstart', (event) => {
    if (!cy || event.touches.length < 2) return;
    still(false);
    if (event.cancelable) event.preventDefault();
  }, { capture: true, passive: false });
  canvas.addEventListener('touchmove', (event) => {
    if (canvas.classList.contains('still') || !event.cancelable) event.stopPropagation();
  }, { passive: true });
  // Once the browser scrolls, it is no tap either.
  canvas.addEventListener('pointercancel', () => window.dispatchEvent(new Event('touchcancel')));

  let width = 0;
  new ResizeObserver(() => {
    if (!cy || canvas.clientWidth === width) return;
    width = canvas.clientWidth;
    const positions = arrange();
    cy.nodes().positions((n) => positions.get(n.id()));
    fit();
  }).observe(canvas);

  // positionOf is where a node or the middle of an edge is drawn, in pixels of the page: for tests that
  // click on it.
  const positionOf = (key) => {
    const drawn = cy?.getElementById(key);
    if (!drawn || drawn.empty()) return null;
    const box = canvas.getBoundingClientRect();
    const p = drawn.isNode() ? drawn.renderedPosition() : drawn.renderedMidpoint();
    return { x: box.left + p.x, y: box.top + p.y };
  };

  // picture is the whole graph as a PNG.
  const picture = () => cy.png({ output: 'blob-promise', full: true, scale: 2, maxWidth: 8000,
    bg: css('--panel') });

  return {
    draw, choose, fit, picture, positionOf, zoomIn: () => zoom(1.25), zoomOut: () => zoom(0.8),
    zoom: () => cy?.zoom(),
    nodeOf: (key) => shown.nodes.find((n) => n.key === key),
  };
}
