// Sets the theme before the page is drawn, and lets a button change it: system, light, dark.
(() => {
  'use strict';
  const root = document.documentElement;
  const names = ['system', 'light', 'dark'];
  const read = () => {
    try { return localStorage.getItem('pgasync-theme') || 'system'; } catch { return 'system'; }
  };
  const set = (name) => {
    if (name === 'system') root.removeAttribute('data-theme');
    else root.setAttribute('data-theme', name);
  };
  root.classList.add('js');
  set(read());
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    if (!button) return;
    const name = () => { button.textContent = 'Theme: ' + read(); };
    button.addEventListener('click', () => {
      const next = names[(names.indexOf(read()) + 1) % names.length];
      try { localStorage.setItem('pgasync-theme', next); } catch { /* it lasts until the next page */ }
      set(next);
      name();
    });
    name();
  });
})();
