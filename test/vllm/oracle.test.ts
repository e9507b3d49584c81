import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { MailboxClient } from "../support/mailbox-client.ts";
import { complete, prompts, type RealVllm, SECRET, startVllm } from "../support/real-vllm.ts";
import { ask, engineBefore, following, metric } from "../support/vllm-runs.ts";
import { draws } from "../support/world.ts";

/** What one principal learns of another before a real vLLM, whose prefix cache and mailbox they share. */

const TRIALS = 24;
/**
 * Of a binomial with n = 24 and p = 1/2 more than 19 has a probability of 7.7e-4: a false alarm of one run in 1,300, by
 * each of the two ways to guess.
 */
const MOST_HITS = 19;
/** A block of the prefix cache, which has 128 tokens on a CPU, and a few more. */
const PROMPT_TOKENS = 140;

let served: RealVllm;
let engine: VllmEngine;

beforeAll(async () => {
  served = await startVllm(true, ["--enable-scale-out"]);
  engine = await engineBefore(served);
});
afterAll(async () => {
  engine?.close();
  await served?.stop();
});

describe("the cache oracle", () => {
  interface Trial {
    /** the victim asked what the stranger guesses */
    readonly right: boolean;
    /** tokens of the stranger's prompt that vLLM had, by its own count: more than any client is told */
    readonly reused: number;
    readonly firstMs: number;
  }

  /** How often a stranger is right, by the count and by the time to the first token; faster than half is "asked". */
  async function hits(stranger: string, seed: number): Promise<{ byCount: number; byTime: number }> {
    const random = draws(seed);
    const prompt = () => Array.from({ length: PROMPT_TOKENS }, () => 3 + Math.floor(random() * 40_000));
    const trials: Trial[] = [];
    // Half of the guesses are right, in an order that is drawn.
    const order = Array.from({ length: TRIALS }, (_, i) => ({ right: i % 2 === 0, at: random() }));
    for (const { right } of order.sort((a, b) => a.at - b.at)) {
      const [guess, other] = [prompt(), prompt()];
      await ask(engine, { prompt: right ? guess : other, maxTokens: 1, principal: "victim" });
      const before = await metric(served, "prefix_cache_hits_total");
      const { firstMs } = await ask(engine, { prompt: guess, maxTokens: 1, principal: stranger });
      trials.push({ right, reused: (await metric(served, "prefix_cache_hits_total")) - before, firstMs });
    }
    const median = [...trials].sort((a, b) => a.firstMs - b.firstMs)[TRIALS / 2]!.firstMs;
    const found = {
      byCount: trials.filter(({ right, reused }) => right === reused > 0).length,
      byTime: trials.filter(({ right, firstMs }) => right === firstMs < median).length,
    };
    console.log(`oracle: ${stranger} is right ${found.byCount} times by count, ${found.byTime} by time`);
    return found;
  }

  it(`a stranger guesses no better than chance in ${TRIALS} trials`, async () => {
    const { byCount, byTime } = await hits("stranger", 1);
    expect(byCount).toBeLessThanOrEqual(MOST_HITS);
    expect(byTime).toBeLessThanOrEqual(MOST_HITS);
  });

  it("control: with the victim's own salt the same guesses are right", async () => {
    const { byCount, byTime } = await hits("victim", 2);
    expect(byCount).toBeGreaterThan(MOST_HITS);
    expect(byTime).toBeGreaterThan(MOST_HITS);
  });
});

describe("drafts of another session", () => {
  const TOKENS = 32;
  let prompt: number[];
  let truth: number[];
  let client: MailboxClient;
  let requests = 0;

  beforeAll(async () => {
    [prompt] = (await prompts(served.url, 1)) as [number[]];
    truth = await complete(served.url, { prompt, max_tokens: TOKENS, temperature: 0 });
    client = await MailboxClient.open(served.mailbox!, SECRET);
  });
  afterAll(() => client?.close());

  /** Right drafts for the whole answer, ahead of time. */
  async function offerAll(session: number): Promise<void> {
    for (let at = 0; at < TOKENS; at += 4) {
      await client.offer(session, [...prompt, ...truth.slice(0, at)], truth.slice(at, at + 12));
    }
    await client.statistics();
  }

  /** Drafts that were accepted while an answer was made. */
  async function accepted(requestId: string): Promise<number> {
    const before = await client.statistics();
    const body = { prompt, max_tokens: TOKENS, temperature: 0, request_id: requestId };
    expect(await complete(served.url, body)).toEqual(truth);
    return (await client.statistics()).offers.accepted - before.offers.accepted;
  }

  const freshId = () => `drafts-${++requests}`;

  it("are not used for a request that has a session of its own", async () => {
    const mine = freshId();
    await client.begin(1, "cmpl-another-0");
    await client.begin(2);
    await client.begin(3, `cmpl-${mine}-0`);
    await offerAll(1);
    await offerAll(2);
    expect(await accepted(mine)).toBe(0);
    expect((await client.statistics()).rows_by).toBe("request id");
  });

  it("control: its own are used, and where it has no session those without a request id", async () => {
    const mine = freshId();
    await client.begin(4, `cmpl-${mine}-0`);
    await offerAll(4);
    expect(await accepted(mine)).toBeGreaterThan(TOKENS / 2);
    await client.begin(5);
    await offerAll(5);
    expect(await accepted(freshId())).toBeGreaterThan(TOKENS / 2);
  });

  it("go when it ends", async () => {
    for (const session of [1, 2, 3, 4, 5]) await client.end(session);
    const before = (await client.statistics()).box.sessions_now;
    await client.begin(6);
    await offerAll(6);
    await client.end(6);
    expect(await accepted(freshId())).toBe(0);
    const answer = await ask(engine, { prompt, maxTokens: TOKENS, drafts: following(truth) });
    expect(answer.tokens).toEqual(truth);
    expect((await client.statistics()).box.sessions_now).toBe(before);
  });
});
