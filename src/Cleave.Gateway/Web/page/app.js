// The chat page: what its controls do.
import * as store from './store.js';
import { $, state } from './state.js';
import { show } from './conversations.js';
import { ask } from './answering.js';
import { applyPanel, applyTheme, closeSidebar, drawComposer, drawPanel, fit, openSettings, refresh } from './frame.js';
import { drawMessage, edit, views } from './messages.js';

$('new-chat').addEventListener('click', () => show(state.conversations.find(c => c.messages.length === 0) ?? store.create()));
$('composer').addEventListener('submit', event => {
  event.preventDefault();
  const text = $('input').value;
  if (state.running || !text.trim()) return;
  $('input').value = '';
  fit($('input'));
  ask(text);
});
$('stop').addEventListener('click', () => {
  state.running?.controller.abort();
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
  } else if (event.key === 'ArrowUp' && $('input').value === '' && !state.running) {
    const last = state.current.messages.findLast(m => m.role === 'user');
    if (last) {
      event.preventDefault();
      edit(last);
    }
  }
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && !$('settings').open) {
    if ($('app').classList.contains('sidebar-open') || $('app').classList.contains('panel-open')) closeSidebar();
    else if (state.running && !event.target.closest?.('.editor')) state.running.controller.abort();
  }
});
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
    state.settings.panel = !state.settings.panel;
    store.saveSettings(state.settings);
  } else {
    const open = $('app').classList.toggle('panel-open');
    $('scrim').hidden = !open;
  }
  applyPanel();
});
$('theme').addEventListener('click', () => {
  state.settings.theme = { auto: 'light', light: 'dark', dark: 'auto' }[state.settings.theme] ?? 'auto';
  store.saveSettings(state.settings);
  applyTheme();
});
$('show-drafts').addEventListener('change', () => {
  state.settings.drafts = $('show-drafts').checked;
  store.saveSettings(state.settings);
  for (const message of views.keys()) if (message.role === 'assistant') drawMessage(message);
});
$('settings-button').addEventListener('click', openSettings);
$('temperature').addEventListener('input', () => ($('temperature-value').textContent = Number($('temperature').value).toFixed(1)));
$('settings').addEventListener('close', () => {
  state.settings = {
    ...state.settings,
    temperature: Number($('temperature').value),
    maxTokens: Math.max(1, Math.floor(Number($('max-tokens').value)) || store.defaults.maxTokens),
    seed: /^-?\d{1,15}$/.test($('seed').value.trim()) ? $('seed').value.trim() : '',
    system: $('system').value,
  };
  store.saveSettings(state.settings);
  store.key.set($('key').value.trim());
  refresh();
});
$('clear-all').addEventListener('click', () => {
  if (!confirm('Delete all conversations in this browser?')) return;
  state.running?.controller.abort();
  store.clear();
  state.conversations = [];
  $('settings').close();
  show(store.create());
});
addEventListener('resize', applyPanel);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawPanel);
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && refresh());
setInterval(() => document.visibilityState === 'visible' && !state.running && refresh(), 4000);

$('show-drafts').checked = state.settings.drafts;
applyTheme();
applyPanel();
show(state.current);
refresh();