// From the relay's answers to what the page shows. Pure: no document, no clock, no network. An answer with missing or odd parts is read as far
// as it goes.

// Worst first.
export const severities = ['Critical', 'High', 'Medium', 'Low', 'Info', 'None', 'Unknown'];

// In the order in which CTIM lets one win over another of the same priority and age.
export const dispositions = ['Clean', 'Malicious', 'Suspicious', 'Common', 'Unknown'];

const dispositionNames = { 1: 'Clean', 2: 'Malicious', 3: 'Suspicious', 4: 'Common', 5: 'Unknown' };

// In the order of the graph's columns.
export const kinds = ['host', 'process', 'mutex', 'file', 'hash', 'domain', 'address', 'other'];

export const kindNames = {
  host: ['Host', 'Hosts'], process: ['Process', 'Processes'], mutex: ['Mutex', 'Mutexes'], file: ['File', 'Files'], hash: ['File hash', 'File hashes'],
  domain: ['Domain', 'Domains'], address: ['Address', 'Addresses'], other: ['Other', 'Others'],
};

const kindOfType = {
  process_name: 'process', process_path: 'process', process_args: 'process', process_hash: 'hash', mutex: 'mutex',
  file_name: 'file', file_path: 'file', md5: 'hash', sha1: 'hash', sha256: 'hash',
  domain: 'domain', hostname: 'domain', url: 'domain', ip: 'address', ipv6: 'address', mac_address: 'address',
};

const typeNames = {
  ip: 'IP', ipv6: 'IPv6', domain: 'Domain', hostname: 'Hostname', sha256: 'SHA-256', sha1: 'SHA-1', md5: 'MD5', file_name: 'File name',
  file_path: 'File path', process_name: 'Process', mutex: 'Mutex', host: 'Host', mac_address: 'MAC address', url: 'URL',
};

export const typeName = (type) => typeNames[type] ?? words(type);

// words turns CTIM's names into words: File_Name_Of, based-on.
export const words = (name) => String(name).replace(/[_-]+/g, ' ').toLowerCase();

const list = (value) => (Array.isArray(value) ? value.filter((x) => x !== null && typeof x === 'object') : []);
const texts = (value) => (Array.isArray(value) ? value.filter((x) => typeof x === 'string' && x !== '') : []);
const text = (value) => (typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : '');
const docs = (bundle, kind) => list(bundle?.[kind]?.docs);
const ms = (value) => (typeof value === 'string' ? Date.parse(value) : NaN);
const rank = (severity) => { const i = severities.indexOf(severity); return i < 0 ? severities.length : i; };
const severityOf = (doc) => (severities.includes(doc.severity) ? doc.severity : 'Unknown');
const dispositionOf = (doc) => dispositionNames[doc.disposition] ?? (dispositions.includes(doc.disposition_name) ? doc.disposition_name : 'Unknown');

const folded = new Set(['domain', 'hostname', 'md5', 'sha1', 'sha256', 'ipv6']);

// keyOf names an observable: the same key, the same thing.
export const keyOf = ({ type, value }) => `${text(type)}|${folded.has(type) ? text(value).toLowerCase() : text(value)}`;

const observable = (o) => (o && text(o.type) && text(o.value) ? { type: text(o.type), value: text(o.value) } : null);

// newestFirst compares times that may be missing.
const newestFirst = (a, b) => (Number.isNaN(b.time) ? -Infinity : b.time) - (Number.isNaN(a.time) ? -Infinity : a.time) || 0;

// buildModel reads what /api/investigate answered. asked are the observables that were sent.
export function buildModel(answer, asked) {
  const observe = answer.observe?.data ?? {};
  const deliberate = answer.deliberate?.data ?? {};

  const judgements = unique([...docs(observe, 'judgements'), ...docs(deliberate, 'judgements')]).map(judgement).sort(newestFirst);
  const indicators = unique(docs(observe, 'indicators')).map(indicator).sort(newestFirst);
  const verdicts = [...docs(deliberate, 'verdicts'), ...docs(observe, 'verdicts')].map(verdict).filter((v) => v.observable);
  const links = relationships(unique(docs(observe, 'relationships')));
  const sightings = unique(docs(observe, 'sightings')).map(sighting).sort(newestFirst);

  const graph = relations(sightings, asked);
  judge(graph.nodes, judgements, verdicts);

  const known = { indicators: new Set(indicators.map((i) => i.id)), judgements: new Set(judgements.map((j) => j.id)) };
  for (const s of sightings) {
    s.indicators = (links.get(s.id) ?? []).filter((id) => known.indicators.has(id));
    s.judgements = (links.get(s.id) ?? []).filter((id) => known.judgements.has(id));
  }
  const bySighting = new Map();
  for (const s of sightings) for (const id of [...s.indicators, ...s.judgements]) push(bySighting, id, s.id);
  for (const x of [...indicators, ...judgements]) x.sightings = bySighting.get(x.id) ?? [];

  return {
    asked, sightings, judgements, indicators, verdicts, ...graph,
    references: references(answer.refer, sightings, judgements, indicators),
    notices: notices(answer),
    summary: summary(sightings, graph.nodes, verdicts, judgements),
    cost: answer.cost ?? { milliseconds: 0, calls: 0, parts: [] },
  };
}

// unique keeps one document per id; those without are all kept.
function unique(documents) {
  const seen = new Set();
  return documents.filter((d) => !text(d.id) || (!seen.has(d.id) && seen.add(d.id)));
}

function push(map, key, value) {
  const at = map.get(key);
  if (at) at.push(value);
  else map.set(key, [value]);
}

function sighting(doc, index) {
  const hosts = list(doc.targets).map(host).filter(Boolean);
  const s = {
    kind: 'sighting', id: text(doc.id) || `sighting-${index}`, doc,
    title: text(doc.title) || text(doc.short_description) || text(doc.description) || 'Sighting',
    time: ms(doc.observed_time?.start_time), end: ms(doc.observed_time?.end_time),
    severity: severityOf(doc), confidence: text(doc.confidence), resolution: text(doc.resolution) || 'detected', count: Number(doc.count) || 1,
    active: activeOf(doc.data),
    observables: list(doc.observables).map(observable).filter(Boolean),
    relations: list(doc.relations).map((r) => ({ relation: text(r.relation), source: observable(r.source), related: observable(r.related) }))
      .filter((r) => r.relation && r.source && r.related),
    hosts, url: pageOf(doc),
  };
  s.state = s.active === true ? 'Active' : s.active === false ? 'Historical' : 'Unknown';
  s.hay = [s.title, s.severity, s.state, s.resolution, Number.isFinite(s.time) ? new Date(s.time).toISOString().replace('T', ' ') : '',
    ...s.observables.map((o) => `${o.type} ${o.value}`), ...hosts.flatMap((h) => [h.name, ...h.addresses]),
    ...s.relations.flatMap((r) => [r.source.value, r.related.value])].join('\n').toLowerCase();
  return s;
}

// activeOf reads the column Active of a sighting's table: is this the endpoint's present state, or history?
function activeOf(data) {
  const at = list(data?.columns).findIndex((c) => c.name === 'Active');
  const cell = at >= 0 && Array.isArray(data.rows) && Array.isArray(data.rows[0]) ? data.rows[0][at] : undefined;
  return { true: true, false: false }[String(cell).toLowerCase()];
}

function host(target) {
  const found = list(target.observables).map(observable).filter(Boolean);
  const name = found.find((o) => o.type === 'hostname') ?? found[0];
  if (!name) return null;
  return {
    key: `host|${name.value}`, name: name.value, os: text(target.os), type: text(target.type),
    addresses: found.filter((o) => o !== name).map((o) => o.value), observables: found,
  };
}

// pageOf is the page at Qualys that shows an entity.
function pageOf(doc) {
  for (const r of list(doc.external_references)) if (text(r.url)) return r.url;
  return text(doc.source_uri);
}

function judgement(doc, index) {
  const j = {
    kind: 'judgement', id: text(doc.id) || `judgement-${index}`, doc, observable: observable(doc.observable), disposition: dispositionOf(doc), severity: severityOf(doc),
    confidence: text(doc.confidence), reason: text(doc.reason), priority: Number(doc.priority) || 0, time: ms(doc.valid_time?.start_time), url: pageOf(doc),
  };
  j.hay = [j.disposition, j.severity, j.confidence, j.reason, j.observable?.type, j.observable?.value].join('\n').toLowerCase();
  return j;
}

function indicator(doc, index) {
  const i = {
    kind: 'indicator', id: text(doc.id) || `indicator-${index}`, doc, title: text(doc.title) || text(doc.short_description) || 'Indicator', severity: severityOf(doc), confidence: text(doc.confidence),
    time: ms(doc.valid_time?.start_time), tags: [...texts(doc.indicator_type), ...texts(doc.tags)], producer: text(doc.producer), url: pageOf(doc),
  };
  i.hay = [i.title, i.severity, i.confidence, i.producer, ...i.tags].join('\n').toLowerCase();
  return i;
}

const verdict = (doc) => ({ observable: observable(doc.observable), disposition: dispositionOf(doc), judgement: text(doc.judgement_id), doc });

// relationships maps an entity's id to the ids at the other ends.
function relationships(documents) {
  const links = new Map();
  for (const r of documents) {
    push(links, text(r.source_ref), text(r.target_ref));
    push(links, text(r.target_ref), text(r.source_ref));
  }
  return links;
}

// relations makes the graph: what was asked for, what the sightings name, and the hosts they were made on.
function relations(sightings, asked) {
  const nodes = new Map();
  const edges = new Map();

  const node = (key, make, s) => {
    let n = nodes.get(key);
    if (!n) {
      n = { key, asked: false, sightings: [], severity: 'Unknown', active: 0, first: NaN, last: NaN, disposition: '', reason: '', ...make() };
      nodes.set(key, n);
    }
    if (s && n.sightings.at(-1) !== s.id) {
      n.sightings.push(s.id);
      if (n.sightings.length === 1 || rank(s.severity) < rank(n.severity)) n.severity = s.severity;
      if (s.active) n.active++;
      if (!(n.first <= s.time)) n.first = Number.isNaN(s.time) ? n.first : s.time;
      if (!(n.last >= s.time)) n.last = Number.isNaN(s.time) ? n.last : s.time;
    }
    return n;
  };
  const thing = (o, s) => node(keyOf(o), () => ({ kind: kindOfType[o.type] ?? 'other', type: o.type, label: o.value }), s);
  const edge = (from, to, relation, s) => {
    if (from === to) return;
    const key = `${from.key}\n${relation}\n${to.key}`;
    const e = edges.get(key) ?? { key, from: from.key, to: to.key, relation, sightings: [], active: 0 };
    edges.set(key, e);
    if (e.sightings.at(-1) !== s.id) {
      e.sightings.push(s.id);
      if (s.active) e.active++;
    }
  };

  for (const o of asked) thing(o).asked = true;
  for (const s of sightings) {
    const seen = s.observables.map((o) => thing(o, s));
    for (const r of s.relations) edge(thing(r.source, s), thing(r.related, s), words(r.relation), s);
    for (const h of s.hosts) {
      const on = node(h.key, () => ({ kind: 'host', type: 'host', label: h.name, os: h.os, addresses: [] }), s);
      on.addresses = [...new Set([...on.addresses, ...h.addresses])];
      for (const n of seen) edge(n, on, h.observables.some((o) => keyOf(o) === n.key) ? 'address of' : 'seen on', s);
    }
  }
  return { nodes, edges: [...edges.values()] };
}

// judge gives each observable its disposition: the relay's verdict, or else the judgement of highest priority, then the newest, then in CTIM's order.
function judge(nodes, judgements, verdicts) {
  const best = new Map();
  for (const j of judgements) {
    if (!j.observable) continue;
    const key = keyOf(j.observable);
    const b = best.get(key);
    if (!b || j.priority - b.priority > 0 || (j.priority === b.priority && (newestFirst(j, b) < 0
      || (newestFirst(j, b) === 0 && dispositions.indexOf(j.disposition) < dispositions.indexOf(b.disposition))))) best.set(key, j);
  }
  const byId = new Map(judgements.map((j) => [j.id, j]));
  for (const [key, j] of best) Object.assign(nodes.get(key) ?? {}, { disposition: j.disposition, reason: j.reason, judged: 'judgement', judgement: j.id });
  for (const v of verdicts) {
    const j = byId.get(v.judgement);
    Object.assign(nodes.get(keyOf(v.observable)) ?? {}, { disposition: v.disposition, reason: j?.reason ?? '', judged: 'verdict', judgement: v.judgement });
    v.reason = j?.reason ?? '';
  }
}

function summary(sightings, nodes, verdicts, judgements) {
  const hosts = [...nodes.values()].filter((n) => n.kind === 'host').sort((a, b) => rank(a.severity) - rank(b.severity) || b.sightings.length - a.sightings.length);
  const worst = sightings.reduce((w, s) => (rank(s.severity) < rank(w) ? s.severity : w), 'Unknown');
  const threats = [...new Set(judgements.filter((j) => j.disposition === 'Malicious' && j.reason).map((j) => j.reason))];
  return {
    sightings: sightings.length, active: sightings.filter((s) => s.active).length, historical: sightings.filter((s) => s.active === false).length,
    worst: sightings.length ? worst : '', worstCount: sightings.filter((s) => s.severity === worst).length,
    hosts, verdicts: tally(verdicts.map((v) => v.disposition)), verdictCount: verdicts.length, judgements: tally(judgements.map((j) => j.disposition)), threats,
    bySeverity: tally(sightings.map((s) => s.severity)),
  };
}

const tally = (names) => names.reduce((t, name) => ({ ...t, [name]: (t[name] ?? 0) + 1 }), {});

// references lists the pages at Qualys: the relay's pivots, then the pages that the entities name, each once.
function references(refer, ...groups) {
  const found = new Map();
  for (const p of list(refer?.data)) {
    if (text(p.url)) found.set(p.url, { url: p.url, title: text(p.title) || p.url, description: text(p.description), tags: texts(p.categories), entities: 0, pivot: true });
  }
  for (const entity of groups.flat()) {
    for (const r of [...list(entity.doc.external_references), { url: entity.doc.source_uri }]) {
      const url = text(r.url);
      if (!url) continue;
      const at = found.get(url) ?? { url, title: text(r.description) || text(r.source_name) || 'Page named by the answer', description: '', tags: [], entities: 0, pivot: false };
      if (at.last !== entity.id) at.entities++;
      at.last = entity.id;
      found.set(url, at);
    }
  }
  return [...found.values()];
}

const weights = { fatal: 0, error: 1, warning: 2 };

const headings = {
  'authorization error': 'Not authorised', 'permission denied': 'Not permitted', 'too many requests': 'Rate limit reached',
  'too-many-messages-warning': 'Cut short', 'invalid argument': 'Not searched', 'gateway timeout': 'Out of time', 'service unavailable': 'Qualys is unavailable',
  'connection error': 'Cannot connect', unknown: 'Unexpected failure',
};

const advice = {
  'authorization error': 'The relay refused the token, or Qualys refused the credentials in it. Nothing can be seen until this is mended.',
  'permission denied': 'The Qualys account works, but may not read these events.',
  'too many requests': 'What is shown may be incomplete. Ask again in a few minutes.',
  'too-many-messages-warning': 'More was found than is shown. Ask for fewer observables at once, or raise CTR_ENTITIES_LIMIT.',
  'gateway timeout': 'What was found in time is shown; ask again for the rest.',
  'service unavailable': 'What is shown may be incomplete. Ask again later.',
  'connection error': 'The relay could not reach Qualys.',
};

// notices puts the errors of all answers into plain words, the worst first, equal ones once.
function notices(answer) {
  const found = new Map();
  const add = (type, heading, message, help, endpoint) => {
    const key = `${type}\n${heading}\n${message}`;
    const at = found.get(key);
    if (at) at.endpoints.push(endpoint);
    else found.set(key, { type, heading, message, help, endpoints: [endpoint] });
  };
  for (const endpoint of ['observe', 'deliberate', 'refer']) {
    for (const e of list(answer[endpoint]?.errors)) {
      const code = text(e.code);
      add(e.type in weights ? e.type : 'error', headings[code] ?? (words(code) || 'Problem'), text(e.message), advice[code] ?? '', endpoint);
    }
  }
  const lost = { observe: 'No sightings', deliberate: 'No verdicts', refer: 'No links to Qualys' };
  for (const p of list(answer.problems)) {
    const endpoint = text(p.endpoint).split('/')[1] ?? '';
    add(p.type === 'warning' ? 'warning' : 'error', lost[endpoint] ?? 'No answer', text(p.message), '', endpoint);
  }
  return [...found.values()].sort((a, b) => weights[a.type] - weights[b.type]);
}

// narrow applies the filters that the timeline and the table of sightings share. Empty sets and no span let everything through.
export function narrow(sightings, { severities: wanted, states, query, span }) {
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean);
  return sightings.filter((s) => (wanted.size === 0 || wanted.has(s.severity)) && (states.size === 0 || states.has(s.state))
    && (!span || (s.time >= span[0] && s.time <= span[1])) && parts.every((p) => s.hay.includes(p)));
}
