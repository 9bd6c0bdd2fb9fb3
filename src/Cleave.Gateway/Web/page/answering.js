// Asking, and taking an answer as it comes.
import * as api from './api.js';
import * as panel from './panel.js';
import { $, state } from './state.js';
import { drawList, keep } from './conversations.js';
import { banner, drawComposer, drawPanel, openSettings, refresh, toEnd } from './frame.js';
import { drawFoot, drawMessage, drawMessages, view, views } from './messages.js';

export function ask(text) {
  if (state.running || !text.trim()) return;
  if (state.current.messages.length === 0) state.current.title = text.trim().replace(/\s+/g, ' ').slice(0, 60);
  state.current.messages.push({ role: 'user', content: text.trim() });
  keep(state.current);
  drawList();
  drawMessages();
  answer();
}

export async function answer() {
  const conversation = state.current;
  const message = { role: 'assistant', content: '', marks: [], steps: [], state: 'running', live: { steps: 0, tokens: 0, up: 0, down: 0 } };
  const history = conversation.messages.map(m => ({ role: m.role, content: m.content }));
  const request = {
    model: state.info?.model ?? '',
    messages: state.settings.system.trim() ? [{ role: 'system', content: state.settings.system.trim() }, ...history] : history,
    temperature: state.settings.temperature,
    max_tokens: state.settings.maxTokens,
  };
  if (state.settings.seed) request.seed = Number(state.settings.seed);
  conversation.messages.push(message);
  state.running = { controller: new AbortController(), message, conversation };
  if (conversation === state.current) {
    for (const [m, entry] of views) drawFoot(m, entry);
    $('messages').append(view(message));
    toEnd(true);
  }
  drawComposer();
  let reason = null;
  let pending = false;
  const draw = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      if (conversation !== state.current || state.running?.message !== message) return;
      drawMessage(message);
      panel.drawChart(message.steps);
      panel.drawStats(message, state.info);
      toEnd(false);
    });
  };
  try {
    if (!state.info) await refresh(true);
    request.model = state.info?.model ?? request.model;
    for await (const event of api.chat(request, state.running.controller.signal)) {
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
    state.running = null;
    if (message.content === '' && message.state === 'stopped') conversation.messages.pop();
    keep(conversation);
    banner('');
    if (conversation === state.current) {
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
      message.live.up = extra.step.bytes_up;
      message.live.down = extra.step.bytes_down;
      message.live.first ??= performance.now();
      const seconds = (performance.now() - message.live.first) / 1000;
      if (seconds > 0.15) message.live.rate = message.live.tokens / seconds;
      if (conversation === state.current) panel.fly();
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
