// What the page knows, shared by its modules; every change draws what it touched.
import * as store from './store.js';

const conversations = store.all();

export const state = {
  settings: store.settings(),
  conversations,
  current: conversations[0] ?? store.create(),
  info: null, // what the server serves
  running: null, // {controller, message, conversation}
};

export const $ = id => document.getElementById(id);

export const el = (name, className, ...children) => {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
};

export function icon(d) {
  const ns = 'http://www.w3.org/2000/svg';
  const node = document.createElementNS(ns, 'svg');
  node.setAttribute('viewBox', '0 0 20 20');
  node.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(ns, 'path');
  path.setAttribute('d', d);
  node.append(path);
  return node;
}
