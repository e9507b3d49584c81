import { describe, expect, it } from "vitest";
import { SpelledRuns } from "./spelled-runs.ts";

const of = (...tokens: number[]) => Int32Array.from(tokens);

describe("forced text as it is spelt", () => {
  it("goes on token by token, and ends with the first other one", () => {
    const runs = new SpelledRuns();
    runs.begin(of(1), of(5, 6, 7));
    expect(runs.next(of(1))).toBe(5);
    expect(runs.next(of(1, 5))).toBe(6);
    expect(runs.next(of(1, 5, 6))).toBe(7);
    expect(runs.next(of(1, 5, 6, 7))).toBe(-1);
    expect(runs.next(of(1, 5, 9))).toBe(-1);
  });

  it("is forgotten where the answer is taken back before it", () => {
    const runs = new SpelledRuns();
    runs.begin(of(1, 2), of(5, 6));
    expect(runs.next(of(1, 2, 5))).toBe(6);
    runs.rollback(2);
    expect(runs.next(of(1, 2))).toBe(5);
    runs.rollback(1);
    expect(runs.next(of(1))).toBe(-1);
    expect(runs.next(of(1, 3))).toBe(-1);
  });

  it("is worth drafts until it was spelt otherwise, and again when it has come as it is", () => {
    const runs = new SpelledRuns();
    const text: number[] = [];
    const said: boolean[] = [];
    const run = (came: number[]) => {
      runs.begin(Int32Array.from(text), of(5, 6, 7));
      said.push(runs.worthDrafts(Int32Array.from(text)));
      text.push(...came);
    };
    run([5, 6, 7, 1]);
    run([9, 1]);
    run([9, 1]);
    run([9, 1]);
    run([5, 6, 7, 1]);
    run([5, 6, 7, 1]);
    run([5, 6, 7, 1]);
    expect(said).toEqual([true, true, true, true, false, true, true]);
  });

  it("says the same of a text however often it was looked at in between", () => {
    const draw = (i: number) => (Math.imul(i + 3, 2654435761) >>> 0) % 100;
    const text = Array.from({ length: 300 }, (_, i) => (draw(i) < 50 ? 5 : 6));
    const asked = (detours: boolean) => {
      const runs = new SpelledRuns();
      const answers: [number, boolean][] = [];
      for (let length = 0; length < text.length; length++) {
        const prefix = Int32Array.from(text.slice(0, length));
        const look = (of: Int32Array) => {
          if (runs.next(of) < 0) runs.begin(of, Int32Array.of(5, 6, 5));
          return [runs.next(of), runs.worthDrafts(of)] as [number, boolean];
        };
        answers.push(look(prefix));
        // Drafts that are made and taken back.
        if (detours && length % 3 === 0) {
          for (let more = 1; more < 6; more++) look(Int32Array.from([...prefix, ...new Array(more).fill(9)]));
          runs.rollback(length);
        }
      }
      return answers;
    };
    expect(asked(true)).toEqual(asked(false));
  });
});
