// Drives the gateway at BASE_URL with OpenAI's JavaScript client. Prints one line per check and exits 1 on the first that fails.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const model = process.env.MODEL;
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY ?? 'none', maxRetries: 0 });
const ask = (content, more = {}) => ({ model, messages: [{ role: 'user', content }], temperature: 0, max_tokens: 24, ...more });

const checks = {
  async 'chat'() {
    const answer = await client.chat.completions.create(ask('Name five musical instruments.'));
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.choices[0].message.role, 'assistant');
    assert.ok(answer.choices[0].message.content.length > 10);
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 24);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 24);
  },
  async 'streaming equals the whole answer, usage last'() {
    const whole = await client.chat.completions.create(ask('Name five musical instruments.'));
    const stream = await client.chat.completions.create(ask('Name five musical instruments.', { stream: true, stream_options: { include_usage: true } }));
    let text = '';
    let usage = null;
    let reason = null;
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      assert.equal(usage, null, 'nothing follows the usage');
      text += chunk.choices[0]?.delta.content ?? '';
      reason ??= chunk.choices[0]?.finish_reason ?? null;
      usage = chunk.usage ?? null;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(reason, 'length');
    assert.deepEqual(usage.completion_tokens, whole.usage.completion_tokens);
  },
  async 'the statistics extension changes nothing for the client'() {
    const stream = await client.chat.completions.create(ask('Say hello.', { stream: true, cleave: { stats: true } }));
    let tokens = 0;
    let report = null;
    for await (const chunk of stream) {
      tokens += chunk.cleave?.tokens?.length ?? 0;
      report = chunk.cleave?.answer ?? report;
    }
    assert.ok(tokens > 0);
    assert.ok(report.round_trips > 0 && report.tokens >= tokens);
  },
  async 'stream helper gathers the final message'() {
    const runner = client.chat.completions.stream(ask('Say hello.'));
    const message = await runner.finalMessage();
    assert.equal(message.role, 'assistant');
  },
  async 'cancellation'() {
    const stream = await client.chat.completions.create(ask('Tell me a long story about the sea.', { stream: true, max_tokens: 1500, temperature: 1, seed: 3 }));
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) stream.controller.abort();
    assert.ok(chunks < 50);
  },
  async 'seeds'() {
    const one = await client.chat.completions.create(ask('Tell me a story.', { temperature: 1, seed: 7 }));
    const same = await client.chat.completions.create(ask('Tell me a story.', { temperature: 1, seed: 7 }));
    const other = await client.chat.completions.create(ask('Tell me a story.', { temperature: 1, seed: 8 }));
    assert.equal(one.choices[0].message.content, same.choices[0].message.content);
    assert.notEqual(one.choices[0].message.content, other.choices[0].message.content);
    assert.equal(one.system_fingerprint, same.system_fingerprint);
  },
  async 'choices differ, the first is that of a single answer'() {
    const three = await client.chat.completions.create(ask('Tell me a story.', { temperature: 1, seed: 7, n: 3 }));
    const one = await client.chat.completions.create(ask('Tell me a story.', { temperature: 1, seed: 7 }));
    assert.deepEqual(three.choices.map(c => c.index), [0, 1, 2]);
    assert.equal(three.choices[0].message.content, one.choices[0].message.content);
    assert.equal(new Set(three.choices.map(c => c.message.content)).size, 3);
  },
  async 'stop sequences'() {
    const full = (await client.chat.completions.create(ask('Name five musical instruments.'))).choices[0].message.content;
    const stop = full.slice(5, 9); // inside the answer, across tokens as likely as not
    for (const stream of [false, true]) {
      const request = ask('Name five musical instruments.', { stop: ['never said', stop], stream });
      let text = '';
      let reason = null;
      if (stream) {
        for await (const chunk of await client.chat.completions.create(request)) {
          text += chunk.choices[0].delta.content ?? '';
          reason = chunk.choices[0].finish_reason ?? reason;
        }
      } else {
        const answer = await client.chat.completions.create(request);
        text = answer.choices[0].message.content;
        reason = answer.choices[0].finish_reason;
      }
      assert.equal(text, full.slice(0, full.indexOf(stop)));
      assert.equal(reason, 'stop');
    }
  },
  async 'logprobs'() {
    const answer = await client.chat.completions.create(ask('Name five musical instruments.', { logprobs: true, top_logprobs: 4 }));
    const entries = answer.choices[0].logprobs.content;
    assert.equal(entries.length, answer.usage.completion_tokens);
    for (const entry of entries) {
      assert.ok(entry.logprob <= 0);
      assert.equal(entry.top_logprobs.length, 4);
      assert.equal(entry.top_logprobs[0].logprob, entry.logprob, 'greedy takes the most likely token');
      const mass = entry.top_logprobs.reduce((sum, top) => sum + Math.exp(top.logprob), 0);
      assert.ok(mass <= 1 + 1e-6);
      for (let i = 1; i < 4; i++) assert.ok(entry.top_logprobs[i - 1].logprob >= entry.top_logprobs[i].logprob);
    }
    assert.equal(Buffer.from(entries.flatMap(entry => entry.bytes)).toString(), answer.choices[0].message.content);
  },
  async 'JSON schema'() {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 20 },
        kind: { enum: ['wind', 'string', 'percussion'] },
        keys: { type: 'integer', minimum: 0, maximum: 88 },
        tags: { type: 'array', items: { type: 'string', maxLength: 8 }, maxItems: 3 },
      },
      required: ['name', 'kind', 'keys', 'tags'],
      additionalProperties: false,
    };
    for (const seed of [1, 2, 3]) {
      const answer = await client.chat.completions.create(ask('Describe a piano.', {
        temperature: 1, seed, max_tokens: 300, response_format: { type: 'json_schema', json_schema: { name: 'instrument', strict: true, schema } },
      }));
      assert.equal(answer.choices[0].finish_reason, 'stop');
      const value = JSON.parse(answer.choices[0].message.content);
      assert.deepEqual(Object.keys(value), ['name', 'kind', 'keys', 'tags']);
      assert.ok(schema.properties.kind.enum.includes(value.kind));
      assert.ok(Number.isInteger(value.keys) && value.keys >= 0 && value.keys <= 88);
    }
  },
  async 'plain completions'() {
    const answer = await client.completions.create({ model, prompt: 'Once upon a time', max_tokens: 12, temperature: 0, logprobs: 2, echo: false });
    assert.equal(answer.object, 'text_completion');
    assert.equal(answer.choices[0].logprobs.tokens.join(''), answer.choices[0].text);
    const echoed = await client.completions.create({ model, prompt: ['Once upon', 'The sea'], max_tokens: 4, temperature: 0, echo: true });
    assert.ok(echoed.choices[1].text.startsWith('The sea'));
  },
  async 'models'() {
    const list = await client.models.list();
    assert.deepEqual(list.data.map(m => m.id), [model]);
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  async 'errors have their class, code and parameter'() {
    const failing = async (promise, kind, code, param) => {
      await assert.rejects(promise, error => {
        assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
        assert.equal(error.code, code);
        assert.equal(error.param, param);
        return true;
      });
    };
    await failing(client.chat.completions.create({ ...ask('x'), model: 'gpt-9' }), OpenAI.NotFoundError, 'model_not_found', 'model');
    await failing(client.chat.completions.create(ask('x', { temperature: 3 })), OpenAI.BadRequestError, 'invalid_value', 'temperature');
    await failing(client.chat.completions.create(ask('x', { tools: [{ type: 'function', function: { name: 'f' } }] })), OpenAI.BadRequestError, 'unsupported_parameter', 'tools');
    await failing(client.chat.completions.create(ask('x', { surprise: 1 })), OpenAI.BadRequestError, 'unknown_parameter', 'surprise');
    await failing(client.chat.completions.create(ask('word '.repeat(3000))), OpenAI.BadRequestError, 'context_length_exceeded', 'messages');
    await failing(client.embeddings.create({ model, input: 'x' }), OpenAI.NotFoundError, 'unknown_url', null);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}\n${error.stack}`);
    process.exit(1);
  }
}
