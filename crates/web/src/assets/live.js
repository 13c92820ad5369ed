// Keeps a page up to date: a stream of fragments, or polling without one. Shows times as lengths.
(() => {
  'use strict';
  const body = document.body;
  const base = body.dataset.base || '';
  const page = body.dataset.page;
  const POLL_MS = 5000;
  const RETRY_MS = 30000;

  // The clocks of the server and of this machine may differ.
  const serverNow = Date.parse(body.dataset.now || '');
  const offset = Number.isNaN(serverNow) ? 0 : serverNow - Date.now();

  const length = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' m ' + (s % 60) + ' s';
    if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' m';
    return Math.floor(s / 86400) + ' d ' + Math.floor((s % 86400) / 3600) + ' h';
  };
  const pad = (n) => String(n).padStart(2, '0');
  const local = (date) => {
    const day = date.getFullYear() + '-' + pad(date.getMonth() + 1) + '-' + pad(date.getDate());
    return day + ' ' + pad(date.getHours()) + ':' + pad(date.getMinutes()) + ':' + pad(date.getSeconds());
  };
  const showTimes = (root) => {
    const now = Date.now() + offset;
    for (const element of root.querySelectorAll('time[data-form]')) {
      const then = Date.parse(element.dateTime);
      if (Number.isNaN(then)) continue;
      if (!element.title) element.title = element.textContent;
      const away = (now - then) / 1000;
      let text;
      if (element.dataset.form === 'at') text = local(new Date(then));
      else if (element.dataset.form === 'since') text = length(away);
      else if (away >= 1) text = length(away) + ' ago';
      else if (away > -1) text = 'now';
      else text = 'in ' + length(-away);
      if (element.textContent !== text) element.textContent = text;
    }
  };

  // What was in a fragment before, to compare with: the page itself has times as lengths.
  const shown = new Map();
  const isInUse = (place) => {
    const selection = document.getSelection();
    const selects = selection && !selection.isCollapsed && place.contains(selection.anchorNode);
    return selects || place.querySelector('details.menu[open]') !== null || pressed === place;
  };
  let pressed = null;
  document.addEventListener('pointerdown', (event) => { pressed = event.target.closest('[data-live]'); });
  document.addEventListener('pointerup', () => { setTimeout(() => { pressed = null; }, 300); });

  const waiting = new Map();
  const replace = (id, html) => {
    const place = document.getElementById(id);
    if (!place || shown.get(id) === html) return;
    if (isInUse(place)) { waiting.set(id, html); return; }
    waiting.delete(id);
    shown.set(id, html);
    const picked = new Set(Array.from(place.querySelectorAll('input[name="id"]:checked'), (box) => box.value));
    const scrolled = Array.from(place.querySelectorAll('pre, .scroll'), (box) => [box.scrollLeft, box.scrollTop]);
    const active = document.activeElement;
    const focus = active && place.contains(active) ? Array.from(place.querySelectorAll('a, button, input, summary, pre')).indexOf(active) : -1;
    const parsed = new DOMParser().parseFromString(html, 'text/html');
    place.replaceChildren(...parsed.body.childNodes);
    for (const box of place.querySelectorAll('input[name="id"]')) box.checked = picked.has(box.value);
    place.querySelectorAll('pre, .scroll').forEach((box, i) => { if (scrolled[i]) [box.scrollLeft, box.scrollTop] = scrolled[i]; });
    if (focus >= 0) place.querySelectorAll('a, button, input, summary, pre')[focus]?.focus({ preventScroll: true });
    showTimes(place);
    showPicked();
  };
  const apply = (fragments) => { for (const fragment of fragments) replace(fragment.id, fragment.html); };

  const dot = document.getElementById('link-dot');
  const text = document.getElementById('link-text');
  const link = (state, words) => {
    if (dot) dot.className = 'dot is-' + state;
    if (text) text.textContent = words;
    body.dataset.link = state;
  };

  let source = null;
  let polling = null;
  let retry = null;
  const poll = async () => {
    try {
      const answer = await fetch(base + page, { headers: { 'x-fragments': '1' }, credentials: 'same-origin' });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      apply(await answer.json());
      link('polling', 'Every 5 seconds');
    } catch {
      link('offline', 'Not connected');
    }
  };
  const close = () => {
    if (source) { source.close(); source = null; }
    clearInterval(polling); polling = null;
    clearTimeout(retry); retry = null;
  };
  const fall = () => {
    close();
    poll();
    polling = setInterval(poll, POLL_MS);
    retry = setTimeout(open, RETRY_MS);
  };
  function open() {
    close();
    if (!window.EventSource) { fall(); return; }
    const stream = new EventSource(base + '/live?page=' + encodeURIComponent(page));
    source = stream;
    // A proxy that keeps the events shows up as silence.
    const silence = setTimeout(() => { if (source === stream && body.dataset.link !== 'live') fall(); }, 6000);
    stream.addEventListener('fragments', (event) => {
      clearTimeout(silence);
      apply(JSON.parse(event.data));
      link('live', 'Live');
    });
    stream.onerror = () => { clearTimeout(silence); if (source === stream) fall(); };
  }

  // Nothing is read for a page that is not seen.
  document.addEventListener('visibilitychange', () => {
    if (!document.querySelector('[data-live]')) return;
    if (document.hidden) close(); else open();
  });
  window.addEventListener('pagehide', close);

  // The boxes of a list.
  const showPicked = () => {
    const boxes = Array.from(document.querySelectorAll('input[name="id"][type="checkbox"]'));
    const all = document.querySelector('[data-pick-all]');
    const count = boxes.filter((box) => box.checked).length;
    if (all) { all.checked = count > 0 && count === boxes.length; all.indeterminate = count > 0 && count < boxes.length; }
  };
  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-pick-all]')) {
      for (const box of document.querySelectorAll('input[name="id"][type="checkbox"]')) box.checked = event.target.checked;
    }
    showPicked();
  });

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (button) {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = 'Copied';
      } catch {
        const range = document.createRange();
        range.selectNodeContents(source);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    }
    for (const menu of document.querySelectorAll('details.menu[open]')) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // Keys: / searches, g and a letter opens a page, Escape closes.
  let went = 0;
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      for (const menu of document.querySelectorAll('details.menu[open]')) menu.open = false;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea')) return;
    if (event.key === '/') {
      const search = document.querySelector('input[type="search"]');
      if (search) { event.preventDefault(); search.focus(); search.select(); }
      return;
    }
    if (event.key === 'g') { went = Date.now(); return; }
    const pages = { o: '/', t: '/tasks', p: '/pools', a: '/targets', s: '/schedules', l: '/log' };
    if (Date.now() - went < 1500 && pages[event.key]) location.assign(base + pages[event.key]);
    went = 0;
  });

  showTimes(document);
  showPicked();
  setInterval(() => {
    if (document.hidden) return;
    showTimes(document);
    for (const [id, html] of waiting) replace(id, html);
  }, 1000);
  if (document.querySelector('[data-live]')) open();
})();
