import { describe, expect, it } from "vitest";
import type { WitnessesFrame } from "../../protocol/frame.ts";
import { SparseDistribution } from "../../sampling/distribution.ts";
import type { Proposal } from "../../sampling/propose.ts";
import type { Rejection } from "../../sampling/question.ts";
import { toSeed } from "../../sampling/random.ts";
import { AssertionError } from "../../util/assert.ts";
import { RejectionSampler, type ReplacementStep } from "./residual.ts";

const WIDTH = 8;
const AT = 5;

/** A draft that its drafter was sure of. */
const sure = (token: number): Proposal => {
  return { token, q: 1, distribution: SparseDistribution.point(token) };
};
const ids = (...values: number[]) => Int32Array.from(values);
const shares = (...values: number[]) => Float32Array.from(values);

/** p has token 1 with .5, and the rest of its mass in the tail, of which one witness comes along: the draft itself. */
const TAIL: Rejection = {
  ...{ kind: "sparse", ids: ids(1), probabilities: shares(0.5), tailMass: 0.5 },
  witnesses: { ids: ids(3), probabilities: shares(0.1) },
};
/** All of p is in its tail, so that only a witness can end the draw. */
const ALL_TAIL: Rejection = { ...TAIL, probabilities: shares(0), tailMass: 1 };

function sampler(exchange: "sparse" | "denseUp" = "sparse", seed = 1): RejectionSampler {
  const made = new RejectionSampler(toSeed(seed), exchange, WIDTH);
  made.drafted(AT, sure(3));
  made.drafted(AT + 1, sure(4));
  return made;
}

/** As the session does it: the q of the rejected draft is taken before the rollback. */
function rejected(one: RejectionSampler, rejection: Rejection, lineage = 2): ReplacementStep {
  const step = one.reject(AT, lineage, rejection);
  one.rollback(AT);
  return step;
}

function witnesses(from: number, tokens: Int32Array, more: Partial<WitnessesFrame> = {}): WitnessesFrame {
  const reply = {
    kind: "witnesses",
    witnesses: { ids: tokens, probabilities: new Float32Array(tokens.length).fill(0.1) },
  } as const;
  return { type: "witnesses", session: 1, lineage: 2, position: AT, from, reply, ...more };
}

/** The draft again, which is never taken: q of it is 1, and p less. */
const useless = (count: number) => new Int32Array(count).fill(3);

describe("a draw from the residual", () => {
  it("gives the head token or a witness, never the draft, as often as p has it", () => {
    const drawn = new Map<number, number>();
    for (let seed = 0; seed < 2000; seed++) {
      const step = rejected(sampler("sparse", seed), {
        ...TAIL,
        witnesses: {
          ids: ids(6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6),
          probabilities: shares(...Array(11).fill(0.1)),
        },
      });
      const token = step.kind === "token" ? step.token : -1;
      drawn.set(token, (drawn.get(token) ?? 0) + 1);
    }
    // Half and half: 2,000 draws are within 5 standard errors, a false alarm in two million runs.
    expect([...drawn.keys()].sort()).toEqual([1, 6]);
    expect(Math.abs(drawn.get(1)! - 1000)).toBeLessThan(5 * Math.sqrt(500));
  });

  it("is over at once where all of p came along", () => {
    const p = new Float32Array(WIDTH);
    p[7] = 1;
    expect(rejected(sampler(), { kind: "dense", probabilities: p })).toEqual({ kind: "token", token: 7 });
  });

  it("needs q of the draft, and one rejection at a time", () => {
    expect(() => new RejectionSampler(toSeed(1), "sparse", WIDTH).reject(AT, 0, TAIL)).toThrow(
      /q of the rejected draft at 5 is not known/,
    );
    const one = sampler();
    rejected(one, ALL_TAIL);
    one.drafted(AT, sure(2));
    expect(() => one.reject(AT, 2, TAIL)).toThrow(AssertionError);
  });
});

describe("a refill", () => {
  it("is asked for when the witnesses have run out, and ends the draw", () => {
    const one = sampler();
    expect(rejected(one, ALL_TAIL)).toEqual({ kind: "ask", position: AT, lineage: 2, from: 1, count: 16 });
    expect(one.replacing).toBe(true);
    const more = useless(16);
    more[9] = 6;
    expect(one.refill(witnesses(1, more))).toEqual({ kind: "token", token: 6 });
    expect(one.replacing).toBe(false);
  });

  it("asks for twice as many each time, and then for all of p", () => {
    const one = sampler();
    let step: ReplacementStep | null = rejected(one, ALL_TAIL);
    const asked: number[] = [];
    while (step?.kind === "ask" && step.count > 0) {
      asked.push(step.count);
      step = one.refill(witnesses(step.from, useless(step.count)));
    }
    expect(asked.reduce((sum, count) => sum + count, 1)).toBeGreaterThanOrEqual(1024);
    expect(step).toEqual({ kind: "ask", position: AT, lineage: 2, from: 0, count: 0 });
    const p = new Float32Array(WIDTH);
    p[2] = 1;
    const dense = { kind: "dense", probabilities: p } as const;
    expect(one.refill(witnesses(0, ids(), { reply: dense }))).toEqual({ kind: "token", token: 2 });
  });

  it("that was not asked for changes nothing: of another draft, of another place, or late", () => {
    const one = sampler();
    expect(one.refill(witnesses(1, useless(16)))).toBeNull();
    rejected(one, ALL_TAIL);
    const dense = { kind: "dense", probabilities: new Float32Array(WIDTH) } as const;
    const wrong = [
      witnesses(1, useless(15)),
      witnesses(2, useless(16)),
      witnesses(1, useless(16), { lineage: 1 }),
      witnesses(1, useless(16), { position: AT + 1 }),
      witnesses(1, ids(), { reply: dense }),
    ];
    expect(wrong.map((frame) => one.refill(frame))).toEqual([null, null, null, null, null]);
    expect(one.replacing).toBe(true);
    const right = witnesses(1, new Int32Array(16).fill(6));
    expect(one.refill(right)).toEqual({ kind: "token", token: 6 });
    expect(one.refill(right)).toBeNull();
  });
});

describe("after a broken link", () => {
  it("the rejected draft is put back with its lineage and its q, and the same numbers draw again", () => {
    const one = sampler();
    rejected(one, ALL_TAIL);
    one.checkIntegrity(AT, AT);
    expect(one.putBack()).toEqual({ position: AT, lineage: 2, token: 3, source: "model" });
    one.checkIntegrity(AT, AT + 1);
    expect(one.probabilities(AT, 1)).toEqual({ kind: "sparse", values: shares(1) });
    // What was on its way for the draw before is late.
    expect(one.refill(witnesses(1, new Int32Array(16).fill(6)))).toBeNull();
    expect(rejected(one, ALL_TAIL)).toMatchObject({ kind: "ask", from: 1, count: 16 });
  });

  it("there is nothing to put back where no draft is being replaced", () => {
    const one = sampler();
    expect(one.putBack()).toBeNull();
    rejected(one, { kind: "dense", probabilities: new Float32Array(WIDTH).fill(1 / WIDTH) });
    expect(one.putBack()).toBeNull();
  });
});

describe("what travels with drafts", () => {
  it("is q of each, and 0 for what is committed already", () => {
    const one = sampler();
    expect(one.probabilities(AT - 1, 3)).toEqual({ kind: "sparse", values: shares(0, 1, 1) });
    one.committed(AT);
    expect(one.probabilities(AT - 1, 3)).toEqual({ kind: "sparse", values: shares(0, 0, 1) });
  });

  it("or a row each, of zeros for what is committed already", () => {
    const { values, ...rest } = sampler("denseUp").probabilities(AT - 1, 3) as { values: Float32Array };
    expect(rest).toEqual({ kind: "dense", width: WIDTH });
    const rows = [0, 1, 2].map((i) => [...values.subarray(i * WIDTH, (i + 1) * WIDTH)]);
    expect(rows.map((row) => row.indexOf(1))).toEqual([-1, 3, 4]);
  });
});

describe("its own check", () => {
  it("finds q that is missing, and q that is left over", () => {
    const one = sampler();
    one.checkIntegrity(AT, AT + 2);
    expect(() => one.checkIntegrity(AT, AT + 1)).toThrow(/2 q are kept for 1 drafts/);
    expect(() => one.checkIntegrity(AT + 1, AT + 3)).toThrow(/q of the draft at 7 is not known/);
    one.clear();
    one.checkIntegrity(AT, AT);
  });
});
