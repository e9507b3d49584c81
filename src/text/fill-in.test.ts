import { describe, expect, it } from "vitest";
import { fillInPrompt } from "./fill-in.ts";

describe("a prompt to fill in the middle", () => {
  const tokens = { before: 1, after: 2, middle: 3 };

  it("has the text before, the text after, and the answer's place, in this order", () => {
    const [before, after] = [Int32Array.of(10, 11), Int32Array.of(12)];
    expect([...fillInPrompt(before, after, tokens, null)]).toEqual([1, 10, 11, 2, 12, 3]);
    expect([...fillInPrompt(before, after, tokens, 0)]).toEqual([0, 1, 10, 11, 2, 12, 3]);
    const none = new Int32Array(0);
    expect([...fillInPrompt(none, none, tokens, null)]).toEqual([1, 2, 3]);
  });
});
