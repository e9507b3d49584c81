import { Cloud } from "../../src/cloud/driver.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import type { Outcome } from "../../src/edge/core/machine.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import { type DraftModel, type PassEngine, withPass } from "../../src/engine/engine.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { wireLink } from "../../src/protocol/link.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { assert } from "../../src/util/assert.ts";
import type { Clock } from "../../src/util/clock.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { Ledger, type Timing, timing } from "./measure.ts";

/**
 * Time of PicoSpec's own code: state machines, frames, bookkeeping. Not in it: the engine (rows and the answers
 * about them), pacing, and the network. Both sides run in one process under virtual time, so that nothing waits.
 */

export interface OwnCodeTiming {
  readonly policy: string;
  /** of the drafts that were judged */
  readonly acceptanceRate: number | null;
  readonly edgeMsPerToken: Timing;
  readonly cloudMsPerToken: Timing;
}

const LANGUAGE: ToyLanguage = {
  seed: toSeed(5),
  vocabularySize: 64,
  order: 2,
  spread: 6,
  divergence: 2,
  contextTokens: 1024,
};
const PROMPT = Int32Array.from({ length: 64 }, (_, i) => 1 + (i % 63));
const TOKENS = 900;
const RUNS = 15;

export function benchOwnCode(): OwnCodeTiming[] {
  const names = ["cloud", "vanilla", "picospec"] as const;
  return names.map((policy) => {
    const runs = Array.from({ length: RUNS + 3 }, (_, i) => runOnce(policy, i)).slice(3);
    const [accepted, judged] = runs.reduce(
      (sum, run) => [sum[0]! + run.accepted, sum[1]! + run.judged],
      [0, 0],
    );
    return {
      policy,
      acceptanceRate: judged! > 0 ? accepted! / judged! : null,
      edgeMsPerToken: timing(runs.map((run) => run.edgeMs / TOKENS)),
      cloudMsPerToken: timing(runs.map((run) => run.cloudMs / TOKENS)),
    };
  });
}

function runOnce(name: "cloud" | "vanilla" | "picospec", seed: number) {
  const ledger = new Ledger();
  const clock = new VirtualClock();
  const [edgeClock, cloudClock] = [charged(clock, "edge", ledger), charged(clock, "cloud", ledger)];
  const model = chargedTarget(new ToyPassEngine(LANGUAGE, clock, { kvSlots: 1 }), ledger);
  // No token ends a text: the runs are as long as they are asked to be.
  const description = { name: "toy", fingerprint: "toy", endTokens: [], chatTemplate: null };
  const cloud = new Cloud({ model, description, clock: cloudClock, server: "bench" });
  const [near, far] = memoryPair(clock);
  cloud.accept(chargedTransport(far, "cloud", ledger));
  const outcome: { value: Outcome | null; accepted: number; judged: number } = {
    value: null,
    accepted: 0,
    judged: 0,
  };
  new RemoteOpener({
    link: wireLink(chargedTransport(near, "edge", ledger)),
    reconnect: null,
    reconnectWithinMs: 0,
    secret: null,
    fingerprint: "toy",
    drafter: new ParallelDrafter(chargedDrafter(new ToyDraftModel(LANGUAGE, clock), ledger)),
    clock: edgeClock,
    client: "bench",
    ready: (error, client) => {
      if (error) throw error;
      const settings = {
        policy: POLICIES[name],
        sampler: samplerSettings(),
        seed: toSeed(seed),
        maxTokens: TOKENS,
      };
      client.open(settings, PROMPT, {
        finished: (value, { accepted, rejected }) => {
          Object.assign(outcome, { value, accepted, judged: accepted + rejected });
          client.close();
        },
      });
    },
  });
  clock.run(1e9);
  assert(outcome.value?.kind === "done" && outcome.value.reason === "length", "the run went to its end");
  const { accepted, judged } = outcome;
  return { edgeMs: ledger.spent("edge"), cloudMs: ledger.spent("cloud"), accepted, judged };
}

// What is charged to which side

function charged(clock: Clock, part: string, ledger: Ledger): Clock {
  return {
    nowMs: () => clock.nowMs(),
    schedule: (atMs, callback) => clock.schedule(atMs, () => ledger.charge(part, callback)),
  };
}

function chargedTransport(transport: Transport, part: string, ledger: Ledger): Transport {
  return {
    start: (handlers) =>
      transport.start({
        message: (bytes) => ledger.charge(part, () => handlers.message(bytes)),
        closed: (reason) => handlers.closed(reason),
      }),
    send: (bytes) => ledger.charge("network", () => transport.send(bytes)),
    get queuedBytes() {
      return transport.queuedBytes;
    },
    close: () => transport.close(),
  };
}

function chargedTarget(model: PassEngine, ledger: Ledger): PassEngine {
  return withPass(model, (items, done) =>
    ledger.charge("engine", () =>
      model.pass(items, (error, results) => ledger.charge("cloud", () => done(error, results))),
    ),
  );
}

function chargedDrafter(model: DraftModel, ledger: Ledger): DraftModel {
  const { info, feedTokens } = model;
  return {
    ...{ info, feedTokens },
    feed: (from, tokens, read, done) =>
      ledger.charge("engine", () =>
        model.feed(from, tokens, read && ((logits) => ledger.charge("row", () => read(logits))), (error) =>
          ledger.charge("edge", () => done(error)),
        ),
      ),
    close: () => model.close(),
  };
}
