import { afterEach, describe, expect, it } from "vitest";
import { type CloudServer, serveCloud } from "../../src/cloud/server.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { ToyLiveEngine } from "../../src/engine/toy/live-engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import {
  applySampler,
  type SamplerSettings,
  SamplerWorkspace,
  samplerSettings,
} from "../../src/sampling/sampler.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { connect } from "../../src/transport/node/connect.ts";
import { draws } from "../support/world.ts";

/** A cloud over an engine that decodes by itself, on a real port, with real edges. */

const language: ToyLanguage = {
  seed: toSeed(11),
  vocabularySize: 24,
  order: 3,
  spread: 8,
  divergence: 2,
  contextTokens: 700,
};
const SAMPLER = samplerSettings({ temperature: 1, topK: 6 });

let server: CloudServer;
const openers: RemoteOpener[] = [];

async function serve(engine: ToyLiveEngine): Promise<void> {
  const description = { name: "toy", fingerprint: "toy", endTokens: [0], chatTemplate: null };
  server = await serveCloud({ model: engine, description, port: 0, server: "test" });
}

async function edge(): Promise<RemoteOpener> {
  const opener = await connectEdge({
    transport: await connect(server.url),
    tokenizer: { fingerprint: "toy" },
    drafter: new ParallelDrafter(new ToyDraftModel(language, systemClock)),
    clock: systemClock,
    client: "test",
  });
  openers.push(opener);
  return opener;
}

afterEach(async () => {
  for (const opener of openers.splice(0)) opener.close();
  await server.close();
});

/** @returns the tokens, or the code of the error */
function answer(
  opener: RemoteOpener,
  policy: DecodingPolicy,
  seed: number,
  maxTokens: number,
  prompt: number[],
  sampler: SamplerSettings = SAMPLER,
) {
  return new Promise<{ tokens: number[]; accepted: number; code: string | null }>((resolve) => {
    const tokens: number[] = [];
    const settings = { policy, sampler, seed: toSeed(seed), maxTokens };
    opener.open(settings, Int32Array.from(prompt), {
      token: (token) => tokens.push(token),
      finished: (outcome, { accepted }) =>
        resolve({ tokens, accepted, code: outcome.kind === "failed" ? outcome.code : null }),
    });
  });
}

/** What the target alone says, worked out token by token. */
function expected(seed: number, maxTokens: number, prompt: number[]): number[] {
  const tokens = [...prompt];
  const workspace = new SamplerWorkspace();
  while (tokens.length < prompt.length + maxTokens) {
    const p = applySampler(toyLogits(language, tokens, "target"), SAMPLER, new Int32Array(0), workspace);
    const token = p.winner(toSeed(seed), tokens.length);
    tokens.push(token);
    if (token === 0) break;
  }
  return tokens.slice(prompt.length);
}

describe("a live engine behind a socket", () => {
  it("gives each of many sessions the target's own text, with drafts and without", async () => {
    const random = draws(5);
    const engine = new ToyLiveEngine(language, systemClock, {
      ...{ runs: 3, random, stepMs: 1, lostOffers: 0.2, offerMs: 1 },
    });
    await serve(engine);
    const edges = await Promise.all([edge(), edge()]);
    const asked = Array.from({ length: 12 }, (_, seed) => {
      const policy = seed % 3 === 0 ? POLICIES.cloud : POLICIES.race;
      return { seed, policy, prompt: [1 + (seed % 5), 2, 3] };
    });
    const answers = await Promise.all(
      asked.map(({ seed, policy, prompt }) => answer(edges[seed % 2]!, policy, seed, 60, prompt)),
    );
    for (const [i, { seed, prompt }] of asked.entries()) {
      expect(answers[i]!.tokens, `seed ${seed}`).toEqual(expected(seed, 60, prompt));
    }
    expect(answers.reduce((sum, { accepted }) => sum + accepted, 0)).toBeGreaterThan(20);
    await expect.poll(() => engine.openRuns).toBe(0);
    server.cloud.checkIntegrity();
  });

  it("refuses what its engine lacks by name, and serves the next session", async () => {
    const random = draws(6);
    await serve(
      new ToyLiveEngine(language, systemClock, { runs: 2, random, stepMs: 1, lostOffers: 0, offerMs: 0 }),
    );
    const opener = await edge();
    expect((await answer(opener, POLICIES.picospec, 1, 5, [1])).code).toBe("unsupported");
    expect((await answer(opener, POLICIES.race, 1, 5, [1])).tokens).toEqual(expected(1, 5, [1]));
  });

  it("lets go of a run whose edge goes away in the middle of it", async () => {
    const random = draws(7);
    const engine = new ToyLiveEngine(language, systemClock, {
      ...{ runs: 2, random, stepMs: 2, lostOffers: 0, offerMs: 0 },
    });
    await serve(engine);
    const opener = await edge();
    // A run that goes on for long, so that it is seen while it does.
    const endless = { ...SAMPLER, logitBias: [[0, -100]] } as const;
    const left = answer(opener, POLICIES.cloud, 3, 600, [4, 4], endless);
    await expect.poll(() => engine.openRuns).toBe(1);
    opener.close();
    await left;
    await expect.poll(() => engine.openRuns).toBe(0);
    await expect.poll(() => server.cloud.openSessions).toBe(0);
  });
});
