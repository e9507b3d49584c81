import { afterEach, beforeAll, expect, it } from "vitest";
import { sameFrequencies, tally } from "../../../lab/models/statistics.ts";
import { EngineError } from "../../../src/engine/engine.ts";
import { prompts, startVllm } from "../../support/real-vllm.ts";
import { ask, type Drafts, engineBefore, metric, together } from "../../support/vllm-runs.ts";

/**
 * Sampled answers of three tokens, with drafts and without: their frequencies are those of one distribution. False alarms:
 * one in 10,000 runs.
 */

const ALPHA = 1e-4;
const ANSWERS = 1500;
const SAMPLER = { temperature: 1, topP: 0.9, topK: 20 };

let prompt: number[];
let alone: number[][];
let stop: (() => Promise<void>) | null = null;
afterEach(async () => {
  await stop?.();
  stop = null;
});

interface Found {
  readonly answers: number[][];
  readonly accepted: number;
}

/** @param draftsOf of the answer with this number */
async function answersOf(
  plugin: boolean | string,
  firstSeed: number,
  draftsOf?: (i: number) => Drafts,
): Promise<Found> {
  const server = await startVllm(plugin);
  stop = () => server.stop();
  prompt ??= (await prompts(server.url, 1))[0]!;
  const engine = await engineBefore(server);
  const numbers = Array.from({ length: ANSWERS }, (_, i) => i);
  const answers = await together(numbers, async (i) => {
    const drafts = draftsOf ? { drafts: draftsOf(i) } : {};
    const asking = { prompt, maxTokens: 3, seed: firstSeed + i, sampler: SAMPLER, ...drafts };
    return (await ask(engine, asking)).tokens;
  }).finally(() => engine.close());
  return { answers, accepted: draftsOf ? await metric(server, "spec_decode_num_accepted_tokens_total") : 0 };
}

/** An answer of those without drafts, as far as it goes on from what is there: right as often as it is likely. */
function drawn(i: number): Drafts {
  return (done) => {
    if (done.length > 1) return null;
    const same = done.length === 0 ? alone : alone.filter((text) => text[0] === done[0]);
    const text = same[i % Math.max(1, same.length)];
    return text ? { at: done.length, tokens: text.slice(done.length) } : null;
  };
}

const textsOf = (answers: number[][], length: number) =>
  tally(answers.map((tokens) => tokens.slice(0, length).join(" ")));
const pValues = (answers: number[][]) =>
  [1, 2, 3].map((length) => sameFrequencies(textsOf(alone, length), textsOf(answers, length)).pValue);

beforeAll(async () => {
  ({ answers: alone } = await answersOf(false, 0));
  await stop?.();
  stop = null;
});

it("are as frequent with drafts as without", async () => {
  const { answers, accepted } = await answersOf(true, ANSWERS, drawn);
  console.log(
    `p-values for 1, 2 and 3 tokens: ${pValues(answers).map((p) => p.toFixed(4))}; ${accepted} accepted`,
  );
  expect(accepted).toBeGreaterThan(ANSWERS / 10);
  expect(Math.min(...pValues(answers))).toBeGreaterThan(ALPHA);
});

it("control: are not where vLLM's faults on CPU are left as they are, or the engine ends", async () => {
  const found = answersOf("unmended.Unmended", ANSWERS, drawn);
  const said = await found.then(
    ({ answers }) => Math.min(...pValues(answers)),
    (error) => (error instanceof EngineError ? error.message : Promise.reject(error)),
  );
  console.log(`control: ${typeof said === "number" ? `p-value ${said.toExponential(1)}` : said}`);
  if (typeof said === "number") expect(said).toBeLessThan(ALPHA);
});
