import { isDeepStrictEqual } from "node:util";
import koffi from "koffi";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { CloudLimits } from "../../src/cloud/driver.ts";
import { KvCache } from "../../src/cloud/passes/kv-cache.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import { Checkpoints } from "../../src/engine/llama/checkpoints.ts";
import type { LlamaModel } from "../../src/engine/llama/model.ts";
import { HARDWARE_PROFILES, pacedTarget } from "../../src/engine/paced.ts";
import type { OpenFrame } from "../../src/protocol/frame.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import { coarseClock, systemClock } from "../../src/transport/node/clock.ts";
import { BREAKS, BreakingLinks } from "../support/breaking-links.ts";
import { keepDrafting } from "../support/drafting.ts";
import { ARCHITECTURES } from "../support/gguf/architectures.ts";
import { HYBRID, PairsOfAll } from "../support/gguf/pairs-of-all.ts";
import { PROMPTS } from "../support/prompts.ts";
import { RealPair } from "../support/real-pair.ts";
import { draws } from "../support/world.ts";

/**
 * Every architecture over links that break in the middle of answers, four sessions at a time: the text is the cloud's own
 * over a link that holds. PICOSPEC_ARCHITECTURE_PROMPTS=20 asks all prompts.
 */

// Links break by the drafts on them: some come in time, since passes of these small targets take longer than their drafts.
keepDrafting();
const slower = (engine: PassEngine) => pacedTarget(engine, SLOWER, coarseClock);

const ASKED = Number(process.env.PICOSPEC_ARCHITECTURE_PROMPTS ?? 4);
const AT_A_TIME = 4;
const TOKENS = 64;
/** Emulated hardware. */
const SLOWER = { ...HARDWARE_PROFILES.standard, passMs: 4, prefillTokensPerSecond: 1e6 };
/** Of the link while so many answers are under way. */
const BREAKS_OF_FOUR = 3;

let files: PairsOfAll;
const target = (name: string) => files.target(name);
const drafter = (name: string) => files.drafter(name);

beforeAll(() => {
  files = new PairsOfAll();
});
afterAll(() => files.remove());
afterEach(() => vi.restoreAllMocks());

/** What was asked of each side, and what happened. */
class Trial {
  readonly links: BreakingLinks;
  readonly tally = { accepted: 0, rejected: 0, resumptions: 0, superseded: 0 };
  private pair!: RealPair;

  private constructor(reopened?: (frame: OpenFrame) => OpenFrame) {
    this.links = new BreakingLinks(systemClock, draws(3), reopened);
  }

  /** @param reopened what the edge says instead when it resumes a session */
  static async open(
    name: string,
    kvSlots: number,
    limits: Partial<CloudLimits> = {},
    reopened?: (frame: OpenFrame) => OpenFrame,
  ): Promise<Trial> {
    const trial = new Trial(reopened);
    const { tally, links } = trial;
    trial.pair = await RealPair.open(target(name), drafter(name), { prefillTokens: 16, ...limits }, kvSlots, {
      target: slower,
      link: (inner) => links.over(inner),
      observer: {
        ended: ({ code }) => {
          if (code === "superseded") tally.superseded++;
        },
      },
    });
    return trial;
  }

  /** @param breaks while each four answers are under way */
  async ask(policy: DecodingPolicy, sampler: Partial<SamplerSettings>, breaks: number): Promise<number[][]> {
    const { links, pair, tally } = this;
    const prompts = PROMPTS.slice(0, ASKED).map((question) => pair.prompt(question));
    const texts: number[][] = [];
    for (let at = 0; at < prompts.length; at += AT_A_TIME) {
      links.left = breaks;
      const some = prompts.slice(at, at + AT_A_TIME);
      const answers = await Promise.all(
        some.map((prompt, i) => pair.answer(policy, prompt, TOKENS, sampler, at + i)),
      );
      for (const { tokens, statistics } of answers) {
        texts.push(tokens);
        tally.accepted += statistics.accepted;
        tally.rejected += statistics.rejected;
        tally.resumptions += statistics.resumptions;
      }
    }
    links.left = 0;
    return texts;
  }

  get target(): LlamaModel {
    return this.pair.targetModel;
  }

  close(): void {
    this.pair.close();
  }
}

/** @returns whether every text is the cloud's own over a link that holds */
async function sameTexts(trial: Trial, ways: typeof WAYS): Promise<boolean> {
  let same = true;
  for (const [sampler, policies] of ways) {
    const alone = await trial.ask(POLICIES.cloud, sampler, 0);
    for (const policy of policies) {
      const texts = await trial.ask(POLICIES[policy], sampler, BREAKS_OF_FOUR);
      same &&= isDeepStrictEqual(texts, alone);
    }
  }
  trial.close();
  return same;
}

const WAYS: readonly (readonly [Partial<SamplerSettings>, readonly ("race" | "picospec")[]])[] = [
  [{ temperature: 0 }, ["race", "picospec"]],
  [{ temperature: 0.8 }, ["race"]],
];
/** One of each coupling. */
const TWO_WAYS: typeof WAYS = [
  [{ temperature: 0 }, ["picospec"]],
  [{ temperature: 0.8 }, ["race"]],
];
const GREEDY = WAYS.slice(0, 1);
/** Two of four sessions have a KV slot, and soon have to make way. */
const CROWDED = { quantumRows: 4, idleAfterMs: 1 };

/** Slots that a session lost to another since, but for those that were free. */
function countEvictions(): () => number {
  const acquire = vi.spyOn(KvCache.prototype, "acquire");
  return () => acquire.mock.calls.filter(([{ evicted }]) => evicted !== null).length;
}

/** The head of a sequence's state, which has its position; and a rollback that puts back no more than that. */
const HEAD_BYTES = 16;
function onlyPositionsGoBack({ library }: LlamaModel): () => number {
  const { partGet, partSet } = library.api;
  const put = partSet.async;
  const spy = vi.spyOn(partSet, "async");
  spy.mockImplementation((context, address, bytes, sequence, flags, done) => {
    const kept = new Uint8Array(koffi.view(address, bytes));
    const head = kept.slice(0, HEAD_BYTES);
    partGet(context, address, bytes, sequence, flags);
    kept.set(head);
    put(context, address, bytes, sequence, flags, done);
  });
  return () => spy.mock.calls.length;
}

describe.each(ARCHITECTURES.map(({ name }) => [name]))("%s over links that break", (name) => {
  it("says what the cloud alone says, four sessions at a time", async () => {
    const trial = await Trial.open(name, AT_A_TIME);
    expect(await sameTexts(trial, WAYS)).toBe(true);
    const { links, tally } = trial;
    console.log(`${name}: ${JSON.stringify({ ...links.counts, ...tally })}`);
    // Nothing was proved where nothing broke in the middle of drafts, or nothing went on.
    const rounds = ASKED / AT_A_TIME;
    for (const kind of BREAKS) expect(links.breaks[kind], kind).toBeGreaterThanOrEqual(rounds);
    expect(links.inFlight).toBeGreaterThan(12 * rounds);
    // Some are not heard: a link breaks before it is known to be broken.
    expect(tally.resumptions).toBeGreaterThanOrEqual(links.resumed);
    expect(links.wentOn).toBeGreaterThan(5 * rounds);
    expect(tally.superseded).toBeGreaterThan(rounds);
    expect(tally.accepted).toBeGreaterThan(ASKED * 8);
    expect(tally.rejected).toBeGreaterThan(ASKED * 5);
  });
});

describe.each(
  [...HYBRID, "gemma3"].map((name) => [name]),
)("%s with two KV slots for four sessions", (name) => {
  it("says what the cloud alone says over links that break", async () => {
    const evictions = countEvictions();
    const trial = await Trial.open(name, 2, CROWDED);
    expect(await sameTexts(trial, TWO_WAYS)).toBe(true);
    const { links, tally } = trial;
    console.log(
      `${name}, 2 KV slots: ${JSON.stringify({ ...links.counts, ...tally, evictions: evictions() })}`,
    );
    expect(evictions()).toBeGreaterThan(10);
    expect(links.inFlight).toBeGreaterThan(5);
    expect(links.wentOn).toBeGreaterThan(5);
  });
});

describe.each([["qwen35"], ["lfm2"]])("%s: the controls", (name) => {
  it("another text where a state is not put back", async () => {
    const trial = await Trial.open(name, AT_A_TIME);
    const puts = onlyPositionsGoBack(trial.target);
    expect(await sameTexts(trial, GREEDY)).toBe(false);
    expect(puts()).toBeGreaterThan(0);
  });

  it("another text where a KV slot keeps the states of the session that had it", async () => {
    const trial = await Trial.open(name, 2, CROWDED);
    vi.spyOn(Checkpoints.prototype, "forget").mockReturnValue();
    expect(await sameTexts(trial, GREEDY)).toBe(false);
  });
});

describe.each([["llama"], ["lfm2"]])("%s: the control of resumption", (name) => {
  it("another text where the edge forgets what was committed last", async () => {
    const trial = await Trial.open(name, AT_A_TIME, {}, (open) => {
      const tokens = open.tokens.slice();
      if (tokens.length > open.resume!.promptTokens) tokens[tokens.length - 1] = tokens.at(-2)!;
      return { ...open, tokens };
    });
    expect(await sameTexts(trial, GREEDY)).toBe(false);
    expect(trial.links.wentOn).toBeGreaterThan(0);
  });
});
