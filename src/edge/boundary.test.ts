import { describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES } from "../decoding/policy.ts";
import { OWN_LIMITS, type Peer } from "../protocol/features.ts";
import type { VerdictFrame } from "../protocol/frame.ts";
import { PROTOCOL_LIMITS } from "../protocol/frame.ts";
import type { Rejection } from "../sampling/question.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import { checkDraftSize, checkPeer, frameProblem } from "./boundary.ts";

const verdict = (rejection: Rejection | null, tokens: number[] = []): VerdictFrame => {
  return { type: "verdict", session: 1, lineage: 0, first: 3, tokens: Int32Array.from(tokens), rejection };
};
const sparse = (id: number, witness: number): Rejection => ({
  kind: "sparse",
  ids: Int32Array.of(id),
  probabilities: Float32Array.of(0.5),
  tailMass: 0.5,
  witnesses: { ids: Int32Array.of(witness), probabilities: Float32Array.of(0.1) },
});

describe("what the edge checks of a cloud's frames", () => {
  it("lets what fits pass", () => {
    expect(frameProblem(verdict(sparse(9, 9), [1, 9]), 10)).toBeNull();
    expect(frameProblem(verdict({ kind: "dense", probabilities: new Float32Array(10) }), 10)).toBeNull();
  });

  it.each([
    ["a token past the vocabulary", verdict(null, [10])],
    ["a head token past the vocabulary", verdict(sparse(10, 1))],
    ["a witness past the vocabulary", verdict(sparse(1, 10))],
    ["all of p for another vocabulary", verdict({ kind: "dense", probabilities: new Float32Array(9) })],
    [
      "a refill past the vocabulary",
      {
        type: "witnesses",
        session: 1,
        lineage: 0,
        position: 3,
        from: 0,
        reply: {
          kind: "witnesses",
          witnesses: { ids: Int32Array.of(10), probabilities: Float32Array.of(0.5) },
        },
      } as const,
    ],
  ])("finds %s", (_, frame) => {
    expect(frameProblem(frame, 10)).toMatch(/its vocabulary has 10/);
  });

  it("refuses drafts that with all of q would not fit into a frame", () => {
    const { frameBytes } = PROTOCOL_LIMITS;
    const denseUp = POLICIES["picospec-no-separate-rejection"];
    expect(() => checkDraftSize(denseUp, 151_936, frameBytes)).not.toThrow();
    const wide = { ...denseUp, segmentTokens: 64, windowTokens: 64 };
    expect(() => checkDraftSize(wide, 151_936, frameBytes)).toThrow(/holds at most 26 drafts, not 64/);
    expect(() => checkDraftSize({ ...wide, exchange: "sparse" }, 151_936, frameBytes)).not.toThrow();
  });

  it("refuses a window of more drafts than the cloud accepts, where the policy drafts", () => {
    const peer: Peer = { software: "s", features: new Set(), limits: { ...OWN_LIMITS, draftTokens: 7 } };
    const settings = { sampler: samplerSettings(), seed: toSeed(1), maxTokens: 5 };
    const check = (policy: DecodingPolicy) => () => checkPeer({ ...settings, policy }, 10, peer);
    expect(check(POLICIES.picospec)).toThrow(
      expect.objectContaining({
        code: "bad_setting",
        setting: "windowTokens",
        message: expect.stringMatching(/7/),
      }),
    );
    expect(check({ ...POLICIES.picospec, windowTokens: 7 })).not.toThrow();
    expect(check(POLICIES.cloud)).not.toThrow();
  });
});
