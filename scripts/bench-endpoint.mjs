// What the endpoint adds to an answer: the first token and tokens/s over HTTP, streamed, against the library's own answer, in
// turns, warm, each to a fresh question, of one edge that answers by its own model. `node scripts/bench-endpoint.mjs [MODEL.gguf] [ROUNDS]`; without a model
// SmolLM2-135M, fetched where it is missing. Needs `npm run build`.

import { fetchSmolLm2 } from "./smollm2.mjs";

const built = (path) =>
  import(`../dist/${path}`).catch(() => {
    console.error("bench-endpoint: there is no dist; run npm run build first");
    process.exit(1);
  });
const { createEdge, serveEndpoint } = await built("src/node.js");
const { pairedRatio } = await built("lab/bench/grid-paired.js");

const TOKENS = 96;
/** A server is warm: what V8 has not compiled yet takes 3 ms more. These are of one token. */
const WARM_ROUNDS = 80;
/** Each is a fresh one, whose prompt is in no KV cache, and of as many tokens. */
const question = (name) => [
  { role: "user", content: `Letter ${name}. Write a story about a fox, a ring and a boat, without an end.` },
];

/** @typedef {{ firstMs: number, restMs: number, text: string }} Timed */

/** @returns {Promise<Timed>} */
async function byLibrary(edge, seed, name, maxTokens) {
  const startMs = performance.now();
  let firstMs = 0;
  const request = {
    prompt: question(name),
    policy: "edge",
    maxTokens,
    seed,
    sampler: { temperature: 0.8 },
  };
  const { text } = await edge.ask(request, () => {
    if (firstMs === 0) firstMs = performance.now() - startMs;
  });
  return { firstMs, restMs: performance.now() - startMs - firstMs, text };
}

/** @returns {Promise<Timed>} */
async function byEndpoint(url, seed, name, maxTokens) {
  const body = {
    ...{ model: "any", messages: question(name), stream: true, max_tokens: maxTokens },
    ...{ seed, temperature: 0.8 },
  };
  const startMs = performance.now();
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`the endpoint says ${answer.status}: ${await answer.text()}`);
  let [firstMs, text, rest] = [0, "", ""];
  const decoder = new TextDecoder();
  for await (const bytes of answer.body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const content = JSON.parse(line.slice("data: ".length)).choices[0]?.delta?.content;
      if (!content) continue;
      if (firstMs === 0) firstMs = performance.now() - startMs;
      text += content;
    }
  }
  return { firstMs, restMs: performance.now() - startMs - firstMs, text };
}

function said(what, ofA, ofB) {
  const { ratio, low, high } = pairedRatio(ofA, ofB);
  return `${what}: ${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

const [model = await fetchSmolLm2(console.error), rounds = "24"] = process.argv.slice(2);
const edge = await createEdge({ model, drafter: "model", policy: "edge", threads: 1, gpu: "off" });
const server = await serveEndpoint(edge);
const kept = { library: [], endpoint: [] };
try {
  for (let round = 0; round < WARM_ROUNDS; round++) {
    const texts = [await byLibrary(edge, round, "x", 1), await byEndpoint(server.url, round, "x", 1)];
    if (texts[0].text !== texts[1].text) throw new Error("the texts differ");
  }
  for (let round = 0; round < Number(rounds); round++) {
    const ways = [
      ["library", (name) => byLibrary(edge, round, name, TOKENS)],
      ["endpoint", (name) => byEndpoint(server.url, round, name, TOKENS)],
    ];
    if (round % 2) ways.reverse();
    for (const [place, [name, ask]] of ways.entries()) {
      kept[name].push(
        await ask(`${"abcdefghijklmnopqrstuvwxyz"[round % 26]}${10 * (1 + (round % 9)) + place}`),
      );
    }
  }
} finally {
  await server.close();
  edge.close();
}
const of = (name, time) => kept[name].map((one) => one[time]);
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1].toFixed(1);
console.log(
  `first token, median: library ${median(of("library", "firstMs"))} ms, endpoint ${median(of("endpoint", "firstMs"))} ms`,
);
console.log(
  said(
    "first token, speed of the endpoint over the library's",
    of("endpoint", "firstMs"),
    of("library", "firstMs"),
  ),
);
console.log(
  said("tokens/s after it, endpoint over library", of("endpoint", "restMs"), of("library", "restMs")),
);
