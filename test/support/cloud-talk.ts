import type * as machine from "../../src/cloud/core/machine.ts";
import { RequestHandler } from "../../src/cloud/core/request-handler.ts";
import type { CloudLimits } from "../../src/cloud/driver.ts";
import { passKind } from "../../src/cloud/passes/kind.ts";
import type { PassEffect, PassEvent, PassOutcome, PassShare } from "../../src/cloud/passes/machine.ts";
import type { PassSession } from "../../src/cloud/passes/session.ts";
import type { Tenant } from "../../src/cloud/trust/tenant.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { ROW_CAPABILITIES } from "../../src/engine/capabilities.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import type { DraftFrame, ErrorFrame, Frame, HelloFrame, TargetInfo } from "../../src/protocol/frame.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { TARGET } from "./target.ts";

export type CloudEvent = machine.CloudEvent<PassEvent>;
export type CloudEffect = machine.CloudEffect<PassEffect>;

export const limits: CloudLimits = {
  connections: 3,
  sessions: 3,
  sessionsPerConnection: 2,
  helloWithinMs: 1000,
  silentAfterMs: 1000,
  kvSlots: 2,
  quantumRows: 16,
  idleAfterMs: 100,
  passTokens: 32,
  passRows: 8,
  prefillTokens: 16,
};

/** Its passes are ended by hand. */
const NO_MODEL = {} as PassEngine;

export function cloudOf(target: TargetInfo) {
  const served = { target, server: "test", tokenizer: null, grammars: null };
  return new RequestHandler<PassSession, PassEvent, PassEffect>(
    { ...served, limits, capabilities: ROW_CAPABILITIES },
    (registry) => passKind(NO_MODEL, limits).sessions(registry),
  );
}

/** A cloud, spoken to frame by frame. */
export class Talk {
  readonly cloud = cloudOf(TARGET);
  nowMs = 0;

  event(event: CloudEvent): CloudEffect[] {
    return this.cloud.handle(event, this.nowMs);
  }

  engine(event: PassEvent): CloudEffect[] {
    return this.event({ kind: "engine", event });
  }

  /** A pass is over. */
  passEnded(outcome: Partial<PassOutcome> & { session: number }): CloudEffect[] {
    const whole = { answers: [], held: true, resident: 1000, failure: null, ...outcome };
    return this.engine({ kind: "passEnded", outcomes: [whole] });
  }

  say(frame: Frame, connection = 1): CloudEffect[] {
    return this.event({ kind: "frame", connection, frame });
  }

  greet(connection = 1, tenant: Tenant | null = null, features?: readonly string[]): this {
    this.event({ kind: "connected", connection, tenant });
    this.say({ ...hello, features }, connection);
    return this;
  }

  open(
    session = 1,
    policy: DecodingPolicy = POLICIES.picospec,
    prompt = [1, 2, 3],
    connection = 1,
  ): CloudEffect[] {
    const settings = { policy, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 20 };
    const tokens = Int32Array.from(prompt);
    return this.say({ type: "open", session, settings, tokens, secret: null, resume: null }, connection);
  }
}

export const hello: HelloFrame = { type: "hello", protocol: 1, client: "c", fingerprint: "f" };
export const draft = (given: Partial<DraftFrame> = {}): DraftFrame => {
  const tokens = given.tokens ?? Int32Array.of(7);
  const q = { kind: "sparse", values: new Float32Array(tokens.length).fill(0.5) } as const;
  const base = {
    type: "draft",
    session: 1,
    lineage: 0,
    first: 3,
    committedThrough: 3,
    final: false,
  } as const;
  return { ...base, tokens, q, ...given };
};
export const sent = (effects: CloudEffect[]) =>
  effects.flatMap((effect) => (effect.kind === "send" ? [effect.frame] : []));
export const error = (effects: CloudEffect[]) =>
  sent(effects).find((frame): frame is ErrorFrame => frame.type === "error");
export const engine = (effects: CloudEffect[]): PassEffect[] =>
  effects.flatMap((effect) => (effect.kind === "engine" ? [effect.effect] : []));
export const shares = (effects: CloudEffect[]): readonly PassShare[] =>
  engine(effects).flatMap((effect) => (effect.kind === "pass" ? effect.shares : []));
