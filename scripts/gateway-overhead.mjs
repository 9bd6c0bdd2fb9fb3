#!/usr/bin/env node
// What the gateway costs beside `cleave run`: the same prompts, worker and emulated link, one answer at a time: medians of
// times to the first token; tokens a second of all answers together (an answer that is easy to guess takes a fifth of another's round trips).
//   dotnet build src/Cleave.Cli -c Release && node scripts/gateway-overhead.mjs [--rtt 80ms] [--decoder sequential] [--tokens 32] [--warm 8] [--repeats 1]
// Times of the gateway are those its client sees: from before the request to the first event with text, and to the last.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const rtt = option('rtt', '80ms');
const decoder = option('decoder', 'sequential');
const tokens = Number(option('tokens', 32));
const warm = Number(option('warm', 8));
const repeats = Number(option('repeats', 1));
const bin = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../artifacts/bin/Cleave.Cli/release');
const model = path.resolve(bin, '../../../../models/cleave-demo-24m.q8_0.gguf');
const folder = mkdtempSync(path.join(tmpdir(), 'cleave-overhead-'));
const link = path.join(folder, 'worker.link');
const prompts = [ // whose answers do not end before 100 tokens
  'Tell me a short story about a lighthouse.', 'Describe a quiet village in winter.', 'Give me a recipe for bread.',
  'Write a Python function that sorts a list.', 'Write a Python class for a bank account with deposit and withdraw.',
  'Write a short story about a boy who finds a key.', 'Tell me a story about a brave little mouse.',
];

const median = values => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

// Tokens a second of answers of equal length, one after another.
const together = speeds => speeds.length / speeds.reduce((sum, speed) => sum + 1 / speed, 0);

function start(program, args, ready) {
  const child = spawn(path.join(bin, program), args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  return new Promise((resolve, reject) => {
    const listen = data => {
      said += data;
      const found = ready.exec(said);
      if (found) resolve({ child, found: found[0] });
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('exit', code => reject(new Error(`${program} ended with ${code}: ${said}`)));
  });
}

async function ask(url, prompt) {
  const started = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'cleave-demo-24m.q8_0', messages: [{ role: 'user', content: prompt }], temperature: 0, max_tokens: tokens, stream: true, cleave: { stats: true } }),
  });
  let [held, text, first, last, firstTokens, count, inner] = ['', '', 0, 0, 0, 0, null];
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const now = performance.now();
    const events = (held + piece).split('\n\n');
    held = events.pop();
    for (const event of events) {
      if (event === 'data: [DONE]') continue;
      const json = JSON.parse(event.slice(6));
      inner = json.cleave?.answer ?? inner;
      text += json.choices?.[0]?.delta?.content ?? '';
      const brought = json.cleave?.tokens?.length ?? 0;
      if (brought === 0) continue;
      if (first === 0) [first, firstTokens] = [now, brought];
      [last, count] = [now, count + brought];
    }
  }
  return { text, ttft: first - started, speed: ((count - firstTokens) * 1000) / (last - first), inner };
}

const run = prompt => JSON.parse(execFileSync(path.join(bin, 'cleave'), [
  'run', '--chat', '--prompt', prompt, '--max-tokens', tokens, '--temperature', '0', '--decoder', decoder, '--wan', rtt, '--worker-file', link, '--json',
], { stdio: ['ignore', 'pipe', 'inherit'] }));

const worker = await start('worker/cleave-worker', ['--model', model, '--layers', '2..10', '--listen', '127.0.0.1:0', '--child', '--link-file', link], /pairing link is in/);
const gateway = await start('cleave', ['serve', '--port', '0', '--no-page', '--decoder', decoder, '--wan', rtt, '--worker-file', link], /http:\/\/127\.0\.0\.1:\d+(?=\s)/);
try {
  for (let i = 0; i < warm; i++) await ask(gateway.found, 'Say hello.'); // connected, and some of it compiled
  const [runs, asks] = [[], []];
  for (const prompt of Array(repeats).fill(prompts).flat()) {
    await new Promise(resolve => setTimeout(resolve, 500)); // as a person would leave
    asks.push(await ask(gateway.found, prompt));
    runs.push(run(prompt));
    if (runs.at(-1).text !== asks.at(-1).text) throw new Error(`not the same work: ${runs.at(-1).text}\n---\n${asks.at(-1).text}`);
  }
  const row = (name, ttft, speed) => console.log(`${name.padEnd(34)} ${ttft.toFixed(2).padStart(9)} ms ${speed.toFixed(3).padStart(9)} tok/s`);
  console.log(`${decoder}, ${rtt}, ${tokens} tokens, ${asks.length} answers each`);
  row('cleave run', median(runs.map(r => r.timeToFirstTokenMs)), together(runs.map(r => r.tokensPerSecond)));
  row('gateway, seen by its client', median(asks.map(a => a.ttft)), together(asks.map(a => a.speed)));
  row('gateway, by its own count', median(asks.map(a => a.inner.time_to_first_token_ms)), together(asks.map(a => a.inner.tokens_per_second)));
  const later = median(asks.map(a => a.ttft - a.inner.time_to_first_token_ms));
  const slower = median(asks.map(a => 100 * (1 - a.speed / a.inner.tokens_per_second)));
  const beside = median(asks.map((a, i) => 100 * (1 - a.speed / runs[i].tokensPerSecond)));
  console.log(`client behind the gateway's own count, median of the answers: ${later.toFixed(2)} ms to the first token, ${slower.toFixed(2)} % in tok/s`);
  console.log(`client behind cleave run, median of the answers: ${beside.toFixed(2)} % in tok/s`);
} finally {
  worker.child.removeAllListeners('exit');
  gateway.child.removeAllListeners('exit');
  gateway.child.kill('SIGTERM');
  worker.child.stdin.end();
  rmSync(folder, { recursive: true });
}
