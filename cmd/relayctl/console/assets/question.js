// The question: the observables found in the text or taken from elsewhere on the page, as chips that can be
// retyped and removed, and as the fragment of the page's URL.

import { find } from './api.js';
import { bdi, button, clip, count, el, number, plain } from './dom.js';
import { keyOf, searchable, typeName, unique } from './model.js';

const pause = 250; // milliseconds after the last key
const most = 500; // observables in one investigation, as api.go has it

// encode writes observables as a fragment: ip=192.0.2.1&domain=evil.example.
export const encode = (observables) =>
  String(new URLSearchParams(observables.map((o) => [o.type, o.value])));

export const decode = (fragment) => [...new URLSearchParams(fragment.replace(/^#/, ''))]
  .map(([type, value]) => ({ type, value })).filter((o) => searchable.includes(o.type) && o.value)
    .slice(0, most);

// createQuestion minds the elements of the page; changed() is called when the list changes, failed(error)
// when the console does not answer.
export function createQuestion({ field, chips, empty, omitted, counter, changed, failed }) {
  let taken = []; // from a fragment or another part of the page
  let found = []; // as the text has them, in order
  let skipped = []; // what reads like an observable and cannot be searched
  let more = 0;
  const removed = new Set(); // keys of what the person took out
  const retyped = new Map(); // key as found -> type chosen
  let timer = 0;
  let running = null;

  const originals = () => unique([...taken, ...found]).filter((o) => !removed.has(keyOf(o)));
  const list = () => originals().map((o) => ({ ...o, type: retyped.get(keyOf(o)) ?? o.type }));

  // asked are the observables to send, each once.
  const asked = () => unique(list().map(({ type, value }) => ({ type, value })),
    (o) => `${o.type}|${o.value}`).slice(0, most);

  async function read() {
    clearTimeout(timer);
    timer = 0;
    running?.abort();
    const mine = new AbortController();
    running = mine;
    try {
      const answer = field.value.trim() ? await find(field.value, mine.signal) : { observables: [], skipped: [] };
      if (mine.signal.aborted) return;
      found = answer.observables;
      ({ skipped, more = 0 } = answer);
    } catch (error) {
      if (!mine.signal.aborted) failed(error);
      return;
    } finally {
      if (running === mine) running = null;
    }
    draw();
  }

  // settled waits until the list belongs to the text.
  async function settled() {
    if (timer || running) await read();
  }

  function draw() {
    const all = list();
    chips.replaceChildren(...all.map(chip));
    empty.hidden = all.length > 0;
    empty.textContent = field.value.trim()
      ? 'No observable in this text. TYPE:VALUE names one outright, such as mutex:Global\\Name.'
        : 'Nothing found yet.';
    counter.textContent = all.length ? number(all.length) : '';
    const left = more + Math.max(0, all.length - most);
    if (left) chips.append(el('li', { class: 'muted' },
      `and ${count(left, 'more')} that do not fit into one investigation`));
    omitted.hidden = skipped.length === 0;
    omitted.replaceChildren(el('summary', null, `${number(skipped.length)} skipped`), el('ul', null,
      skipped.map((s) => el('li', null, bdi(s.text, 60, 'code'), el('span', { class: 'muted' }, ` ${s.reason}`)))));
    changed(asked());
  }

  function chip(o, index) {
    const key = keyOf(originals()[index]);
    const short = plain(clip(o.value, 60));
    const choose = el('select', { 'aria-label': `Type of ${short}`, onchange: () => {
      retyped.set(key, choose.value);
      draw();
      chips.children[index]?.querySelector('select')?.focus();
    } }, unique([o.type, ...searchable], (type) => type)
      .map((type) => el('option', { value: type }, typeName(type))));
    choose.value = o.type;
    const remove = button('×', () => {
      removed.add(key);
      draw();
      (chips.children[Math.min(index, chips.children.length - 1)]?.querySelector('.remove') ?? field)
        .focus();
    }, 'remove', { 'aria-label': `Remove ${short}` });
    return el('li', { class: 'chip' }, choose, bdi(o.value, 22),
      o.note ? el('span', { class: 'note' }, o.note) : null, remove);
  }

  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(read, pause);
  });

  // set replaces the question by a text and observables.
  function set(text, observables = []) {
    field.value = text;
    taken = observables;
    removed.clear();
    retyped.clear();
    return read();
  }

  return { asked, settled, set };
}
