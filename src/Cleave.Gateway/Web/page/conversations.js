// The list of conversations, kept in this browser.
import * as store from './store.js';
import { $, el, icon, state } from './state.js';
import { banner, closeSidebar, drawPanel } from './frame.js';
import { drawMessages } from './messages.js';

export function drawList() {
  $('conversations').replaceChildren(...state.conversations.map(conversation => {
    const open = el('button', 'open', conversation.title || 'New conversation');
    open.type = 'button';
    if (conversation === state.current) open.setAttribute('aria-current', 'true');
    open.addEventListener('click', () => show(conversation));
    const remove = el('button', 'icon remove');
    remove.type = 'button';
    remove.setAttribute('aria-label', `Delete “${conversation.title || 'New conversation'}”`);
    remove.append(icon('M5 5l10 10M15 5L5 15'));
    remove.addEventListener('click', () => {
      if (state.running?.conversation === conversation) state.running.controller.abort();
      store.remove(conversation.id);
      state.conversations = state.conversations.filter(c => c !== conversation);
      if (conversation === state.current) show(state.conversations[0] ?? store.create());
      else drawList();
      $('new-chat').focus();
    });
    return el('li', conversation === state.current ? 'current' : '', open, remove);
  }));
}

export function show(conversation) {
  state.current = conversation;
  closeSidebar();
  drawList();
  drawMessages();
  drawPanel();
  if (matchMedia('(min-width: 760px)').matches) $('input').focus();
}

export function keep(conversation) {
  conversation.updated = Date.now();
  if (!state.conversations.includes(conversation)) state.conversations.unshift(conversation);
  if (!store.save(conversation)) banner('This browser has no room left for conversations: this one is not kept. Delete some to make room.', 'warning');
}
