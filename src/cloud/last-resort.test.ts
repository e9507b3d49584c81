import { expect, it } from "vitest";
import type { Run } from "../../test/support/world.ts";
import { POLICIES } from "../decoding/policy.ts";
import { ParallelDrafter } from "../edge/drafters/parallel-drafter.ts";
import { RemoteOpener } from "../edge/opener.ts";
import { ToyDraftModel } from "../engine/toy/draft-model.ts";
import { ToyPassEngine } from "../engine/toy/pass-engine.ts";
import { wireLink } from "../protocol/link.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/settings.ts";
import { memoryPair } from "../transport/memory.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { Cloud, type CloudOptions } from "./driver.ts";

const language = {
  seed: toSeed(1),
  vocabularySize: 12,
  order: 2,
  spread: 3,
  divergence: 2,
  contextTokens: 60,
};

/** Two edges of one cloud, whose grammars have a fault of ours; the first one asks for one. */
function run(failed?: CloudOptions["failed"]) {
  const clock = new VirtualClock();
  const cloud = new Cloud({
    model: new ToyPassEngine(language, clock, { kvSlots: 2 }),
    description: { name: "toy", fingerprint: "toy", endTokens: [0], chatTemplate: null },
    clock,
    server: "test",
    grammars: {
      matcher: () => {
        throw new TypeError("a fault of ours");
      },
    },
    ...(failed ? { failed } : {}),
  });
  const ask = (grammar: boolean): Pick<Run, "tokens" | "outcome"> => {
    const [near, far] = memoryPair(clock);
    cloud.accept(far);
    const one: { tokens: number[]; outcome: Run["outcome"] } = { tokens: [], outcome: null };
    new RemoteOpener({
      ...{ link: wireLink(near), reconnect: null, reconnectWithinMs: 0, secret: null, fingerprint: "toy" },
      ...{ drafter: new ParallelDrafter(new ToyDraftModel(language, clock)), clock, client: "test" },
      ready: (error, client) => {
        if (error) throw error;
        const settings = {
          ...{ policy: POLICIES.race, sampler: samplerSettings(), seed: toSeed(3), maxTokens: 9 },
          ...(grammar ? { grammar: { kind: "lark", source: "start: /a/" } as const } : {}),
        };
        client.open(settings, Int32Array.of(1, 2), {
          token: (token) => one.tokens.push(token),
          finished: (outcome) => {
            one.outcome = outcome;
          },
        });
      },
    });
    return one;
  };
  const [broken, whole] = [ask(true), ask(false)];
  clock.run();
  cloud.checkIntegrity();
  return { broken, whole };
}

it("a fault of ours costs the connection that it came over, is told, and all others go on", () => {
  const faults: unknown[] = [];
  const { broken, whole } = run((error) => faults.push(error));
  expect(faults).toEqual([expect.objectContaining({ message: "a fault of ours" })]);
  expect(broken.outcome).toMatchObject({ kind: "failed" });
  expect(whole.outcome).toMatchObject({ kind: "done" });
  expect(whole.tokens.length).toBeGreaterThan(0);
});

it("control: without the last resort it is thrown to whoever brought the event", () => {
  expect(() => run()).toThrow("a fault of ours");
});

it("a fault while a chunk of the vocabulary is sent is told too, and costs its connection", async () => {
  const clock = new VirtualClock();
  const faults: unknown[] = [];
  const about = {
    ...{ type: "BPE", ids: 12, tokens: 12, identity: "i" },
    ...{ fileBytes: 8, fileHash: "0".repeat(64) },
  };
  const cloud = new Cloud({
    model: new ToyPassEngine(language, clock, { kvSlots: 2 }),
    description: { name: "toy", fingerprint: "toy", endTokens: [0], chatTemplate: null },
    ...{ clock, server: "test", failed: (error) => faults.push(error) },
    vocabulary: { about, chunk: async () => new Uint8Array(8) },
    observer: {
      sent(_, frame) {
        if (frame.type === "vocabulary") throw new TypeError("a fault of ours");
      },
    },
  });
  const [near, far] = memoryPair(clock);
  cloud.accept(far);
  const told: unknown[] = [];
  new RemoteOpener({
    ...{ link: wireLink(near), reconnect: null, reconnectWithinMs: 0, secret: null, fingerprint: "toy" },
    ...{ drafter: null, clock, client: "test" },
    ready: (_, client) => client.requestVocabulary("file", 0, (error) => told.push(error?.code ?? "there")),
  });
  clock.run(1000);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  clock.run(2000);
  expect(faults).toEqual([expect.objectContaining({ message: "a fault of ours" })]);
  expect(cloud.connections).toBe(0);
  cloud.checkIntegrity();
});
