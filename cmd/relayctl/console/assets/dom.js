// Small helpers to build the page. Everything from outside goes in as text: there is no way here to turn a
// string into HTML.

// el makes an element: el('button', {class: 'quiet', onclick: f}, 'text', node, null).
export function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// button makes a button: what it shows, what it does, and its class.
export const button = (label, onclick, kind = 'link', props = {}) => (
  el('button', { type: 'button', class: kind, onclick, ...props }, label));

// Characters that change how the text around them reads, or that cannot be seen at all.
const unseen = new RegExp('[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e'
  + '\\u2060-\\u2069\\ufeff\\u{e0000}-\\u{e007f}]', 'gu');

const codepoint = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

// plain makes a value safe to show where there is no markup (canvas, attributes): unseen characters are
// named.
export const plain = (value) => String(value).replace(unseen, (c) => `[${codepoint(c)}]`);

// clip cuts a text in its middle, as both ends of a path or a hash tell something.
export function clip(text, limit) {
  // Cut by code units first: a value of megabytes is not worth spreading.
  const s = [...(text.length > 4 * limit ? `${text.slice(0, 2 * limit)}${text.slice(-2 * limit)}` : text)];
  if (s.length <= limit) return text;
  const tail = Math.floor((limit - 1) * 0.4);
  return `${s.slice(0, limit - 1 - tail).join('')}…${s.slice(s.length - tail).join('')}`;
}

// bdi shows a value from outside, set apart from the direction of the text around it, its unseen characters
// named.
export function bdi(value, limit = Infinity, style = '') {
  const full = String(value);
  const text = limit === Infinity ? full : clip(full, limit);
  const node = el('bdi', { class: `value ${style}`.trim(), title: text === full ? null
    : plain(clip(full, 400)) });
  let from = 0;
  for (const match of text.matchAll(unseen)) {
    node.append(text.slice(from, match.index),
      el('span', { class: 'unseen', title: 'A character that cannot be seen' }, codepoint(match[0])));
    from = match.index + match[0].length;
  }
  node.append(text.slice(from));
  return node;
}

// longValue shows a value whole where it is short, and otherwise its ends with a button that shows all of
// it.
export function longValue(value, limit = 180) {
  const full = String(value);
  if (full.length <= limit) return bdi(full);
  let open = false;
  const all = `Show all ${full.length.toLocaleString('en')} characters`;
  const more = button(all, () => {
    open = !open;
    box.firstChild.replaceWith(open ? bdi(full) : bdi(full, limit));
    more.setAttribute('aria-expanded', String(open));
    more.textContent = open ? 'Show less' : all;
  }, 'link', { 'aria-expanded': 'false' });
  const box = el('span', { class: 'long' }, bdi(full, limit), ' ', more);
  return box;
}

// safeURL gives a URL that may become a link: http and https only.
export function safeURL(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : null;
  } catch {
    return null;
  }
}

// link shows a URL from an answer as a link where it is safe, otherwise as text.
export function link(url, label) {
  const safe = safeURL(url);
  if (!safe) return el('span', null, label ? [label, ' '] : null, bdi(url, 120));
  return el('a', { href: safe.href, target: '_blank', rel: 'noopener noreferrer' }, label ?? bdi(url, 90),
    el('span', { class: 'out', 'aria-hidden': 'true' }, ' ↗'),
    el('span', { class: 'hidden-text' }, ' (opens in a new tab)'));
}

// copyButton puts text() on the clipboard and says so on itself.
export function copyButton(text, label = 'Copy', name = label) {
  const copy = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Not allowed by the browser';
    }
    setTimeout(() => { copy.textContent = label; }, 1500);
  }, 'quiet small', { 'aria-label': name });
  return copy;
}

const marks = {
  Malicious: '✕', Suspicious: '!', Clean: '✓', Common: '=', Unknown: '?',
  Critical: '▲', High: '▲', Medium: '◆', Low: '▼', Info: 'i', None: '✓',
};

export const markOf = (word) => marks[word] ?? '';

// badge shows a disposition (kind d) or a severity (kind s): a mark, a word and a colour, so that none of
// them carries the meaning alone.
export const badge = (word, kind) => el('span',
  { class: `badge ${kind}-${String(word).toLowerCase().replace(/[^a-z]/g, '')}` },
  el('span', { class: 'mark', 'aria-hidden': 'true' }, marks[word] ?? '·'),
  kind === 's' ? el('span', { class: 'hidden-text' }, 'Severity ') : null, bdi(word, 40));

// when shows a time in UTC, as logs and Qualys do: 2026-11-23 09:12:04.
export const when = (ms) => (
  Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : 'unknown time');

export const time = (ms) => (Number.isFinite(ms)
  ? el('time', { datetime: new Date(ms).toISOString(), title: `${when(ms)} UTC` }, when(ms))
  : el('span', { class: 'muted' }, 'unknown'));

export const number = (n) => n.toLocaleString('en');

// count says "1 host", "3 hosts", "1,000 events".
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
