// A subset of Markdown as elements: paragraphs, lists, code and bold. All else, links and HTML too, stays
// the text that it is: descriptions quote what attackers named.

import { bdi, el } from './dom.js';

// inline splits a line into code, bold and text. A backslash takes its meaning from the character after it.
function inline(line) {
  const parts = [];
  let plain = '';
  const flush = () => { if (plain) parts.push(bdi(plain)); plain = ''; };
  const pieces = /\\([\\`*_{}[\]()#+.!<>|~-])|(`+)(.+?)\2(?!`)|\*\*([^*]+)\*\*|[^\\`*]+|./gsu;
  for (const [all, escaped, ticks, code, bold] of line.matchAll(pieces)) {
    if (ticks) { flush(); parts.push(el('code', null, bdi(code))); }
    else if (bold) { flush(); parts.push(el('strong', null, bdi(bold))); }
    else plain += escaped ?? all;
  }
  flush();
  return parts;
}

// markdown gives the elements of a text.
export function markdown(text) {
  const blocks = [];
  let last = null; // the list or paragraph that the next line may go on with
  for (const line of text.split(/\r?\n/)) {
    const item = /^\s*(?:[-*+]|\d{1,3}[.)])\s+(.*)$/.exec(line);
    const tag = item ? 'ul' : 'p';
    if (!line.trim()) { last = null; continue; }
    if (last?.localName !== tag) blocks.push(last = el(tag, null));
    if (item) last.append(el('li', null, inline(item[1])));
    else last.append(last.childNodes.length ? ' ' : '', ...inline(line.replace(/^#{1,6}\s+/, '')));
  }
  return el('div', { class: 'prose' }, blocks);
}
