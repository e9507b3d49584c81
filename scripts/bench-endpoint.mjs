// What the endpoint adds to an answer: the first token and tokens/s over HTTP, streamed, against the library's own answer, in
// turns, of one edge that answers by its own model. `node scripts/bench-endpoint.mjs [MODEL.gguf] [ROUNDS]`; without a model
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
const WARM_ROUNDS = 4;
const QUESTION = [{ role: "user", content: "Write a short story about a fox and a ring, without an end." }];

/** @typedef {{ firstMs: number, restMs: number, text: string }} Timed */

/** @returns {Promise<Timed>} */
async function byLibrary(edge, seed) {
  const startMs = performance.now();
  let firstMs = 0;
  const request = {
    prompt: QUESTION,
    policy: "edge",
    maxTokens: TOKENS,
    seed,
    sampler: { temperature: 0.8 },
  };
  const { text } = await edge.ask(request, () => {
    if (firstMs === 0) firstMs = performance.now() - startMs;
  });
  return { firstMs, restMs: performance.now() - startMs - firstMs, text };
}

/** @returns {Promise<Timed>} */
async function byEndpoint(url, seed) {
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
const kept = { library: [], endpoint: [] };
try {
  for (let round = 0; round < WARM_ROUNDS + Number(rounds); round++) {
    const ways = [
      ["library", () => byLibrary(edge, round)],
      ["endpoint", () => byEndpoint(server.url, round)],
    ];
    if (round % 2) ways.reverse();
    const answers = {};
    for (const [name, ask] of ways) answers[name] = await ask();
    if (answers.library.text !== answers.endpoint.text) throw new Error("the texts differ");
    if (round >= WARM_ROUNDS) for (const [name] of ways) kept[name].push(answers[name]);
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
