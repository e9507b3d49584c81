// What the endpoint adds to an answer: the first token and tokens/s over HTTP, streamed, against the library's own answer and
// against a bare server of Node's that does nothing but pass that on, in turns, of one edge that answers by its own model. What
// the bare server adds is HTTP's and the client's, which is in the same process. `node scripts/bench-endpoint.mjs [MODEL.gguf]
// [ROUNDS]`; without a model SmolLM2-135M, fetched where it is missing. Needs `npm run build`.

import { once } from "node:events";
import { createServer } from "node:http";
import { fetchSmolLm2 } from "./smollm2.mjs";

const built = (path) =>
  import(`../dist/${path}`).catch(() => {
    console.error("bench-endpoint: there is no dist; run npm run build first");
    process.exit(1);
  });
const { createEdge, serveEndpoint } = await built("src/node.js");
const { pairedRatio } = await built("lab/bench/grid-paired.js");

const TOKENS = 96;
const WARM_ROUNDS = 4;
const QUESTION = [{ role: "user", content: "Write a short story about a fox and a ring, without an end." }];

/** @typedef {{ firstMs: number, restMs: number, text: string }} Timed */

function questionOf(seed) {
  return { prompt: QUESTION, policy: "edge", maxTokens: TOKENS, seed, sampler: { temperature: 0.8 } };
}

/** Checks nothing, bounds nothing and counts nothing: the least that a server can do. */
async function serveBare(edge) {
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const { seed } = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    const event = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    await edge.ask(questionOf(seed), ({ type, text }) => {
      if (type === "text" && text !== "") event({ choices: [{ index: 0, delta: { content: text } }] });
    });
    response.end("data: [DONE]\n\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** @returns {Promise<Timed>} */
async function byLibrary(edge, seed) {
  const startMs = performance.now();
  let firstMs = 0;
  const { text } = await edge.ask(questionOf(seed), () => {
    if (firstMs === 0) firstMs = performance.now() - startMs;
  });
  return { firstMs, restMs: performance.now() - startMs - firstMs, text };
}

/** @returns {Promise<Timed>} */
async function byHttp(url, seed) {
  const body = { model: "any", messages: QUESTION, stream: true, max_tokens: TOKENS, seed, temperature: 0.8 };
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
const bare = await serveBare(edge);
const WAYS = [
  ["library", (seed) => byLibrary(edge, seed)],
  ["bare", (seed) => byHttp(`http://127.0.0.1:${bare.address().port}`, seed)],
  ["endpoint", (seed) => byHttp(server.url, seed)],
];
const kept = { library: [], bare: [], endpoint: [] };
try {
  for (let round = 0; round < WARM_ROUNDS + Number(rounds); round++) {
    // Each follows each of the others as often.
    const ways = WAYS.map((_, place) => WAYS[(place + round) % WAYS.length]);
    if (round % 2) ways.reverse();
    const answers = {};
    for (const [name, ask] of ways) answers[name] = await ask(round);
    for (const [name] of ways) {
      if (answers[name].text !== answers.library.text) throw new Error("the texts differ");
      if (round >= WARM_ROUNDS) kept[name].push(answers[name]);
    }
  }
} finally {
  bare.closeAllConnections();
  bare.close();
  await server.close();
  edge.close();
}
const of = (name, time) => kept[name].map((one) => one[time]);
const median = (name) => [...of(name, "firstMs")].sort((a, b) => a - b)[kept[name].length >> 1].toFixed(1);
console.log(`first token, median: ${WAYS.map(([name]) => `${name} ${median(name)} ms`).join(", ")}`);
for (const [what, time] of [
  ["speed of the first token", "firstMs"],
  ["tokens/s after it", "restMs"],
]) {
  for (const [one, other] of [
    ["endpoint", "library"],
    ["bare", "library"],
    ["endpoint", "bare"],
  ]) {
    console.log(said(`${what}, ${one} over ${other}`, of(one, time), of(other, time)));
  }
}
