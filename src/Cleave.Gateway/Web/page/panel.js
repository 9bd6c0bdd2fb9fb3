// The side panel: the cut drawn, a chart of tokens per round trip, figures. Everything is plain DOM and one canvas.

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.append(...children);
  return node;
}

export function bytes(n) {
  return n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} kB` : `${n} B`;
}

const ms = n => (n >= 100 ? `${Math.round(n)} ms` : n >= 10 ? `${n.toFixed(1)} ms` : `${n.toFixed(2)} ms`);
const range = (a, b) => (b - a === 1 ? `layer ${a}` : `layers ${a}–${b - 1}`);

/** Draws head | middle | tail. */
export function drawSplit(info) {
  const box = $('split');
  box.replaceChildren();
  const local = info.head === undefined;
  const head = local ? 0 : info.head;
  const tail = local ? 0 : info.tail;
  const picture = svg('svg', { viewBox: '0 0 300 172', class: 'picture', role: 'img', 'aria-label': local
    ? `All ${info.layers} layers run on this machine; nothing crosses a network.`
    : `${range(0, head)} on this machine, ${range(head, info.layers - tail)} on the worker at ${info.worker}, ${range(info.layers - tail, info.layers)} on this machine. Activations cross, text does not.` });
  const block = (x, y, w, h, kind, lines) => {
    const group = svg('g', { class: `block ${kind}` }, svg('rect', { x, y, width: w, height: h, rx: 9 }));
    lines.forEach(([text, cls], i) => {
      const label = svg('text', { x: x + w / 2, y: y + h / 2 + (i - (lines.length - 1) / 2) * 15 + 4, class: cls ?? '' });
      label.append(text);
      group.append(label);
    });
    return group;
  };
  const label = (x, y, text, anchor = 'middle') => {
    const node = svg('text', { x, y, class: 'side', 'text-anchor': anchor });
    node.append(text);
    return node;
  };
  if (local) {
    picture.append(label(150, 24, 'this machine'), block(10, 40, 280, 72, 'ends', [['Whole model'], [`${info.layers} layers, unsplit`, 'small']]), label(150, 140, 'nothing crosses a network'));
  } else {
    // Trusted ends below, the worker above; two arcs carry what crosses.
    picture.append(
      block(82, 6, 136, 56, 'worker', [['Middle'], [`worker, ${range(head, info.layers - tail)}`, 'small']]),
      block(2, 110, 132, 56, 'ends', [['Head'], [`embedding, ${head} ${head === 1 ? 'layer' : 'layers'}`, 'small']]),
      block(166, 110, 132, 56, 'ends', [['Tail'], [`${tail} ${tail === 1 ? 'layer' : 'layers'}, LM head`, 'small']]),
      svg('line', { x1: 2, y1: 86, x2: 298, y2: 86, class: 'border' }),
      svg('path', { d: 'M44 110 C44 62 48 36 82 35', class: 'arc', id: 'arc-up' }),
      svg('path', { d: 'M218 35 C252 36 256 62 256 110', class: 'arc', id: 'arc-down' }),
      svg('circle', { r: 4, class: 'dot up', cx: -9, cy: -9 }),
      svg('circle', { r: 4, class: 'dot down', cx: -9, cy: -9 }),
      label(150, 81, 'not trusted'),
      label(150, 99, 'this machine'),
    );
    const up = label(22, 58, '');
    up.id = 'up';
    const down = label(278, 58, '');
    down.id = 'down';
    picture.append(up, down);
  }
  box.append(picture);
  if (local) $('split-note').textContent = 'Unsplit: token ids, text and activations stay here.';
}

/** Says what crosses, and how long a round trip takes. */
export function drawRtt(info) {
  const note = $('split-note');
  if (info.head === undefined) return;
  note.textContent = `Activations cross, ${bytes(info.row_bytes)} a row each way (${info.wire})${info.rtt_ms ? `; a round trip takes ${ms(info.rtt_ms)}` : ''}. Text, token ids and logits do not cross.`;
}

const NAMES = { model: 'draft model', suffix: 'earlier text', ngram: 'prompt lookup', window: 'n-gram window' };

let flight = null;

/** Moves a dot up and another down, once per reply. */
export function fly() {
  if (!$('up') || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  const dots = [document.querySelector('.dot.up'), document.querySelector('.dot.down')];
  const arcs = [$('arc-up'), $('arc-down')];
  const started = performance.now();
  if (flight) cancelAnimationFrame(flight);
  const frame = now => {
    const t = Math.min(1, (now - started) / 420);
    dots.forEach((dot, i) => {
      const share = Math.min(1, Math.max(0, t * 2 - i));
      const point = arcs[i].getPointAtLength(share * arcs[i].getTotalLength());
      dot.setAttribute('cx', point.x);
      dot.setAttribute('cy', point.y);
      dot.style.opacity = share > 0 && share < 1 ? 1 : 0;
    });
    flight = t < 1 ? requestAnimationFrame(frame) : null;
  };
  flight = requestAnimationFrame(frame);
}

/** Tokens per reply of the worker: a bar for each, the mean as a line. Without pipelining a reply is a round trip. */
export function drawChart(steps) {
  const canvas = $('chart');
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const c = canvas.getContext('2d');
  c.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const color = name => style.getPropertyValue(name).trim();
  const bar = Math.max(5, Math.min(18, Math.floor((width - 26) / Math.max(1, steps.length))));
  const shown = steps.slice(-Math.floor((width - 26) / bar));
  const top = Math.max(4, ...shown.map(s => s.tokens));
  const y = v => height - 6 - (v / top) * (height - 16);
  c.font = '10px system-ui, sans-serif';
  c.fillStyle = color('--faint');
  c.strokeStyle = color('--line');
  for (const v of [1, Math.ceil(top / 2), top]) {
    c.beginPath();
    c.moveTo(22, y(v) + 0.5);
    c.lineTo(width, y(v) + 0.5);
    c.stroke();
    c.textAlign = 'right';
    c.fillText(String(v), 16, y(v) + 3);
  }
  shown.forEach((s, i) => {
    const x = 24 + i * bar;
    c.fillStyle = s.tokens > 1 ? color('--drafted') : color('--fresh');
    c.beginPath();
    c.roundRect(x, y(s.tokens), bar - 2, height - 6 - y(s.tokens), [Math.min(3, bar / 3), Math.min(3, bar / 3), 0, 0]);
    c.fill();
  });
  const total = steps.reduce((sum, s) => sum + s.tokens, 0);
  const mean = steps.length ? total / steps.length : 0;
  if (steps.length) {
    c.strokeStyle = color('--accent');
    c.setLineDash([4, 3]);
    c.beginPath();
    c.moveTo(22, y(mean));
    c.lineTo(width, y(mean));
    c.stroke();
    c.setLineDash([]);
  }
  $('mean').textContent = steps.length ? mean.toFixed(2) : '–';
  $('chart-text').textContent = steps.length ? `${steps.length} replies brought ${total} tokens, ${mean.toFixed(2)} each on average, ${top} at most.` : 'No answer yet.';
}

/** The figures of an answer, while it runs and after. */
export function drawStats(answer, info) {
  const rows = [];
  const add = (name, value) => value !== undefined && value !== null && rows.push([name, value]);
  const a = answer?.report;
  const live = answer?.live;
  const split = info?.head !== undefined;
  if ($('up')) {
    const crossed = a ? [a.bytes_up, a.bytes_down] : live?.up ? [live.up, live.down] : null;
    $('up').textContent = crossed ? bytes(crossed[0]) : '';
    $('down').textContent = crossed ? bytes(crossed[1]) : '';
  }
  if (a) {
    add('Speed', `${a.tokens_per_second.toFixed(1)} tok/s`);
    add('First token', ms(a.time_to_first_token_ms));
    if (split) add('Round-trip time', ms(a.rtt_ms));
    add('Round trips', `${a.round_trips} for ${a.tokens} tokens${a.round_trips ? `, ${a.tokens_per_round_trip.toFixed(1)} each` : ''}`);
    add('Guessed ahead', a.proposed ? `${a.accepted} of ${a.tokens} tokens, ${a.proposed} rows sent` : 'nothing');
    if (split) add('Sent, received', `${bytes(a.bytes_up)}, ${bytes(a.bytes_down)}`);
    add('Prompt', `${a.prompt_tokens} tokens${a.reused_tokens ? `, ${a.reused_tokens} already there` : ''}`);
    add('Decoder', a.drafters?.length ? `${a.decoder}: ${a.drafters.map(d => `${NAMES[d.name] ?? d.name} ${d.accepted} right`).join(', ')}` : a.decoder);
    add('Seed', a.seed);
    const t = a.timing_ms;
    add('Time in', split ? `network ${ms(t.network)}, head ${ms(t.head)}, middle ${ms(t.middle)}, tail ${ms(t.tail)}, drafting ${ms(t.draft)}` : `layers ${ms(t.middle)}, LM head ${ms(t.tail)}, drafting ${ms(t.draft)}`);
  } else if (live) {
    if (live.prefill) add('Reading the prompt', `${live.prefill.done} of ${live.prefill.total} tokens`);
    add('Speed', live.rate ? `${live.rate.toFixed(1)} tok/s` : undefined);
    if (split) add('Round-trip time', info.rtt_ms ? ms(info.rtt_ms) : undefined);
    add('Replies', `${live.steps} for ${live.tokens} tokens`);
    if (split) add('Sent, received', live.up ? `${bytes(live.up)}, ${bytes(live.down)}` : undefined);
    add('Decoder', info?.decoder);
  } else if (info) {
    if (split) add('Round-trip time', info.rtt_ms ? ms(info.rtt_ms) : 'not measured yet');
    add('Decoder', info.decoder);
    add('Context', `${info.context_tokens} tokens`);
    if (split) add('Worker', info.worker);
  }
  $('stats').replaceChildren(...rows.flatMap(([name, value]) => {
    const dt = document.createElement('dt');
    dt.append(name);
    const dd = document.createElement('dd');
    dd.append(value);
    return [dt, dd];
  }));
}
