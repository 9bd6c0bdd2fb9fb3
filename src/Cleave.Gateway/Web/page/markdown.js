// Markdown as DOM nodes. Text from the model only ever becomes text nodes: there is no HTML path, links and images are
// shown as text and never made into elements that the browser would fetch (a fetched URL could carry the chat away).
//
// Every text node knows where in the source it came from, so that tokens can be coloured: `paint(node, start)` is
// called with each text node and the source offset of its first character.

const MAX_DEPTH = 12;

/** Splits Markdown into blocks: {type, start, end, ...} with offsets into the source. */
export function blocks(source) {
  const lines = [];
  let at = 0;
  for (const text of source.split('\n')) {
    lines.push({ text, start: at });
    at += text.length + 1;
  }
  return parseBlocks(lines, 0);
}

function parseBlocks(lines, depth) {
  const out = [];
  let i = 0;
  const endOf = line => line.start + line.text.length;
  while (i < lines.length) {
    const line = lines[i];
    let match;
    if (/^\s*$/.test(line.text)) {
      i++;
      continue;
    }
    if ((match = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/.exec(line.text))) {
      const fence = match[1];
      const body = [];
      const first = i++;
      while (i < lines.length && !(lines[i].text.trim().startsWith(fence) && /^[`~]+$/.test(lines[i].text.trim()))) body.push(lines[i++]);
      const last = lines[Math.min(i, lines.length - 1)];
      const closed = i < lines.length;
      i++;
      out.push({ type: 'code', language: match[2].trim().split(/\s+/)[0] || '', lines: body, closed, start: lines[first].start, end: endOf(last) });
      continue;
    }
    if ((match = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line.text))) {
      const offset = line.start + line.text.indexOf(match[2], match[1].length);
      out.push({ type: 'heading', level: match[1].length, inline: [{ text: match[2], start: offset }], start: line.start, end: endOf(line) });
      i++;
      continue;
    }
    if (/^ {0,3}([-*_])( *\1){2,}\s*$/.test(line.text)) {
      out.push({ type: 'rule', start: line.start, end: endOf(line) });
      i++;
      continue;
    }
    if (/^ {0,3}>/.test(line.text) && depth < MAX_DEPTH) {
      const first = i;
      const inner = [];
      while (i < lines.length && /^ {0,3}>/.test(lines[i].text)) {
        const cut = /^ {0,3}> ?/.exec(lines[i].text)[0].length;
        inner.push({ text: lines[i].text.slice(cut), start: lines[i].start + cut });
        i++;
      }
      out.push({ type: 'quote', blocks: parseBlocks(inner, depth + 1), start: lines[first].start, end: endOf(lines[i - 1]) });
      continue;
    }
    if (depth < MAX_DEPTH && (match = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/.exec(line.text))) {
      const first = i;
      const ordered = /\d/.test(match[2]);
      const items = [];
      while (i < lines.length) {
        const item = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/.exec(lines[i].text);
        if (!item || /\d/.test(item[2]) !== ordered) break;
        const indent = item[0].length;
        const inner = [{ text: lines[i].text.slice(indent), start: lines[i].start + indent }];
        i++;
        while (i < lines.length) {
          const text = lines[i].text;
          if (/^\s*$/.test(text)) {
            const next = lines[i + 1];
            if (!next || !/^ {2,}\S/.test(next.text)) break;
            inner.push({ text: '', start: lines[i].start });
            i++;
            continue;
          }
          const lead = /^ */.exec(text)[0].length;
          if (lead >= 2) {
            const cut = Math.min(lead, indent);
            inner.push({ text: text.slice(cut), start: lines[i].start + cut });
          } else if (/^([-*+]|\d{1,9}[.)])( |$)|^(#{1,6}\s|>|```|~~~)/.test(text.trimStart())) {
            break;
          } else {
            inner.push({ text, start: lines[i].start });
          }
          i++;
        }
        items.push(parseBlocks(inner, depth + 1));
        let skip = i;
        while (skip < lines.length && /^\s*$/.test(lines[skip].text)) skip++;
        if (skip < lines.length && /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/.test(lines[skip].text)) i = skip;
      }
      out.push({ type: 'list', ordered, first: ordered ? parseInt(match[2], 10) : 1, items, start: lines[first].start, end: endOf(lines[i - 1]) });
      continue;
    }
    if (line.text.includes('|') && i + 1 < lines.length && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1].text) && lines[i + 1].text.includes('-')) {
      const first = i;
      const aligns = cells(lines[i + 1]).map(c => (/^:.*:$/.test(c.text) ? 'center' : /:$/.test(c.text) ? 'end' : ''));
      const head = cells(line);
      const rows = [];
      i += 2;
      while (i < lines.length && lines[i].text.includes('|') && !/^\s*$/.test(lines[i].text)) rows.push(cells(lines[i++]));
      out.push({ type: 'table', head, rows, aligns, start: lines[first].start, end: endOf(lines[i - 1]) });
      continue;
    }
    const first = i;
    const inline = [];
    while (i < lines.length && !/^\s*$/.test(lines[i].text) && (i === first || !/^ {0,3}(#{1,6}\s|>|`{3,}|~{3,}|([-*+]|1[.)]) +\S)/.test(lines[i].text))) {
      const cut = /^\s*/.exec(lines[i].text)[0].length;
      inline.push({ text: lines[i].text.slice(cut), start: lines[i].start + cut });
      i++;
    }
    out.push({ type: 'paragraph', inline, start: lines[first].start, end: endOf(lines[i - 1]) });
  }
  return out;
}

function cells(line) {
  const out = [];
  let text = line.text;
  let start = line.start;
  const lead = /^\s*\|?/.exec(text)[0].length;
  text = text.slice(lead).replace(/\|?\s*$/, '');
  start += lead;
  for (const cell of text.split('|')) {
    const trimmed = cell.trim();
    out.push({ text: trimmed, start: start + cell.indexOf(trimmed) });
    start += cell.length + 1;
  }
  return out;
}

/** One block as an element. */
export function render(block, paint) {
  const el = (name, ...children) => {
    const node = document.createElement(name);
    node.append(...children);
    return node;
  };
  switch (block.type) {
    case 'heading': {
      const node = el('h' + Math.min(6, block.level + 2));
      inline(node, block.inline, paint);
      return node;
    }
    case 'rule':
      return el('hr');
    case 'quote':
      return el('blockquote', ...block.blocks.map(b => render(b, paint)));
    case 'list': {
      const list = el(block.ordered ? 'ol' : 'ul');
      if (block.ordered && block.first !== 1) list.start = block.first;
      for (const item of block.items) {
        const li = el('li');
        // A tight item is its text, not a paragraph.
        for (const b of item) {
          if (b.type === 'paragraph') inline(item.length === 1 || b === item[0] ? li : li.appendChild(el('p')), b.inline, paint);
          else li.append(render(b, paint));
        }
        list.append(li);
      }
      return list;
    }
    case 'table': {
      const table = el('table');
      const row = (kind, line) => {
        const tr = el('tr');
        block.head.forEach((_, c) => {
          const cell = el(kind);
          if (block.aligns[c]) cell.className = block.aligns[c];
          if (kind === 'th') cell.scope = 'col';
          if (line[c]) inline(cell, [line[c]], paint);
          tr.append(cell);
        });
        return tr;
      };
      table.append(el('thead', row('th', block.head)), el('tbody', ...block.rows.map(r => row('td', r))));
      const wrap = el('div', table);
      wrap.className = 'table';
      wrap.tabIndex = 0;
      return wrap;
    }
    case 'code':
      return codeBlock(block, paint, el);
    default: {
      const node = el('p');
      inline(node, block.inline, paint);
      return node;
    }
  }
}

function codeBlock(block, paint, el) {
  const code = el('code');
  block.lines.forEach((line, i) => {
    if (i > 0) text(code, '\n', line.start - 1, paint);
    highlight(code, line, paint);
  });
  const pre = el('pre', code);
  pre.tabIndex = 0;
  const label = el('span', block.language.slice(0, 24) || 'text');
  const copy = el('button', 'Copy');
  copy.type = 'button';
  copy.className = 'copy';
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(block.lines.map(l => l.text).join('\n'));
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Not allowed';
    }
    setTimeout(() => (copy.textContent = 'Copy'), 1500);
  });
  const bar = el('div', label, copy);
  bar.className = 'bar';
  const figure = el('div', bar, pre);
  figure.className = 'code';
  return figure;
}

const LEXER = /(\/\/.*|#(?![0-9a-fA-F]{3,8}\b).*|--\s.*)|("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?)|\b(\d[\d_.]*(?:e[+-]?\d+)?|0x[0-9a-fA-F]+)\b|\b(abstract|and|as|async|await|bool|break|case|catch|class|const|continue|def|default|del|do|double|elif|else|enum|except|export|extends|false|finally|float|fn|for|foreach|from|func|function|if|impl|import|in|int|interface|internal|is|lambda|let|long|match|mut|namespace|new|nil|none|not|null|or|package|private|protected|public|raise|readonly|return|sealed|self|static|string|struct|super|switch|this|throw|throws|true|try|type|undefined|use|using|var|void|where|while|with|yield|None|True|False|SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|JOIN|ON|GROUP|ORDER|BY)\b/g;

/** One line of code, its comments, strings, numbers and keywords in spans. */
function highlight(parent, line, paint) {
  let at = 0;
  LEXER.lastIndex = 0;
  for (let m; line.text.length < 2000 && (m = LEXER.exec(line.text)); ) {
    if (m[0].length === 0) {
      LEXER.lastIndex++;
      continue;
    }
    text(parent, line.text.slice(at, m.index), line.start + at, paint);
    const span = document.createElement('span');
    span.className = m[1] ? 'c' : m[2] ? 's' : m[3] ? 'n' : 'k';
    text(span, m[0], line.start + m.index, paint);
    parent.append(span);
    at = m.index + m[0].length;
  }
  text(parent, line.text.slice(at), line.start + at, paint);
}

/** Inline Markdown of consecutive lines. */
function inline(parent, lines, paint) {
  lines.forEach((line, i) => {
    if (i > 0) {
      if (/ {2,}$|\\$/.test(lines[i - 1].text)) parent.append(document.createElement('br'));
      else text(parent, '\n', line.start - 1, paint);
    }
    spans(parent, line.text.replace(/( {2,}|\\)$/, ''), line.start, paint, 0);
  });
}

// In order: code, strong, strong, struck, emphasis, emphasis, link or image, escape.
const INLINE = new RegExp([
  '(?<ticks>`+)(?!`)(?<code>[^]*?[^`])\\k<ticks>(?!`)',
  '\\*\\*(?=\\S)(?<strong>[^]*?\\S)\\*\\*',
  '(?<![A-Za-z0-9_])__(?=\\S)(?<strong2>[^]*?\\S)__(?![A-Za-z0-9_])',
  '~~(?=\\S)(?<struck>[^]*?\\S)~~',
  '\\*(?=[^\\s*])(?<em>[^*]*?[^\\s*])\\*(?!\\*)',
  '(?<![A-Za-z0-9_])_(?=[^\\s_])(?<em2>[^_]*?[^\\s_])_(?![A-Za-z0-9_])',
  '(?<bang>!?)\\[(?<label>[^\\[\\]]*)\\]\\(\\s*<?(?<url>[^\\s()<>]*)>?(?:\\s+["\'][^"\']*["\'])?\\s*\\)',
  '\\\\(?<escaped>[!-\\/:-@\\[-`{-~])',
].join('|'), 'g');

function spans(parent, source, start, paint, depth) {
  let at = 0;
  const pattern = new RegExp(INLINE.source, 'g');
  for (let m; depth < MAX_DEPTH && source.length < 5000 && (m = pattern.exec(source)); ) {
    text(parent, source.slice(at, m.index), start + at, paint);
    const g = m.groups;
    const here = start + m.index;
    const wrap = (name, content, skip) => {
      const node = document.createElement(name);
      spans(node, content, here + skip, paint, depth + 1);
      parent.append(node);
    };
    if (g.code !== undefined) {
      const code = document.createElement('code');
      text(code, g.code, here + g.ticks.length, paint);
      parent.append(code);
    } else if (g.strong ?? g.strong2) wrap('strong', g.strong ?? g.strong2, 2);
    else if (g.struck) wrap('del', g.struck, 2);
    else if (g.em ?? g.em2) wrap('em', g.em ?? g.em2, 1);
    else if (g.escaped) text(parent, g.escaped, here + 1, paint);
    else {
      // A link or an image: what it says and where it points, as text.
      const link = document.createElement('span');
      link.className = g.bang ? 'image' : 'link';
      if (g.bang) link.append('image: ');
      spans(link, g.label, here + g.bang.length + 1, paint, depth + 1);
      if (g.url && g.url !== g.label) {
        const url = document.createElement('span');
        url.className = 'url';
        url.append(' (');
        text(url, g.url, here + m[0].indexOf(g.url, g.bang.length + g.label.length + 2), paint);
        url.append(')');
        link.append(url);
      }
      link.title = 'Not opened or loaded: addresses in answers could carry the conversation away';
      parent.append(link);
    }
    at = m.index + m[0].length;
  }
  text(parent, source.slice(at), start + at, paint);
}

function text(parent, value, start, paint) {
  if (value.length === 0) return;
  if (paint) paint(parent, value, start);
  else parent.append(value);
}
