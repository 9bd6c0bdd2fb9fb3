// What stands around the messages: composer, panel, banner, theme, settings.
import * as api from './api.js';
import * as panel from './panel.js';
import * as store from './store.js';
import { $, state } from './state.js';
import { welcomeLine } from './messages.js';

export function drawComposer() {
  const busy = state.running !== null;
  $('stop').hidden = !busy;
  $('send').hidden = busy;
  $('send').disabled = $('input').value.trim() === '';
}

export function drawPanel() {
  const last = state.current.messages.findLast(m => m.role === 'assistant');
  panel.drawChart(last?.steps ?? []);
  panel.drawStats(last, state.info);
}

export function banner(text, kind) {
  const node = $('banner');
  if (text === node.textContent && node.hidden === !text) return;
  node.textContent = text;
  node.className = `banner ${kind ?? ''}`;
  node.hidden = !text;
}

const nearEnd = () => $('scroll').scrollHeight - $('scroll').scrollTop - $('scroll').clientHeight < 120;
let follow = true;
$('scroll').addEventListener('scroll', () => (follow = nearEnd()), { passive: true });

export function toEnd(force) {
  if (force || follow) $('scroll').scrollTop = $('scroll').scrollHeight;
  follow = force || follow;
}

export function fit(field) {
  field.style.height = 'auto';
  field.style.height = Math.min(field.scrollHeight + 2, 260) + 'px';
}

export async function refresh(always) {
  try {
    const before = JSON.stringify([state.info?.layers, state.info?.head, state.info?.tail, state.info?.worker, state.info?.row_bytes]);
    state.info = await api.status();
    if (before !== JSON.stringify([state.info.layers, state.info.head, state.info.tail, state.info.worker, state.info.row_bytes])) panel.drawSplit(state.info);
    panel.drawRtt(state.info);
    $('model').textContent = state.info.model;
    $('app').querySelector('.how')?.replaceWith(welcomeLine());
    $('verdict').textContent = sentence(state.info.privacy_verdict);
    $('privacy').textContent = sentence(state.info.privacy_verdict);
    if (!state.running) {
      if (state.info.worker_state === 'lost') banner('The worker is lost. It is being looked for; answers go on when it is back.', 'warning');
      else if ($('banner').textContent.startsWith('The')) banner('');
      drawPanel();
    }
  } catch (error) {
    if (!state.running) banner(error.status === 401 ? 'This server asks for an API key: give it in the settings.' : 'The server cannot be reached.', 'warning');
    if (always) throw error;
  }
}

const sentence = text => {
  const bare = text.replace(/^privacy:\s*/, '');
  return bare.charAt(0).toUpperCase() + bare.slice(1) + (/[.!?]$/.test(bare) ? '' : '.');
};

export function applyTheme() {
  if (state.settings.theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = state.settings.theme;
  $('theme').textContent = `Theme: ${state.settings.theme}`;
  drawPanel();
}

export function applyPanel() {
  const wide = matchMedia('(min-width: 1080px)').matches;
  const open = wide ? state.settings.panel : $('app').classList.contains('panel-open');
  $('app').classList.toggle('no-panel', wide && !state.settings.panel);
  $('toggle-panel').setAttribute('aria-expanded', String(open));
  if (open) drawPanel();
}

export function closeSidebar() {
  $('app').classList.remove('sidebar-open', 'panel-open');
  $('scrim').hidden = true;
}

export function openSettings() {
  $('temperature').value = state.settings.temperature;
  $('temperature-value').textContent = Number(state.settings.temperature).toFixed(1);
  $('max-tokens').value = state.settings.maxTokens;
  $('seed').value = state.settings.seed;
  $('system').value = state.settings.system;
  $('key').value = store.key.get();
  $('settings').showModal();
}
