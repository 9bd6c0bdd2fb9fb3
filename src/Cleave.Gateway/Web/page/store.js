// Conversations, in this browser only. One entry each, so that saving one does not rewrite the others.

const PREFIX = 'cleave.conversation.';
const SETTINGS = 'cleave.settings';

export const defaults = { temperature: 0.7, maxTokens: 512, seed: '', system: '', theme: 'auto', panel: true, drafts: false };

export function settings() {
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(SETTINGS) ?? '{}') };
  } catch {
    return { ...defaults };
  }
}

export function saveSettings(value) {
  localStorage.setItem(SETTINGS, JSON.stringify(value));
}

/** All conversations, the latest first. What cannot be read is left out, not lost. */
export function all() {
  const list = [];
  for (let i = 0; i < localStorage.length; i++) {
    const key = localStorage.key(i);
    if (!key.startsWith(PREFIX)) continue;
    try {
      const value = JSON.parse(localStorage.getItem(key));
      if (typeof value.id === 'string' && Array.isArray(value.messages)) list.push(value);
    } catch {
      // another version's
    }
  }
  return list.sort((a, b) => b.updated - a.updated);
}

export function create() {
  return { id: crypto.randomUUID ? crypto.randomUUID() : String(Date.now()) + Math.random().toString(36).slice(2), title: '', updated: Date.now(), messages: [] };
}

/** Saves one; false when the browser has no room left. */
export function save(conversation) {
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    return true;
  } catch {
    return false;
  }
}

export function remove(id) {
  localStorage.removeItem(PREFIX + id);
}

export function clear() {
  for (const conversation of all()) remove(conversation.id);
}

export const key = {
  get: () => sessionStorage.getItem('cleave.key') ?? '',
  set: value => (value ? sessionStorage.setItem('cleave.key', value) : sessionStorage.removeItem('cleave.key')),
};
