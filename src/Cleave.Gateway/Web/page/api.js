// The server this page came from, and no other.
import { key } from './store.js';

/** An error with OpenAI's fields. */
export class ApiError extends Error {
  constructor(status, body, retryAfter) {
    super(body?.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = body?.code ?? null;
    this.retryAfter = retryAfter;
  }
}

function headers() {
  const given = key.get();
  return given ? { Authorization: `Bearer ${given}` } : {};
}

async function fail(response) {
  let body = null;
  try {
    body = (await response.json()).error;
  } catch {
    // no JSON: the status says what there is to say
  }
  throw new ApiError(response.status, body, Number(response.headers.get('Retry-After')) || 0);
}

/** What the server serves, and how. */
export async function status() {
  const response = await fetch('/cleave/status', { headers: headers(), cache: 'no-store' });
  return response.ok ? response.json() : fail(response);
}

/** Streams an answer: each event's JSON in turn. */
export async function* chat(request, signal) {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers() },
    body: JSON.stringify({ ...request, stream: true, cleave: { stats: true } }),
    signal,
  });
  if (!response.ok) await fail(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ApiError(0, { message: 'The connection ended before the answer did.', code: 'connection_lost' });
    held += value;
    const events = held.split('\n\n');
    held = events.pop();
    for (const event of events) {
      const data = event.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n');
      if (data === '[DONE]') return;
      if (!data) continue;
      const json = JSON.parse(data);
      if (json.error) throw new ApiError(0, json.error);
      yield json;
    }
  }
}
