import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chiSquare } from "../../lab/models/statistics.ts";
import { Mailbox, type MailboxSession, mailboxAddress } from "../../src/engine/vllm/mailbox.ts";
import { PrefixHash } from "../../src/engine/vllm/prefix-hash.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import {
  complete,
  post,
  prompts,
  type RealVllm,
  SECRET,
  STEP_DRAFTS,
  startVllm,
} from "../support/real-vllm.ts";

/**
 * vLLM's own parameters with drafts and without, whatever PicoSpec asks for: what is the same may be passed on, and what is
 * not has to be refused. Each case has one text only, since it is greedy or leaves one token; or its frequencies are
 * compared.
 */

const TOKENS = 24;

let plain: RealVllm;
let served: RealVllm;
let mailbox: Mailbox;
let prompt: number[];
/** what the model says where nothing is asked of it */
let likely: number[];
let ids = 0;

beforeAll(async () => {
  [plain, served] = await Promise.all([startVllm(false), startVllm(true)]);
  mailbox = new Mailbox({
    ...{ address: mailboxAddress(served.mailbox!), secret: SECRET, clock: systemClock },
    ...{ random: Math.random, told: () => {} },
  });
  await mailbox.tried();
  [prompt] = (await prompts(plain.url, 1)) as [number[]];
  likely = await complete(plain.url, { prompt, max_tokens: TOKENS, temperature: 0 });
});
afterAll(async () => {
  mailbox?.close();
  await Promise.all([plain?.stop(), served?.stop()]);
});

/** Offers drafts for the whole answer ahead of time, every fifth of them wrong. */
function offerAll(requestId: string, truth: readonly number[]): MailboxSession {
  const session = mailbox.begin(`cmpl-${requestId}-0`);
  const hash = new PrefixHash(mailbox.ready!.key);
  hash.pushAll(prompt);
  for (let at = 0; at < truth.length; at++) {
    const drafts = truth
      .slice(at, at + STEP_DRAFTS)
      .map((token, i) => ((at + i) % 5 === 4 ? token + 1 : token));
    session.offer(prompt.length + at, hash.value, Int32Array.from(drafts));
    hash.push(truth[at]!);
  }
  return session;
}

const schema = {
  type: "object",
  properties: { a: { type: "integer" } },
  required: ["a"],
  additionalProperties: false,
};

/** What is set besides the prompt. */
const CASES: [string, Record<string, unknown>][] = [
  ["temperature 0", {}],
  ["a repetition penalty", { repetition_penalty: 1.3 }],
  ["a presence penalty", { presence_penalty: 1.5 }],
  ["a frequency penalty", { frequency_penalty: 1.5 }],
  ["all three", { repetition_penalty: 1.2, presence_penalty: 0.5, frequency_penalty: 0.7 }],
  ["a token that ends the answer", { stop_token_ids: [28, 30] }],
  ["no end token", { ignore_eos: true }],
  ["one token", { max_tokens: 1 }],
  ["the log-probability of each token", { logprobs: 0 }],
  ["log-probabilities of the likeliest", { logprobs: 5 }],
  ["allowed tokens", { allowed_token_ids: Array.from({ length: 5000 }, (_, i) => i) }],
  ["bad words", { bad_words: ["the", "a"] }],
  ["top-k of one", { temperature: 1, top_k: 1 }],
  ["top-p of nothing", { temperature: 1, top_p: 1e-6 }],
  ["top-k and top-p, of one", { temperature: 0.7, top_k: 1, top_p: 0.5 }],
  ["min-p where it cuts nothing", { min_p: 0.2 }],
  ["a regex", { structured_outputs: { regex: "[a-z ]{10,20}\\." } }],
  ["a schema", { structured_outputs: { json: schema } }],
  ["a choice", { structured_outputs: { choice: ["one of these", "one of those"] } }],
  ["a grammar", { structured_outputs: { grammar: 'root ::= "say " ("this" | "that") " again"' } }],
  ["a text that ends the answer", { stop: ["."] }],
];

describe("parameters that mean the same with drafts and without", () => {
  it("are 21", () => {
    expect(CASES).toHaveLength(21);
  });

  it.each(CASES)("%s", async (_, given) => {
    const body = {
      model: "smollm2",
      prompt,
      max_tokens: TOKENS,
      temperature: 0,
      return_token_ids: true,
      ...given,
    };
    const ask = async (url: string, request_id: string) => {
      const { status, json } = await post(url, "/v1/completions", { ...body, request_id });
      expect([status, json.error]).toEqual([200, undefined]);
      const [choice] = json.choices as {
        token_ids: number[];
        logprobs: { token_logprobs: number[] } | null;
      }[];
      return choice!;
    };
    const before = await ask(plain.url, `plain-${++ids}`);
    const id = `drafted-${++ids}`;
    const session = offerAll(id, before.token_ids);
    const drafted = await ask(served.url, id);
    session.end();
    expect(drafted.token_ids).toEqual(before.token_ids);
    for (const [i, logprob] of before.logprobs?.token_logprobs.entries() ?? []) {
      expect(drafted.logprobs!.token_logprobs[i]).toBeCloseTo(logprob, 3);
    }
  });
});

interface Cut {
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p?: number;
}

/** What may follow, with its probability, as vLLM cuts: temperature, then top-k, then top-p of what is left. */
async function following(tokens: readonly number[], { temperature, top_k, top_p = 1 }: Cut) {
  const wanted = { max_tokens: 1, logprobs: 20, temperature: 0, return_tokens_as_token_ids: true };
  const { json } = await post(plain.url, "/v1/completions", { model: "smollm2", prompt: tokens, ...wanted });
  const [choice] = json.choices as { logprobs: { top_logprobs: Record<string, number>[] } }[];
  const list = Object.entries(choice!.logprobs.top_logprobs[0]!)
    .map(([name, logprob]) => ({ token: Number(name.slice("token_id:".length)), logprob }))
    .sort((a, b) => b.logprob - a.logprob)
    .slice(0, top_k)
    .map(({ token, logprob }) => ({ token, p: Math.exp(logprob / temperature) }));
  const total = list.reduce((sum, { p }) => sum + p, 0);
  let mass = 0;
  const kept = list.filter(({ p }) => {
    const isIn = mass < top_p * total;
    mass += p;
    return isIn;
  });
  const left = kept.reduce((sum, { p }) => sum + p, 0);
  return kept.map(({ token, p }) => ({ token, p: p / left }));
}

describe("parameters of sampling mean the same with drafts and without", () => {
  const SAMPLES = process.env.PICOSPEC_TEST_FULL ? 2000 : 250;
  const AT_A_TIME = 8;
  /** False alarms: one in so many runs. */
  const ALPHA = 1e-4;

  it.each<[string, Cut]>([
    ["a temperature, and top-k", { temperature: 0.7, top_k: 4 }],
    ["top-k and top-p", { temperature: 1, top_k: 4, top_p: 0.9 }],
    ["all three", { temperature: 0.7, top_k: 4, top_p: 0.9 }],
  ])("%s", async (_, cut) => {
    const expected = new Map<string, number>();
    const pairs: [number, number][] = [];
    for (const first of await following(prompt, cut)) {
      for (const second of await following([...prompt, first.token], cut)) {
        expected.set(`${first.token} ${second.token}`, first.p * second.p);
        pairs.push([first.token, second.token]);
      }
    }
    const counts = new Map<string, number>();
    let next = 0;
    const work = async () => {
      for (let i = next++; i < SAMPLES; i = next++) {
        // The second token is drafted where the first comes: now a likely one, now the least likely.
        const [first, second] = pairs[i % pairs.length]!;
        const request_id = `sampled-${++ids}`;
        const session = mailbox.begin(`cmpl-${request_id}-0`);
        const hash = new PrefixHash(mailbox.ready!.key);
        hash.pushAll([...prompt, first]);
        session.offer(prompt.length + 1, hash.value, Int32Array.of(second));
        const body = { model: "smollm2", prompt, max_tokens: 2, ignore_eos: true, return_token_ids: true };
        const { json } = await post(served.url, "/v1/completions", { ...body, ...cut, request_id });
        session.end();
        const seen = (json.choices as { token_ids: number[] }[])[0]!.token_ids.join(" ");
        counts.set(seen, (counts.get(seen) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    expect(chiSquare(counts, expected).pValue).toBeGreaterThan(ALPHA);
    // The control: the same texts, all as likely.
    const flat = new Map([...expected.keys()].map((text) => [text, 1 / expected.size] as const));
    expect(chiSquare(counts, flat).pValue).toBeLessThan(ALPHA);
  });
});

describe("parameters that a server with speculation has not", () => {
  const ask = (url: string, given: object) =>
    post(url, "/v1/completions", {
      ...{ model: "smollm2", prompt, max_tokens: TOKENS, temperature: 0, return_token_ids: true },
      ...given,
    });

  it.each([
    ["min-p", { temperature: 1, min_p: 0.1 }],
    ["a bias", { logit_bias: { 5: 1 } }],
  ])("%s is refused, with drafts and without", async (_, given) => {
    expect((await ask(plain.url, given)).status).toBe(200);
    const { status, json } = await ask(served.url, given);
    expect([status, JSON.stringify(json)]).toEqual([400, expect.stringMatching(/not yet supported/)]);
  });

  it("the least length is not judged right behind the last draft", async () => {
    // PicoSpec has no such setting. Should vLLM come to judge it right, this test says so.
    const firsts = likely
      .map((token, i) => ({ token, i }))
      .filter(({ token, i }) => likely.indexOf(token) === i);
    const texts = await Promise.all(
      firsts.slice(4, STEP_DRAFTS).map(async ({ token, i }) => {
        const given = { max_tokens: TOKENS, min_tokens: 3, stop_token_ids: [token] };
        const idsOf = async (url: string, request_id: string) => {
          const { json } = await ask(url, { ...given, request_id });
          return (json.choices as { token_ids: number[] }[])[0]!.token_ids.join();
        };
        const before = await idsOf(plain.url, `least-${++ids}`);
        const id = `drafted-${++ids}`;
        // The first token comes without drafts; then all up to the one that ends the answer.
        const session = mailbox.begin(`cmpl-${id}-0`);
        const hash = new PrefixHash(mailbox.ready!.key);
        hash.pushAll([...prompt, likely[0]!]);
        session.offer(prompt.length + 1, hash.value, Int32Array.from(likely.slice(1, i)));
        const drafted = await idsOf(served.url, id);
        session.end();
        return [before, drafted] as const;
      }),
    );
    expect(texts.some(([before, drafted]) => before !== drafted)).toBe(true);
  });
});
