// Runs before the page is drawn, so that a dark page does not flash. Without a choice of one's own the
// system's is followed.
(() => {
  'use strict';
  const key = 'relay-console-theme';
  const order = ['system', 'light', 'dark'];
  const names = { system: 'as the system', light: 'light', dark: 'dark' };
  const signs = { system: '◐', light: '☀', dark: '☾' };
  const dark = matchMedia('(prefers-color-scheme: dark)');

  let chosen = 'system';
  try {
    const kept = localStorage.getItem(key);
    if (order.includes(kept)) chosen = kept;
  } catch { /* storage is switched off: the choice lasts as long as the page */ }

  const apply = () => {
    document.documentElement.dataset.theme = chosen === 'system' ? (dark.matches ? 'dark' : 'light')
      : chosen;
    const button = document.getElementById('theme');
    if (button) {
      button.textContent = signs[chosen];
      button.setAttribute('aria-label', `Theme: ${names[chosen]}`);
      button.title = button.getAttribute('aria-label');
    }
    document.dispatchEvent(new Event('themechange'));
  };

  apply();
  dark.addEventListener('change', apply);
  document.addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try { localStorage.setItem(key, chosen); } catch { /* as above */ }
      apply();
    });
  });
})();
