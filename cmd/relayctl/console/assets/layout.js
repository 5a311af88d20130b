// Which nodes of a model are drawn, and where. Pure, and the same for the same answer: hosts first, then
// what ran on them, the files, the network.

import { kinds, kindNames } from './model.js';

const danger = { Malicious: 5, Suspicious: 4, Unknown: 1, Common: 1, Clean: 1, '': 0 };
const weight = (n) => (n.asked ? 1000 : 0) + danger[n.disposition] * 100 + (n.kind === 'host' ? 50 : 0)
  + Math.min(n.events.length, 40) + Math.min(n.active, 9);

// select takes the weightiest nodes: most in all, each of one kind, but always what was asked for as far as
// it fits. Of each kind the rest becomes one node "and N more". Edges follow their ends and are counted
// together.
export function select(model, { most, each }) {
  const all = [...model.nodes.values()];
  const kept = new Set();
  const ofKind = new Map();
  for (const n of [...all].sort((a, b) => weight(b) - weight(a))) {
    const taken = ofKind.get(n.kind) ?? 0;
    if (kept.size >= most || (taken >= each && !n.asked)) continue;
    kept.add(n);
    ofKind.set(n.kind, taken + 1);
  }
  const nodes = [...kept];
  const rest = new Map();
  const standsFor = new Map();
  for (const n of all) {
    if (kept.has(n)) continue;
    let more = rest.get(n.kind);
    if (!more) {
      more = { key: `more|${n.kind}`, kind: n.kind, more: [], values: [], disposition: '', asked: false };
      rest.set(n.kind, more);
      nodes.push(more);
    }
    more.more.push(n);
    standsFor.set(n.key, more.key);
  }
  for (const more of rest.values()) {
    const n = more.more.length;
    more.label = `and ${n.toLocaleString('en')} more ${kindNames[more.kind][n === 1 ? 0 : 1].toLowerCase()}`;
    more.events = [...new Set(more.more.flatMap((node) => node.events))];
    more.active = 0;
  }
  const edges = new Map();
  for (const e of model.edges) {
    const from = standsFor.get(e.from) ?? e.from;
    const to = standsFor.get(e.to) ?? e.to;
    if (from === to) continue;
    const key = `${from}\n${e.relation}\n${to}`;
    const at = edges.get(key);
    if (at) {
      at.events = [...new Set([...at.events, ...e.events])];
      at.active += e.active;
    } else edges.set(key, { ...e, key, from, to });
  }
  return { nodes, edges: [...edges.values()] };
}

// The order of columns, which follows how an intrusion is read.
const columns = [['host'], ['process', 'mutex', 'registry'], ['file', 'other'], ['domain'], ['address']];

// place gives each node a position: a column for each kind, in it ordered so that edges cross little. A
// narrow screen gets rows instead.
export function place({ nodes, edges }, { width, height, upright }) {
  const grid = columns.map((names) => nodes.filter((n) => names.includes(n.kind))).filter((c) => c.length);
  const near = new Map(nodes.map((n) => [n.key, []]));
  for (const e of edges) {
    near.get(e.from)?.push(e.to);
    near.get(e.to)?.push(e.from);
  }
  for (const column of grid) {
    column.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || weight(b) - weight(a)
      || (a.key < b.key ? -1 : 1));
  }

  const at = new Map();
  const note = (column) => column.forEach((n, i) => at.set(n.key, (i + 0.5) / column.length));
  grid.forEach(note);
  const centre = (n) => {
    const keys = near.get(n.key);
    return keys.length ? keys.reduce((sum, key) => sum + at.get(key), 0) / keys.length : at.get(n.key);
  };
  for (let sweep = 0; sweep < 6; sweep++) {
    for (const column of sweep % 2 ? [...grid].reverse() : grid) {
      const centres = new Map(column.map((n) => [n, centre(n)]));
      column.sort((a, b) => centres.get(a) - centres.get(b));
      note(column);
    }
  }

  // A column with too many nodes is split. Every second one is shifted by half a step, so that a label has
  // the room of two.
  const most = upright ? Math.max(3, Math.floor(width / 84)) : Math.max(4, Math.floor(height / 66));
  const lines = grid.flatMap((column) => {
    const parts = Array.from({ length: Math.ceil(column.length / most) }, () => []);
    column.forEach((n, i) => parts[i % parts.length].push(n));
    return parts;
  });
  const positions = new Map();
  const longest = Math.max(1, ...lines.map((line) => line.length));
  const [along, across] = upright ? [width - 20, height - 70] : [height - 70, width - 110];
  const gap = Math.max(upright ? 74 : 92, Math.min(across / Math.max(1, lines.length - 1), 190));
  const row = Math.max(upright ? 82 : 66, Math.min(along / longest, 130));
  lines.forEach((line, i) => {
    const step = Math.min(2, Math.max(1, Math.round(along / line.length / row))) * row;
    const shift = i % 2 ? 0.5 : 0;
    // on rows shared by all
    const start = (Math.round((-(line.length - 1) / 2) * (step / row) - shift) + shift) * row;
    line.forEach((n, k) => {
      const a = start + k * step;
      positions.set(n.key, upright ? { x: a, y: i * gap } : { x: i * gap, y: a });
    });
  });
  return positions;
}
