// llama.cpp, as npm's node-llama-cpp brings it, timed on request: one command per line of input ("decode N" or "prefill N"),
// one line of JSON with the seconds it took as the answer. Started by `Cleave.Benchmarks report --llama FOLDER`.
// Usage: node server.mjs MODEL.gguf THREADS
import {createInterface} from "node:readline";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const require = createRequire(`${process.cwd()}/`);
const {getLlama} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);
const [modelPath, threadsText] = process.argv.slice(2);
const threads = Number(threadsText);
const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath, useMmap: true});
const context = await model.createContext({contextSize: 2048, batchSize: 512, threads});
const sequence = context.getSequence();
const prompt = model.tokenize("Once upon a time there was a little girl who lived in a house by the sea. ".repeat(80));
const seconds = (start) => Number(process.hrtime.bigint() - start) / 1e9;

// Greedy generation of count tokens after a prompt of 8; the prompt is not timed.
async function decode(count) {
    await sequence.clearHistory();
    let start = 0n;
    let made = 0;
    for await (const _ of sequence.evaluate(prompt.slice(0, 8), {temperature: 0, yieldEogToken: true})) {
        if (made++ === 0)
            start = process.hrtime.bigint();
        else if (made > count)
            break;
    }
    return seconds(start);
}

// The prompt's keys and values, without a new token.
async function prefill(count) {
    await sequence.clearHistory();
    const start = process.hrtime.bigint();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, count));
    return seconds(start);
}

console.log(JSON.stringify({ready: true, release: llama.llamaCppRelease.release, threads, tokens: prompt.length}));
for await (const line of createInterface({input: process.stdin})) {
    const [command, count] = line.split(" ");
    const elapsed = command === "decode" ? await decode(Number(count)) : await prefill(Number(count));
    console.log(JSON.stringify({seconds: elapsed}));
}
process.exit(0);
