import { describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES } from "../../decoding/policy.ts";
import type { VerdictFrame, WitnessesFrame } from "../../protocol/frame.ts";
import { SparseDistribution } from "../../sampling/distribution.ts";
import type { Proposal } from "../../sampling/propose.ts";
import type { Rejection } from "../../sampling/question.ts";
import { toSeed } from "../../sampling/random.ts";
import { samplerSettings } from "../../sampling/sampler.ts";
import type { EdgeEffect, EdgeEvent } from "./machine.ts";
import { EdgeSession } from "./session.ts";

/** The edge's machine, spoken to event by event: what it does with q, and the order of its effects. */

const PROMPT = [1, 2, 3];
const PICOSPEC: DecodingPolicy = { ...POLICIES.picospec, adaptive: false, segmentTokens: 2, windowTokens: 4 };
const sure = (token: number): Proposal => {
  return { token, q: 1, distribution: SparseDistribution.point(token) };
};
/** All of p is on token 9. */
const NINE: Rejection = {
  kind: "dense",
  probabilities: Float32Array.from({ length: 20 }, (_, i) => (i === 9 ? 1 : 0)),
};
/** All of p is in its tail, and the one witness is the draft 10 itself: the draw needs more. */
const TAIL: Rejection = {
  ...{ kind: "sparse", ids: Int32Array.of(1), probabilities: Float32Array.of(0), tailMass: 1 },
  witnesses: { ids: Int32Array.of(10), probabilities: Float32Array.of(0.1) },
};

class Side {
  readonly session: EdgeSession;
  asked: Extract<EdgeEffect, { kind: "draft" }> | null = null;

  constructor(policy: DecodingPolicy = PICOSPEC, secret: string | null = "a secret of this edge") {
    this.session = new EdgeSession({
      ...{ id: 7, secret, prompt: Int32Array.from(PROMPT), vocabularySize: 20 },
      settings: { policy, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 50 },
      rule: { promptLength: 3, maxTokens: 50, contextTokens: 100, endTokens: new Set([0]) },
      drafter: { contextTokens: 100, vocabularySize: 20 },
    });
    this.handle({ kind: "start" });
  }

  handle(event: EdgeEvent): readonly EdgeEffect[] {
    const effects = this.session.handle(event, 0);
    this.session.checkIntegrity();
    for (const effect of effects) if (effect.kind === "draft") this.asked = effect;
    return effects;
  }

  drafts(...tokens: number[]): readonly EdgeEffect[] {
    return tokens.flatMap((token) => {
      const { version, position } = this.asked!;
      return this.handle({ kind: "drafted", version, position, proposal: sure(token) });
    });
  }

  hears(first: number, tokens: readonly number[], rejection: Rejection | null = null): readonly EdgeEffect[] {
    const base = { type: "verdict", session: 7, lineage: 0, first, rejection } as const;
    const frame: VerdictFrame = { ...base, tokens: Int32Array.from(tokens) };
    return this.handle({ kind: "frame", frame });
  }

  gets(from: number, tokens: Int32Array): readonly EdgeEffect[] {
    const probabilities = new Float32Array(tokens.length).fill(0.1);
    const reply = { kind: "witnesses", witnesses: { ids: tokens, probabilities } } as const;
    const frame: WitnessesFrame = { type: "witnesses", session: 7, lineage: 0, position: 3, from, reply };
    return this.handle({ kind: "frame", frame });
  }
}

/** The effects in short: what is sent by its frame's type. */
const kinds = (effects: readonly EdgeEffect[]) =>
  effects.map((effect) => (effect.kind === "send" ? `send ${effect.frame.type}` : effect.kind));
const sent = (effects: readonly EdgeEffect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.frame.type === "draft" ? [effect.frame] : [],
  );

describe("the order of effects", () => {
  it("on a start is: the session is opened, then a draft is asked for", () => {
    const side = new Side();
    expect(side.asked).toMatchObject({ position: 3, version: 0, lineage: 0 });
    // The second draft fills the segment: it is sent before the next is asked for.
    expect(kinds(side.drafts(10, 11))).toEqual(["draft", "wake", "send draft", "draft"]);
  });

  it("on a rejection is: rollback, emit of the correction, send, draft", () => {
    const side = new Side();
    side.drafts(10, 11);
    const effects = side.hears(3, [], NINE);
    expect(kinds(effects)).toEqual(["rollback", "emit", "send draft", "draft"]);
    expect(effects[1]).toMatchObject({ kind: "emit", position: 3, token: 9, origin: "correction" });
    // The correction has no q: with 0 it is certain.
    expect(sent(effects)).toMatchObject([
      { first: 3, lineage: 1, q: { kind: "sparse", values: Float32Array.of(0) } },
    ]);
    expect(effects[3]).toMatchObject({ kind: "draft", position: 4, lineage: 1 });
  });

  it("on a rejection that needs witnesses is: rollback, witnessRequest; and nothing is drafted until they come", () => {
    const side = new Side();
    side.drafts(10, 11);
    const effects = side.hears(3, [], TAIL);
    expect(kinds(effects)).toEqual(["rollback", "send witnessRequest"]);
    expect(effects[1]).toMatchObject({ frame: { session: 7, lineage: 0, position: 3, from: 1, count: 16 } });
    expect(kinds(side.gets(1, new Int32Array(16).fill(9)))).toEqual(["emit", "send draft", "draft"]);
  });

  it("on an end is: cancel where the cloud still works, then finished, and nothing after it", () => {
    const side = new Side();
    side.drafts(10, 11);
    expect(kinds(side.handle({ kind: "cancel" }))).toEqual(["send cancel", "finished"]);
    expect(side.hears(3, [10])).toEqual([]);
    const wrong = new Side();
    expect(kinds(wrong.gets(0, Int32Array.of(1)))).toEqual(["send cancel", "finished"]);
  });
});

describe("q", () => {
  it("travels with each draft, and is forgotten once its position is committed", () => {
    const side = new Side();
    expect(sent(side.drafts(10, 11))).toMatchObject([
      { first: 3, q: { kind: "sparse", values: Float32Array.of(1, 1) } },
    ]);
    side.hears(3, [10]);
    side.hears(4, [11]);
  });

  it("of a draft of an older version is not kept: a rollback overtook it", () => {
    const side = new Side();
    side.drafts(10, 11);
    const { version, position } = side.asked!;
    side.hears(3, [], NINE);
    expect(side.handle({ kind: "drafted", version, position, proposal: sure(12) })).toEqual([]);
  });

  it("of a rejected draft is there again after a broken link, with its lineage", () => {
    const side = new Side();
    side.drafts(10, 11);
    side.hears(3, [], TAIL);
    side.handle({ kind: "suspend" });
    const effects = side.handle({ kind: "resume" });
    expect(kinds(effects).slice(0, 2)).toEqual(["send open", "send draft"]);
    expect(sent(effects)).toMatchObject([
      { first: 3, lineage: 0, tokens: Int32Array.of(10), q: { kind: "sparse", values: Float32Array.of(1) } },
    ]);
    // The same numbers reject the same draft, and the draw goes the same way.
    expect(kinds(side.hears(3, [], TAIL))).toEqual(["rollback", "send witnessRequest"]);
  });

  it("has no part under Gumbel coupling, and a rejection there ends the session", () => {
    const side = new Side({ ...POLICIES.race, adaptive: false });
    expect(sent(side.drafts(10))).toMatchObject([{ q: { kind: "none" } }]);
    const effects = side.hears(3, [], NINE);
    expect(effects.at(-1)).toMatchObject({ outcome: { kind: "failed", code: "bad_verdict" } });
  });
});

describe("a session without a secret", () => {
  it("does not outlive its link", () => {
    const side = new Side(PICOSPEC, null);
    expect(side.handle({ kind: "suspend" })).toMatchObject([
      { kind: "finished", outcome: { kind: "failed", code: "connection_lost" } },
    ]);
  });
});
