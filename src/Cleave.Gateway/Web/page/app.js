// The chat page. State is one list of conversations; every change draws what it touched.
import * as api from './api.js';
import * as store from './store.js';
import * as panel from './panel.js';
import { blocks, render } from './markdown.js';

const $ = id => document.getElementById(id);
const el = (name, className, ...children) => {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
};

let settings = store.settings();
let conversations = store.all();
let current = conversations[0] ?? store.create();
let info = null;
let running = null; // {controller, message, conversation}
const views = new Map(); // message -> {article, body, painted: [{key, node}]}

// ---- Conversations

function drawList() {
  $('conversations').replaceChildren(...conversations.map(conversation => {
    const open = el('button', 'open', conversation.title || 'New conversation');
    open.type = 'button';
    if (conversation === current) open.setAttribute('aria-current', 'true');
    open.addEventListener('click', () => show(conversation));
    const remove = el('button', 'icon remove');
    remove.type = 'button';
    remove.setAttribute('aria-label', `Delete “${conversation.title || 'New conversation'}”`);
    remove.append(icon('M5 5l10 10M15 5L5 15'));
    remove.addEventListener('click', () => {
      if (running?.conversation === conversation) running.controller.abort();
      store.remove(conversation.id);
      conversations = conversations.filter(c => c !== conversation);
      if (conversation === current) show(conversations[0] ?? store.create());
      else drawList();
      $('new-chat').focus();
    });
    return el('li', conversation === current ? 'current' : '', open, remove);
  }));
}

function icon(d) {
  const ns = 'http://www.w3.org/2000/svg';
  const node = document.createElementNS(ns, 'svg');
  node.setAttribute('viewBox', '0 0 20 20');
  node.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(ns, 'path');
  path.setAttribute('d', d);
  node.append(path);
  return node;
}

function show(conversation) {
  current = conversation;
  closeSidebar();
  drawList();
  drawMessages();
  drawPanel();
  if (matchMedia('(min-width: 760px)').matches) $('input').focus();
}

function keep(conversation) {
  conversation.updated = Date.now();
  if (!conversations.includes(conversation)) conversations.unshift(conversation);
  if (!store.save(conversation)) banner('This browser has no room left for conversations: this one is not kept. Delete some to make room.', 'warning');
}

// ---- Messages

function drawMessages() {
  views.clear();
  $('title').textContent = current.title || 'New conversation';
  document.title = current.title ? `${current.title} · Cleave` : 'Cleave';
  const box = $('messages');
  box.replaceChildren(...current.messages.map(view));
  if (current.messages.length === 0) box.append(welcome());
  drawComposer();
  toEnd(true);
}

function welcome() {
  const tries = ['Name five musical instruments.', 'Tell me a short story about a lighthouse.', 'Write a Python function that adds two numbers.'];
  const list = el('div', 'tries', ...tries.map(text => {
    const button = el('button', 'try', text);
    button.type = 'button';
    button.addEventListener('click', () => ask(text));
    return button;
  }));
  return el('section', 'welcome', el('h2', '', 'What would you like to know?'),
    welcomeLine(), list);
}

function welcomeLine() {
  const line = el('p', 'how', info?.head === undefined && info ? 'The whole model runs on this machine.'
    : 'The first and last layers of the model run on this machine, those between on a worker.');
  return line;
}

function view(message) {
  const body = el('div', 'body');
  const article = el('article', `message ${message.role}`);
  article.setAttribute('aria-label', message.role === 'user' ? 'You' : 'Answer');
  const entry = { article, body, painted: [], foot: el('footer') };
  article.append(body, entry.foot);
  views.set(message, entry);
  drawMessage(message);
  return article;
}

function drawMessage(message) {
  const entry = views.get(message);
  if (!entry) return;
  if (message.role === 'user') entry.body.replaceChildren(el('p', 'plain', message.content));
  else drawAnswer(message, entry);
  drawFoot(message, entry);
}

/** Draws blocks that changed and leaves the others as they are: selections and scroll positions in them survive. */
function drawAnswer(message, entry) {
  const busy = running?.message === message;
  const paint = settings.drafts && message.marks?.length ? painter(message.marks) : null;
  const parts = blocks(message.content);
  const kept = [];
  parts.forEach((block, i) => {
    const key = `${block.start}:${message.content.slice(block.start, block.end)}:${paint ? 'p' + lastMark(message.marks, block.end) : ''}`;
    const before = entry.painted[i];
    kept.push(before?.key === key ? before : { key, node: render(block, paint) });
  });
  kept.forEach((part, i) => {
    if (entry.body.children[i] !== part.node) {
      if (entry.body.children[i]) entry.body.children[i].replaceWith(part.node);
      else entry.body.append(part.node);
    }
  });
  while (entry.body.children.length > kept.length) entry.body.lastChild.remove();
  entry.painted = kept;
  if (busy) {
    const caret = el('span', 'caret');
    if (message.content.length === 0) caret.classList.add('alone');
    entry.body.append(caret);
  }
  entry.article.classList.toggle('busy', busy);
  entry.article.setAttribute('aria-busy', String(busy));
}

const lastMark = (marks, end) => {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const at = (low + high) >> 1;
    if (marks[at][0] <= end) low = at + 1;
    else high = at;
  }
  return low;
};

/** Cuts a text node where tokens end, and marks which were guessed ahead. */
function painter(marks) {
  return (parent, value, start) => {
    let index = lastMark(marks, start);
    let at = 0;
    while (at < value.length) {
      const mark = marks[index];
      const end = mark ? Math.min(value.length, mark[0] - start) : value.length;
      const piece = value.slice(at, end);
      if (mark) parent.append(el('span', mark[1] ? 'drafted' : 'fresh', piece));
      else parent.append(piece);
      at = end;
      index++;
    }
  };
}

function drawFoot(message, entry) {
  const foot = entry.foot;
  const button = (label, action) => {
    const node = el('button', 'quiet', label);
    node.type = 'button';
    node.addEventListener('click', action);
    return node;
  };
  foot.replaceChildren();
  if (running?.message === message) return;
  if (message.state === 'failed') {
    const notice = el('p', 'notice', message.error || 'The answer failed.');
    notice.setAttribute('role', 'alert');
    foot.append(notice);
  } else if (message.state === 'stopped') foot.append(el('p', 'notice calm', 'Stopped.'));
  else if (message.state === 'length') foot.append(el('p', 'notice calm', 'The answer reached its longest length.'));
  if (running) return;
  if (message.role === 'user') foot.append(button('Edit', () => edit(message)));
  else foot.append(button(message.state === 'failed' ? 'Try again' : 'Regenerate', () => regenerate(message)));
  foot.append(button('Copy', event => {
    navigator.clipboard?.writeText(message.content).then(() => {
      event.target.textContent = 'Copied';
      setTimeout(() => (event.target.textContent = 'Copy'), 1500);
    });
  }));
}

function edit(message) {
  const entry = views.get(message);
  const field = el('textarea', 'edit');
  field.value = message.content;
  field.setAttribute('aria-label', 'Edit your message');
  const save = el('button', 'primary', 'Send');
  save.type = 'submit';
  const cancel = el('button', 'quiet', 'Cancel');
  cancel.type = 'button';
  const form = el('form', 'editor', field, el('div', 'actions', cancel, save));
  cancel.addEventListener('click', () => drawMessage(message));
  form.addEventListener('submit', event => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text || running) return;
    current.messages.length = current.messages.indexOf(message);
    drawMessages();
    ask(text);
  });
  field.addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === 'Escape') drawMessage(message);
  });
  entry.body.replaceChildren(form);
  entry.foot.replaceChildren();
  fit(field);
  field.addEventListener('input', () => fit(field));
  field.focus();
}

function regenerate(message) {
  if (running) return;
  current.messages.length = current.messages.indexOf(message);
  drawMessages();
  answer();
}

// ---- Asking

function ask(text) {
  if (running || !text.trim()) return;
  if (current.messages.length === 0) current.title = text.trim().replace(/\s+/g, ' ').slice(0, 60);
  current.messages.push({ role: 'user', content: text.trim() });
  keep(current);
  drawList();
  drawMessages();
  answer();
}

async function answer() {
  const conversation = current;
  const message = { role: 'assistant', content: '', marks: [], steps: [], state: 'running', live: { steps: 0, tokens: 0, up: 0, down: 0 } };
  const history = conversation.messages.map(m => ({ role: m.role, content: m.content }));
  const request = {
    model: info?.model ?? '',
    messages: settings.system.trim() ? [{ role: 'system', content: settings.system.trim() }, ...history] : history,
    temperature: settings.temperature,
    max_tokens: settings.maxTokens,
  };
  if (settings.seed) request.seed = Number(settings.seed);
  conversation.messages.push(message);
  running = { controller: new AbortController(), message, conversation };
  if (conversation === current) {
    for (const [m, entry] of views) drawFoot(m, entry);
    $('messages').append(view(message));
    toEnd(true);
  }
  drawComposer();
  const started = performance.now();
  let reason = null;
  let pending = false;
  const draw = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      if (conversation !== current || running?.message !== message) return;
      drawMessage(message);
      panel.drawChart(message.steps);
      panel.drawStats(message, info);
      toEnd(false);
    });
  };
  try {
    if (!info) await refresh(true);
    request.model = info?.model ?? request.model;
    for await (const event of api.chat(request, running.controller.signal)) {
      take(event);
      draw();
    }
    message.state = reason === 'length' ? 'length' : 'done';
  } catch (error) {
    if (error.name === 'AbortError') message.state = 'stopped';
    else {
      message.state = 'failed';
      message.error = explain(error);
      if (error.status === 401) {
        openSettings();
        $('key').focus();
      }
    }
  } finally {
    delete message.live;
    running = null;
    if (message.content === '' && message.state === 'stopped') conversation.messages.pop();
    keep(conversation);
    banner('');
    if (conversation === current) {
      drawMessages();
      drawPanel();
      $('announce').textContent = message.state === 'failed' ? message.error : message.content;
    }
    drawList();
    refresh();
  }

  function take(event) {
    const extra = event.cleave ?? {};
    const choice = event.choices[0];
    if (extra.prefill) message.live.prefill = extra.prefill;
    if (extra.link) tell(extra.link);
    if (choice?.delta?.content) {
      let at = message.content.length;
      message.content += choice.delta.content;
      for (const token of extra.tokens ?? []) {
        at += token.text.length;
        if (token.text) message.marks.push([Math.min(at, message.content.length), token.drafted ? 1 : 0]);
      }
      delete message.live.prefill;
    }
    message.live.tokens += extra.tokens?.length ?? 0;
    if (extra.step) {
      message.steps.push({ tokens: extra.step.tokens, rows: extra.step.rows });
      message.live.steps = extra.step.number;
      const up = extra.step.bytes_up - (message.live.totalUp ?? extra.step.bytes_up);
      const down = extra.step.bytes_down - (message.live.totalDown ?? extra.step.bytes_down);
      message.live.totalUp = extra.step.bytes_up;
      message.live.totalDown = extra.step.bytes_down;
      message.live.up += up;
      message.live.down += down;
      message.live.first ??= performance.now();
      const seconds = (performance.now() - message.live.first) / 1000;
      if (seconds > 0.15) message.live.rate = message.live.tokens / seconds;
      const row = info?.row_bytes ?? 0;
      if (conversation === current) panel.fly(up || extra.step.rows * row, down || extra.step.rows * row);
    }
    if (extra.answer) message.report = extra.answer;
    if (choice?.finish_reason) reason = choice.finish_reason;
  }

  function tell(link) {
    if (link.state === 'link_lost') banner('The worker is lost. Looking for it again; the answer goes on when it is back.', 'warning');
    else if (link.state === 'replaying') banner('Sending this conversation’s activations to the worker again…', 'warning');
    else if (link.state === 'identity_not_promised') banner(link.message, 'warning');
    else banner('');
  }
}

function explain(error) {
  if (error.code === 'worker_unavailable') return 'The worker is lost, so the answer ended early. It is being looked for; try again in a moment.';
  if (error.code === 'worker_busy' || error.status === 429) return 'The server is busy. Try again in a moment.';
  if (error instanceof TypeError || error.code === 'connection_lost') return 'The server cannot be reached. Is it still running?';
  return error.message;
}

// ---- Frame

function drawComposer() {
  const busy = running !== null;
  $('stop').hidden = !busy;
  $('send').hidden = busy;
  $('send').disabled = $('input').value.trim() === '';
}

function drawPanel() {
  const last = current.messages.findLast(m => m.role === 'assistant');
  panel.drawChart(last?.steps ?? []);
  panel.drawStats(last, info);
}

function banner(text, kind) {
  const node = $('banner');
  if (text === node.textContent && node.hidden === !text) return;
  node.textContent = text;
  node.className = `banner ${kind ?? ''}`;
  node.hidden = !text;
}

const nearEnd = () => $('scroll').scrollHeight - $('scroll').scrollTop - $('scroll').clientHeight < 120;
let follow = true;

function toEnd(force) {
  if (force || follow) $('scroll').scrollTop = $('scroll').scrollHeight;
  follow = force || follow;
}

function fit(field) {
  field.style.height = 'auto';
  field.style.height = Math.min(field.scrollHeight + 2, 260) + 'px';
}

async function refresh(always) {
  try {
    const before = JSON.stringify([info?.layers, info?.head, info?.tail, info?.worker, info?.row_bytes]);
    info = await api.status();
    if (before !== JSON.stringify([info.layers, info.head, info.tail, info.worker, info.row_bytes])) panel.drawSplit(info);
    panel.drawRtt(info);
    $('model').textContent = info.model;
    $('app').querySelector('.how')?.replaceWith(welcomeLine());
    $('verdict').textContent = sentence(info.privacy_verdict);
    $('privacy').textContent = sentence(info.privacy_verdict);
    if (!running) {
      if (info.worker_state === 'lost') banner('The worker is lost. It is being looked for; answers go on when it is back.', 'warning');
      else if ($('banner').textContent.startsWith('The')) banner('');
      drawPanel();
    }
  } catch (error) {
    if (!running) banner(error.status === 401 ? 'This server asks for an API key: give it in the settings.' : 'The server cannot be reached.', 'warning');
    if (always) throw error;
  }
}

const sentence = text => {
  const bare = text.replace(/^privacy:\s*/, '');
  return bare.charAt(0).toUpperCase() + bare.slice(1) + (/[.!?]$/.test(bare) ? '' : '.');
};

function applyTheme() {
  if (settings.theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = settings.theme;
  $('theme').textContent = `Theme: ${settings.theme}`;
  drawPanel();
}

function applyPanel() {
  const wide = matchMedia('(min-width: 1080px)').matches;
  const open = wide ? settings.panel : $('app').classList.contains('panel-open');
  $('app').classList.toggle('no-panel', wide && !settings.panel);
  $('toggle-panel').setAttribute('aria-expanded', String(open));
  if (open) drawPanel();
}

function closeSidebar() {
  $('app').classList.remove('sidebar-open', 'panel-open');
  $('scrim').hidden = true;
}

function openSettings() {
  $('temperature').value = settings.temperature;
  $('temperature-value').textContent = Number(settings.temperature).toFixed(1);
  $('max-tokens').value = settings.maxTokens;
  $('seed').value = settings.seed;
  $('system').value = settings.system;
  $('key').value = store.key.get();
  $('settings').showModal();
}

$('new-chat').addEventListener('click', () => show(conversations.find(c => c.messages.length === 0) ?? store.create()));
$('composer').addEventListener('submit', event => {
  event.preventDefault();
  const text = $('input').value;
  if (running || !text.trim()) return;
  $('input').value = '';
  fit($('input'));
  ask(text);
});
$('stop').addEventListener('click', () => {
  running?.controller.abort();
  $('input').focus();
});
$('input').addEventListener('input', () => {
  fit($('input'));
  drawComposer();
});
$('input').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  } else if (event.key === 'ArrowUp' && $('input').value === '' && !running) {
    const last = current.messages.findLast(m => m.role === 'user');
    if (last) {
      event.preventDefault();
      edit(last);
    }
  }
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && !$('settings').open) {
    if ($('app').classList.contains('sidebar-open') || $('app').classList.contains('panel-open')) closeSidebar();
    else if (running && !event.target.closest?.('.editor')) running.controller.abort();
  }
});
$('scroll').addEventListener('scroll', () => (follow = nearEnd()), { passive: true });
$('open-sidebar').addEventListener('click', () => {
  $('app').classList.add('sidebar-open');
  $('scrim').hidden = false;
  $('new-chat').focus();
});
$('close-sidebar').addEventListener('click', () => {
  closeSidebar();
  $('open-sidebar').focus();
});
$('scrim').addEventListener('click', closeSidebar);
$('toggle-panel').addEventListener('click', () => {
  if (matchMedia('(min-width: 1080px)').matches) {
    settings.panel = !settings.panel;
    store.saveSettings(settings);
  } else {
    const open = $('app').classList.toggle('panel-open');
    $('scrim').hidden = !open;
  }
  applyPanel();
});
$('theme').addEventListener('click', () => {
  settings.theme = { auto: 'light', light: 'dark', dark: 'auto' }[settings.theme] ?? 'auto';
  store.saveSettings(settings);
  applyTheme();
});
$('show-drafts').addEventListener('change', () => {
  settings.drafts = $('show-drafts').checked;
  store.saveSettings(settings);
  for (const message of views.keys()) if (message.role === 'assistant') drawMessage(message);
});
$('settings-button').addEventListener('click', openSettings);
$('temperature').addEventListener('input', () => ($('temperature-value').textContent = Number($('temperature').value).toFixed(1)));
$('settings').addEventListener('close', () => {
  settings = {
    ...settings,
    temperature: Number($('temperature').value),
    maxTokens: Math.max(1, Math.floor(Number($('max-tokens').value)) || store.defaults.maxTokens),
    seed: /^-?\d{1,15}$/.test($('seed').value.trim()) ? $('seed').value.trim() : '',
    system: $('system').value,
  };
  store.saveSettings(settings);
  store.key.set($('key').value.trim());
  refresh();
});
$('clear-all').addEventListener('click', () => {
  if (!confirm('Delete all conversations in this browser?')) return;
  running?.controller.abort();
  store.clear();
  conversations = [];
  $('settings').close();
  show(store.create());
});
addEventListener('resize', applyPanel);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawPanel);
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && refresh());
setInterval(() => document.visibilityState === 'visible' && !running && refresh(), 4000);

$('show-drafts').checked = settings.drafts;
applyTheme();
applyPanel();
show(current);
refresh();
