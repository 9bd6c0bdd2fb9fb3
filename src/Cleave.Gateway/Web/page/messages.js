// The messages of a conversation.
import { $, el, state } from './state.js';
import { answer, ask } from './answering.js';
import { drawComposer, fit, toEnd } from './frame.js';
import { blocks, render } from './markdown.js';

/** message -> {article, body, painted: [{key, node}], foot} */
export const views = new Map();

export function drawMessages() {
  views.clear();
  $('title').textContent = state.current.title || 'New conversation';
  document.title = state.current.title ? `${state.current.title} · Cleave` : 'Cleave';
  const box = $('messages');
  box.replaceChildren(...state.current.messages.map(view));
  if (state.current.messages.length === 0) box.append(welcome());
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

export function welcomeLine() {
  const line = el('p', 'how', state.info?.head === undefined && state.info ? 'The whole model runs on this machine.'
    : 'The first and last layers of the model run on this machine, those between on a worker.');
  return line;
}

export function view(message) {
  const body = el('div', 'body');
  const article = el('article', `message ${message.role}`);
  article.setAttribute('aria-label', message.role === 'user' ? 'You' : 'Answer');
  const entry = { article, body, painted: [], foot: el('footer') };
  article.append(body, entry.foot);
  views.set(message, entry);
  drawMessage(message);
  return article;
}

export function drawMessage(message) {
  const entry = views.get(message);
  if (!entry) return;
  if (message.role === 'user') entry.body.replaceChildren(el('p', 'plain', message.content));
  else drawAnswer(message, entry);
  drawFoot(message, entry);
}

/** Draws blocks that changed and leaves the others as they are: selections and scroll positions in them survive. */
function drawAnswer(message, entry) {
  const busy = state.running?.message === message;
  const paint = state.settings.drafts && message.marks?.length ? painter(message.marks) : null;
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

export function drawFoot(message, entry) {
  const foot = entry.foot;
  const button = (label, action) => {
    const node = el('button', 'quiet', label);
    node.type = 'button';
    node.addEventListener('click', action);
    return node;
  };
  foot.replaceChildren();
  if (state.running?.message === message) return;
  if (message.state === 'failed') {
    const notice = el('p', 'notice', message.error || 'The answer failed.');
    notice.setAttribute('role', 'alert');
    foot.append(notice);
  } else if (message.state === 'stopped') foot.append(el('p', 'notice calm', 'Stopped.'));
  else if (message.state === 'length') foot.append(el('p', 'notice calm', 'The answer reached its longest length.'));
  if (state.running) return;
  if (message.role === 'user') foot.append(button('Edit', () => edit(message)));
  else foot.append(button(message.state === 'failed' ? 'Try again' : 'Regenerate', () => regenerate(message)));
  foot.append(button('Copy', event => {
    navigator.clipboard?.writeText(message.content).then(() => {
      event.target.textContent = 'Copied';
      setTimeout(() => (event.target.textContent = 'Copy'), 1500);
    });
  }));
}

export function edit(message) {
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
    if (!text || state.running) return;
    state.current.messages.length = state.current.messages.indexOf(message);
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
  if (state.running) return;
  state.current.messages.length = state.current.messages.indexOf(message);
  drawMessages();
  answer();
}
