// From the relay's answers to what the page shows. Pure: no document, no clock, no network. An answer with
// missing or odd parts is read as far as it goes.

// Worst first.
export const severities = ['Critical', 'High', 'Medium', 'Low', 'Info', 'None', 'Unknown'];
export const worstFirst = ['Malicious', 'Suspicious', 'Unknown', 'Common', 'Clean'];

// In the order in which CTIM lets one win over another of the same priority and age.
const precedence = ['Clean', 'Malicious', 'Suspicious', 'Common', 'Unknown'];
const dispositionNames = { 1: 'Clean', 2: 'Malicious', 3: 'Suspicious', 4: 'Common', 5: 'Unknown' };

// The types that Qualys can be searched for.
export const searchable = [
  'ip', 'ipv6', 'domain', 'hostname', 'sha256', 'md5', 'file_name', 'file_path', 'process_name', 'mutex',
];

// In the order of the graph's columns.
export const kinds = ['host', 'process', 'mutex', 'registry', 'file', 'domain', 'address', 'other'];

export const kindNames = {
  host: ['Host', 'Hosts'], process: ['Process', 'Processes'], mutex: ['Mutex', 'Mutexes'],
  registry: ['Registry key', 'Registry keys'], file: ['File', 'Files'], domain: ['Domain', 'Domains'],
  address: ['Address', 'Addresses'], other: ['Other', 'Others'],
};

const kindOfType = {
  process_name: 'process', mutex: 'mutex', registry_key: 'registry', file_name: 'file', file_path: 'file',
  md5: 'file', sha1: 'file', sha256: 'file', domain: 'domain', hostname: 'domain', url: 'domain',
  ip: 'address', ipv6: 'address', mac_address: 'address',
};

const typeNames = {
  ip: 'IP', ipv6: 'IPv6', domain: 'Domain', hostname: 'Remote hostname', sha256: 'SHA-256', sha1: 'SHA-1',
  md5: 'MD5', file_name: 'File name', file_path: 'File path', process_name: 'Process', mutex: 'Mutex',
  mac_address: 'MAC address', url: 'URL', registry_key: 'Registry key',
};

export const typeName = (type) => typeNames[type] ?? words(type);

// words turns CTIM's names into words: File_Name_Of, based-on.
export const words = (name) => String(name).replace(/[_-]+/g, ' ').toLowerCase();

const objects = (value) =>
  (Array.isArray(value) ? value.filter((x) => x !== null && typeof x === 'object') : []);
const texts = (value) =>
  (Array.isArray(value) ? value.filter((x) => typeof x === 'string' && x !== '') : []);
const text = (value) => (['string', 'number', 'boolean'].includes(typeof value) ? String(value) : '');
const docs = (bundle, kind) => objects(bundle?.[kind]?.docs);
const ms = (value) => (typeof value === 'string' ? Date.parse(value) : NaN);
// unknown names last
const rank = (order, name) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
const severityOf = (doc) => (severities.includes(doc.severity) ? doc.severity : 'Unknown');
const dispositionOf = (doc) => dispositionNames[doc.disposition]
  ?? (precedence.includes(doc.disposition_name) ? doc.disposition_name : 'Unknown');
const worst = (order, names) => names.reduce((w, n) => (rank(order, n) < rank(order, w) ? n : w), '');
const tally = (names) => names.reduce((t, name) => ({ ...t, [name]: (t[name] ?? 0) + 1 }), {});
const observable = (o) =>
  (o && text(o.type) && text(o.value) ? { type: text(o.type), value: text(o.value) } : null);
const observables = (value) => objects(value).map(observable).filter(Boolean);
const newestFirst = (a, b) =>
  (Number.isNaN(b.time) ? -Infinity : b.time) - (Number.isNaN(a.time) ? -Infinity : a.time)
  || 0;

// Qualys's searches ignore case, and so do Windows's names. A mutex or a path of another system does not.
const ignoresCase = ({ type, value }) => type !== 'mutex'
  && (type !== 'file_path' || text(value).includes('\\'));

// keyOf names an observable: the same key, the same thing. Domains and hostnames are searched alike.
export const keyOf = (o) => `${o.type === 'hostname' ? 'domain' : text(o.type)}|`
  + (ignoresCase(o) ? text(o.value).toLowerCase() : text(o.value));

export const unique = (list, key = keyOf) => [...new Map(list.map((x) => [key(x), x])).values()];

function push(map, key, value) {
  const at = map.get(key);
  if (at) at.push(value);
  else map.set(key, [value]);
}

// buildModel reads what /api/investigate answered. asked are the observables that were sent.
export function buildModel(answer, asked) {
  const observe = answer.observe?.data;
  const deliberate = answer.deliberate?.data;
  const byId = (list) => unique(list, (d) => text(d.id) || d);
  const judgements = byId([...docs(observe, 'judgements'), ...docs(deliberate, 'judgements')]).map(judgement)
    .sort((a, b) => rank(worstFirst, a.disposition) - rank(worstFirst, b.disposition) || newestFirst(a, b));
  const indicators = byId(docs(observe, 'indicators')).map(indicator).sort(newestFirst);
  const verdicts = docs(deliberate, 'verdicts').map((doc) => ({
    observable: observable(doc.observable), disposition: dispositionOf(doc),
    judgement: text(doc.judgement_id),
  })).filter((v) => v.observable);
  const sightings = byId(docs(observe, 'sightings'));
  const events = eventsOf(sightings);

  const eventIds = new Set(events.map((e) => e.id));
  for (const x of [...judgements, ...indicators]) {
    x.events = texts(x.doc.external_ids).filter((id) => eventIds.has(id));
    for (const e of events) if (x.events.includes(e.id)) e[`${x.kind}s`].push(x.id);
  }
  const problems = objects(answer.problems);
  // Of the events that were found only the newest are shown. Other warnings are about what was not looked at.
  const truncated = (p) =>
    p.code === 'too-many-messages-warning' && p.message?.startsWith('There are more results');
  const lost = (endpoint) =>
    problems.some((p) => p.endpoints?.includes(endpoint) && p.type !== 'note' && !truncated(p));
  // a part at least
  const missing = { events: lost('observe'), rest: lost('observe') || problems.some(truncated) };
  missing.verdicts = lost('deliberate') || (missing.events && verdicts.length === 0);
  const graph = graphOf(events, asked);
  judge(graph, judgements, verdicts);
  return {
    asked, events, judgements, indicators, missing, ...graph,
    references: references(answer.refer, sightings),
    notices: [...problems, ...endpointsAskedFor(asked, graph.nodes)],
    summary: summary(events, graph.nodes, verdicts, judgements),
    cost: answer.cost ?? { milliseconds: 0, calls: 0, parts: [] },
  };
}

// eventsOf joins the sightings of one event: the relay makes one for each observable that found it.
function eventsOf(sightings) {
  const found = new Map();
  sightings.forEach((doc, i) =>
    push(found, texts(doc.external_ids)[0] ?? (text(doc.id) || `sighting ${i}`), doc));
  return [...found].map(([id, all]) => {
    const doc = all[0];
    const active = all.map((d) => activeOf(d.data));
    const e = {
      kind: 'event', id, docs: all, judgements: [], indicators: [],
      title: text(doc.title) || text(doc.short_description) || 'Event',
      description: text(doc.description),
      time: ms(doc.observed_time?.start_time), end: ms(doc.observed_time?.end_time),
      severity: worst(severities, all.map(severityOf)), confidence: text(doc.confidence),
      resolution: text(doc.resolution) || 'detected', context: doc.context, url: pageOf(doc),
      state: active.includes(true) ? 'Active' : active.includes(false) ? 'Historical' : 'Unknown',
      foundBy: unique(all.flatMap((d) => observables(d.observables))),
      relations: unique(all.flatMap((d) => objects(d.relations)).map((r) => (
        { relation: text(r.relation), source: observable(r.source), related: observable(r.related) }))
        .filter((r) => r.relation && r.source && r.related),
      (r) => `${keyOf(r.source)}\n${r.relation}\n${keyOf(r.related)}`),
      hosts: unique(all.flatMap((d) => objects(d.targets)).map(host).filter(Boolean), (h) => h.key),
      registry: Object.values(doc.context ?? {}).flatMap(objects).map((c) => text(c.registry_key))
        .filter(Boolean)
        .map((value) => ({ type: 'registry_key', value })),
    };
    e.values = unique([...e.foundBy, ...e.relations.flatMap((r) => [r.source, r.related]), ...e.registry]);
    e.hay = [e.title, e.severity, e.state, e.resolution,
      Number.isFinite(e.time) ? new Date(e.time).toISOString().replace('T', ' ') : '',
      ...e.values.map((o) => `${o.type} ${o.value}`),
      ...e.hosts.flatMap((h) => h.values.map((o) => o.value)),
    ].join('\n').toLowerCase();
    return e;
  }).sort(newestFirst);
}

// activeOf reads the column Active of a sighting's table: is this the endpoint's present state, or history?
function activeOf(data) {
  const at = objects(data?.columns).findIndex((c) => c.name === 'Active');
  return { true: true, false: false }[String(data?.rows?.[0]?.[at]).toLowerCase()];
}

function host(target) {
  const values = observables(target.observables);
  const name = values.find((o) => o.type === 'hostname') ?? values[0];
  return name ? { key: `host|${name.value.toLowerCase()}`, name: name.value, os: text(target.os), values }
    : null;
}

// pageOf is the page at Qualys that shows an entity.
const pageOf = (doc) => objects(doc.external_references).map((r) => text(r.url)).find(Boolean)
  || text(doc.source_uri);

function judgement(doc, index) {
  const j = {
    kind: 'judgement', id: text(doc.id) || `judgement-${index}`, doc, observable: observable(doc.observable),
    disposition: dispositionOf(doc), severity: severityOf(doc), confidence: text(doc.confidence),
    reason: text(doc.reason), priority: Number(doc.priority) || 0, time: ms(doc.valid_time?.start_time),
    url: pageOf(doc),
  };
  j.hay = [j.disposition, j.severity, j.confidence, j.reason, j.observable?.type, j.observable?.value]
    .join('\n').toLowerCase();
  return j;
}

function indicator(doc, index) {
  const i = {
    kind: 'indicator', id: text(doc.id) || `indicator-${index}`, doc,
    title: text(doc.title) || text(doc.short_description) || 'Indicator', description: text(doc.description),
    severity: severityOf(doc), confidence: text(doc.confidence), time: ms(doc.valid_time?.start_time),
    tags: [...texts(doc.indicator_type), ...texts(doc.tags)], producer: text(doc.producer), url: pageOf(doc),
  };
  i.hay = [i.title, i.severity, i.confidence, i.producer, ...i.tags].join('\n').toLowerCase();
  return i;
}

// hashesIn are the hashes that an event gives to a file name, file path or process name.
function hashesIn(event, { type, value }) {
  const isHash = (o) => ['sha256', 'md5', 'sha1'].includes(o.type);
  const named = (name) => event.relations.filter((r) => isHash(r.related) && keyOf(r.source) === keyOf(name))
    .map((r) => r.related);
  if (type !== 'process_name') return named({ type, value });
  const connects = event.relations.filter((r) => words(r.relation) === 'connected to').map((r) => r.source);
  const started = connects.some((o) => keyOf(o) === keyOf({ type, value })) ? connects.filter(isHash) : [];
  return started.length ? started : named({ type: 'file_name', value });
}

// sameFile tells which observables are one file: its hashes, and the names and paths that all events give to
// that one file. A name that several files have, or that an event shows without a hash, stays apart: it
// would lend its events and its verdict to a file that is not theirs.
function sameFile(events) {
  const parent = new Map();
  const root = (key) => { while (parent.has(key)) key = parent.get(key); return key; };
  const join = (key, to) => { // never two SHA-256s, whatever an event says
    const [from, into] = [root(key), root(to)];
    if (from !== into && !from.startsWith('sha256|')) parent.set(from, into);
  };
  const oneFile = (hashes) => new Set(hashes.map((h) => h.type)).size === new Set(hashes.map(keyOf)).size;
  const uses = new Map();
  for (const e of events) {
    for (const o of e.values) {
      if (!['file_name', 'file_path', 'process_name'].includes(o.type)) continue;
      const hashes = hashesIn(e, o);
      push(uses, keyOf(o), hashes);
      const to = hashes.find((h) => h.type === 'sha256') ?? hashes[0];
      if (oneFile(hashes)) for (const h of hashes) join(keyOf(h), keyOf(to));
    }
  }
  for (const [key, all] of uses) {
    const files = new Set(all.flatMap((hashes) =>
      (hashes.length ? hashes.map((h) => root(keyOf(h))) : [''])));
    const [file] = files;
    if (files.size === 1 && file) join(key, file);
  }
  return root;
}

// graphOf makes the graph: what was asked for, what the events name, and the hosts on which they happened.
function graphOf(events, asked) {
  const nodes = new Map();
  const edges = new Map();
  const root = sameFile(events);
  const labels = ['file_name', 'process_name', 'file_path', 'sha256', 'md5'];

  const node = (key, kind, event) => {
    let n = nodes.get(key);
    if (!n) {
      n = { key, kind, label: '', values: [], asked: false, events: [], severity: 'Unknown', active: 0,
        first: NaN, last: NaN, disposition: '', reason: '', os: '', touched: new Set() };
      nodes.set(key, n);
    }
    if (event && n.events.at(-1) !== event.id) {
      n.events.push(event.id);
      n.severity = worst(severities, n.events.length === 1 ? [event.severity]
        : [n.severity, event.severity]);
      if (event.state === 'Active') n.active++;
      if (!(n.first <= event.time) && !Number.isNaN(event.time)) n.first = event.time;
      if (!(n.last >= event.time) && !Number.isNaN(event.time)) n.last = event.time;
    }
    return n;
  };
  const thing = (o, event) => {
    const n = node(root(keyOf(o)), kindOfType[o.type] ?? 'other', event);
    if (!n.values.some((v) => keyOf(v) === keyOf(o))) n.values.push(o);
    n.values.sort((a, b) => rank(labels, a.type) - rank(labels, b.type));
    if (n.values.some((v) => kindOfType[v.type] === 'file')) n.kind = 'file';
    n.label = n.values[0].value;
    return n;
  };
  const edge = (from, to, relation, event) => {
    if (from === to) return;
    const key = `${from.key}\n${relation}\n${to.key}`;
    const e = edges.get(key) ?? { key, from: from.key, to: to.key, relation, events: [], active: 0 };
    edges.set(key, e);
    if (e.events.at(-1) === event.id) return;
    e.events.push(event.id);
    if (event.state === 'Active') e.active++;
  };

  for (const o of asked) thing(o).asked = true;
  for (const e of events) {
    const values = e.values.map((o) => thing(o, e));
    const reached = new Set(); // what another thing of the event leads to hangs on that, not on the host
    for (const r of e.relations) {
      const from = thing(r.source);
      let [to, relation] = [thing(r.related), words(r.relation)];
      const [image] = r.source.type === 'process_name' ? hashesIn(e, r.source) : [];
      if (image && thing(image) !== from) [to, relation] = [thing(image), 'runs']; // which connects as well
      edge(from, to, relation, e);
      if (from !== to) reached.add(to);
    }
    e.nodes = [...new Set(values.map((n) => n.key))];
    for (const h of e.hosts) {
      const on = node(h.key, 'host', e);
      on.label = h.name;
      on.os ||= h.os;
      on.values = unique([...on.values, ...h.values]);
      for (const n of new Set(values)) {
        on.touched.add(n.key);
        const own = h.values.some((o) => root(keyOf(o)) === n.key);
        if (own || !reached.has(n)) edge(n, on, own ? 'address of' : 'seen on', e);
      }
    }
  }
  return { nodes, edges: [...edges.values()], find: (o) => nodes.get(o.key ?? root(keyOf(o))) };
}

// judge gives each observable its disposition: the relay's verdict, or else the judgement of highest
// priority, then the newest, then in CTIM's order. A node of several observables shows the worst of theirs.
function judge({ nodes }, judgements, verdicts) {
  const before = (a, b) => b.priority - a.priority || newestFirst(a, b)
    || rank(precedence, a.disposition) - rank(precedence, b.disposition);
  const judged = new Map();
  for (const j of judgements.toSorted(before)) {
    if (j.observable && !judged.has(keyOf(j.observable))) judged.set(keyOf(j.observable),
      { ...j, judged: 'Judgement' });
  }
  for (const v of verdicts) {
    const reason = judgements.find((j) => j.id === v.judgement)?.reason ?? '';
    judged.set(keyOf(v.observable), { disposition: v.disposition, reason, judged: 'Verdict' });
  }
  for (const n of nodes.values()) {
    if (n.kind === 'host') continue;
    const [by] = n.values.map((o) => judged.get(keyOf(o))).filter(Boolean)
      .sort((a, b) => rank(worstFirst, a.disposition) - rank(worstFirst, b.disposition));
    if (by) Object.assign(n, { disposition: by.disposition, reason: by.reason, judged: by.judged });
  }
}

// questionAbout is what to ask for to learn more about a node: a host by its addresses, a file by what tells
// it from others.
export function questionAbout(node) {
  const of = (...types) => node.values.filter((o) => types.includes(o.type));
  if (node.kind === 'host') return of('ip', 'ipv6').filter((o) => !/^(fe80:|169\.254\.)/i.test(o.value));
  if (node.kind !== 'file') return of(...searchable);
  return [of('sha256'), of('md5'), of('file_path'), of('file_name', 'process_name')].find((l) => l.length)
    ?? [];
}

// endpointsAskedFor explains why the name of an endpoint finds nothing that happened on it.
function endpointsAskedFor(asked, nodes) {
  const names = new Set([...nodes.values()].filter((n) => n.kind === 'host').flatMap((n) => n.values)
    .filter((o) => o.type === 'hostname').map((o) => o.value.toLowerCase()));
  const isEndpoint = (name) => names.has(name) || names.has(name.split('.')[0]);
  return asked.filter((o) => kindOfType[o.type] === 'domain' && isEndpoint(o.value.toLowerCase())).map((o) => ({
    type: 'note', heading: `${o.value} is an endpoint`, endpoints: [],
    message: 'A search for a hostname or a domain finds the connections that were made to this name, not what '
      + 'happened on the endpoint. The answer shows that under the host; to learn more, investigate its '
      + 'addresses.',
  }));
}

function summary(events, nodes, verdicts, judgements) {
  const hosts = [...nodes.values()].filter((n) => n.kind === 'host').sort((a, b) => (
    rank(severities, a.severity) - rank(severities, b.severity) || b.events.length - a.events.length));
  const severity = worst(severities, events.map((e) => e.severity));
  const ofState = (state) => events.filter((e) => e.state === state).length;
  return {
    events: events.length, active: ofState('Active'), historical: ofState('Historical'),
    worst: severity, worstCount: events.filter((e) => e.severity === severity).length, hosts,
    verdicts: tally(verdicts.map((v) => v.disposition)),
    judgements: tally(judgements.map((j) => j.disposition)),
    threats: [...new Set(judgements.filter((j) => j.disposition === 'Malicious')
      .map((j) => j.reason))].filter(Boolean),
  };
}

// references lists the pages at Qualys: the relay's links, then the pages that the sightings name, each once
// and with the observables that it is about.
function references(refer, sightings) {
  const found = new Map();
  for (const p of objects(refer?.data)) {
    const [, type, value] = /^ref-.*?-search-([a-z0-9_]+)-(.+)$/s.exec(text(p.id)) ?? [];
    const about = value ? [{ type, value: decoded(value) }] : [];
    if (text(p.url)) found.set(p.url,
      { url: p.url, title: text(p.title) || 'Link', about, fromRefer: true });
  }
  for (const doc of sightings) {
    const url = pageOf(doc);
    if (!url) continue;
    const title = text(objects(doc.external_references)[0]?.description) || 'Page named by the answer';
    const at = found.get(url) ?? { url, title, about: [], fromRefer: false };
    at.about = unique([...at.about, ...observables(doc.observables)]);
    found.set(url, at);
  }
  return [...found.values()];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// narrow applies the filters that the timeline and the table of events share. Empty sets and no span let all
// through.
export function narrow(events, { severities: wanted, states, query, span }) {
  const parts = query.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter((e) => (wanted.size === 0 || wanted.has(e.severity))
    && (states.size === 0 || states.has(e.state))
    && (!span || (e.time >= span[0] && e.time <= span[1])) && parts.every((p) => e.hay.includes(p)));
}
