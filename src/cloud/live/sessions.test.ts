import { expect, it } from "vitest";
import { hello } from "../../../test/support/cloud-talk.ts";
import { TARGET } from "../../../test/support/target.ts";
import { POLICIES } from "../../decoding/policy.ts";
import { ROW_CAPABILITIES } from "../../engine/capabilities.ts";
import type { LiveEngine } from "../../engine/live-engine.ts";
import { toSeed } from "../../sampling/random.ts";
import { samplerSettings } from "../../sampling/sampler.ts";
import type { CloudEffect, CloudEvent } from "../core/machine.ts";
import { RequestHandler } from "../core/request-handler.ts";
import { type Tenant, UNLIMITED } from "../trust/tenant.ts";
import { liveKind } from "./kind.ts";
import type { LiveEffect, LiveEvent } from "./machine.ts";
import type { LiveSession } from "./session.ts";

const limits = {
  connections: 9,
  sessions: 99,
  sessionsPerConnection: 50,
  helloWithinMs: 1000,
  silentAfterMs: 1000,
};

/** Two runs at a time; which connection gets them, in this order. */
function runsOf(weights: Record<number, number>, asks: readonly number[]): number[] {
  const cloud = new RequestHandler<LiveSession, LiveEvent, LiveEffect>(
    {
      target: TARGET,
      server: "test",
      tokenizer: null,
      grammars: null,
      limits,
      capabilities: ROW_CAPABILITIES,
    },
    (registry) => liveKind({} as LiveEngine, { runs: 2, draftTokens: 8 }).sessions(registry),
  );
  const order: number[] = [];
  const owners: number[] = [];
  const running: { session: number; run: number }[] = [];
  const handle = (event: CloudEvent<LiveEvent>) => {
    const effects: CloudEffect<LiveEffect>[] = cloud.handle(event, 0);
    for (const effect of effects) {
      if (effect.kind !== "engine" || effect.effect.kind !== "run") continue;
      const { session, run } = effect.effect;
      order.push(owners[session - 1]!);
      running.push({ session, run });
    }
  };
  for (const [id, weight] of Object.entries(weights)) {
    const connection = Number(id);
    const tenant: Tenant = { name: `t${id}`, keyId: "1", weight, limits: UNLIMITED };
    handle({ kind: "connected", connection, tenant });
    handle({ kind: "frame", connection, frame: hello });
  }
  const settings = { policy: POLICIES.cloud, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 9 };
  for (const [i, connection] of asks.entries()) {
    owners.push(connection);
    const tokens = Int32Array.of(1, 2);
    const open = { type: "open", session: i + 1, settings, tokens, secret: null, resume: null } as const;
    handle({ kind: "frame", connection, frame: open });
  }
  // Each run fails in its turn, which ends its session: a place is free.
  for (let next = running.shift(); next; next = running.shift()) {
    handle({
      kind: "engine",
      event: { kind: "runFailed", ...next, code: "decode_failed", message: "enough" },
    });
  }
  return order;
}

it("gives a free run to the principal that has fewest, and within it to the oldest", () => {
  expect(runsOf({ 1: 1, 2: 1 }, [1, 1, 1, 1, 2, 2])).toEqual([1, 1, 2, 1, 2, 1]);
});

it("counts runs over the weight", () => {
  expect(runsOf({ 1: 3, 2: 1 }, [1, 1, 1, 1, 2, 2]).slice(0, 4)).toEqual([1, 1, 2, 1]);
  expect(runsOf({ 1: 1, 2: 1 }, [2, 2, 1, 2, 2]).slice(0, 3)).toEqual([2, 2, 1]);
});
