// The text field and the observables found in it: chips that can be retyped and removed.

import { find } from './api.js';
import { bdi, clip, count, el, plain } from './dom.js';
import { keyOf, typeName } from './model.js';

const types = ['ip', 'ipv6', 'domain', 'hostname', 'sha256', 'md5', 'file_name', 'file_path', 'process_name', 'mutex'];
const pause = 250; // milliseconds after the last key

// createObservables minds the elements of the page; changed() is called when the list changes, failed(error) when the console does not answer.
export function createObservables({ field, chips, empty, counter, changed, failed }) {
  let found = []; // as the text has them, in order
  let more = 0;
  const removed = new Set(); // keys of what the person took out
  const retyped = new Map(); // key as found -> type chosen
  let timer = 0;
  let running = null;

  const list = () => found.filter((o) => !removed.has(keyOf(o))).map((o) => ({ ...o, type: retyped.get(keyOf(o)) ?? o.type, unsupported: o.unsupported && !retyped.has(keyOf(o)) }));

  // asked are the observables to send: each once, those that the relay can search.
  const asked = () => [...new Map(list().filter((o) => !o.unsupported).map(({ type, value }) => [keyOf({ type, value }), { type, value }])).values()];

  async function read() {
    clearTimeout(timer);
    timer = 0;
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const text = field.value;
    try {
      const answer = text.trim() ? await find(text, mine.signal) : { observables: [] };
      if (mine.signal.aborted) return;
      found = answer.observables;
      more = answer.more ?? 0;
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
    empty.textContent = field.value.trim() ? 'No observable in this text. TYPE:VALUE names one outright, such as mutex:Global\\Name.' : 'Nothing found yet.';
    counter.textContent = all.length ? all.length.toLocaleString('en') : '';
    if (more) chips.append(el('li', { class: 'muted' }, `and ${count(more, 'more')} that do not fit into one investigation`));
    changed(asked());
  }

  function chip(o, index) {
    const original = found.filter((f) => !removed.has(keyOf(f)))[index];
    const short = plain(clip(o.value.slice(0, 2000), 60));
    const choose = el('select', { 'aria-label': `Type of ${short}` }, [...(types.includes(o.type) ? [] : [o.type]), ...types].map((type) => el('option', { value: type }, typeName(type))));
    choose.value = o.type;
    choose.addEventListener('change', () => {
      retyped.set(keyOf(original), choose.value);
      draw();
      chips.children[index]?.querySelector('select')?.focus();
    });
    const remove = el('button', { type: 'button', class: 'remove', 'aria-label': `Remove ${short}` }, '×');
    remove.addEventListener('click', () => {
      removed.add(keyOf(original));
      draw();
      (chips.children[Math.min(index, chips.children.length - 1)]?.querySelector('.remove') ?? field).focus();
    });
    return el('li', { class: o.unsupported ? 'chip unsupported' : 'chip' }, choose, bdi(o.value, 22), o.unsupported ? el('span', { class: 'note' }, 'not searchable in Qualys') : null, remove);
  }

  field.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(read, pause);
  });

  return {
    asked, settled,
    set(text) {
      field.value = text;
      removed.clear();
      retyped.clear();
      return read();
    },
  };
}
