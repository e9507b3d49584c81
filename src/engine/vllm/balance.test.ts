import { describe, expect, it } from "vitest";
import { blocksOf, chooseServer, SentPrefixes } from "./balance.ts";

const KEY = 987_654_321n;
const tokens = (count: number, from = 0) => Int32Array.from({ length: count }, (_, i) => from + i);

describe("a run goes to", () => {
  it("the least busy server where none has its prompt", () => {
    const at = (...runs: number[]) => chooseServer(runs.map((one) => ({ runs: one, known: 0 })));
    expect(at(2, 1, 3)).toBe(1);
    expect(at(0, 0)).toBe(0);
    expect(at()).toBe(-1);
  });

  it("the server that has most of its prompt, unless that is much busier", () => {
    expect(
      chooseServer([
        { runs: 0, known: 0 },
        { runs: 4, known: 1 },
      ]),
    ).toBe(1);
    expect(
      chooseServer([
        { runs: 1, known: 2 },
        { runs: 4, known: 9 },
      ]),
    ).toBe(1);
    expect(
      chooseServer([
        { runs: 0, known: 0 },
        { runs: 5, known: 9 },
      ]),
    ).toBe(0);
  });
});

describe("what a server has", () => {
  it("is the beginning of a prompt that was sent there, of the same principal", () => {
    const sent = new SentPrefixes();
    sent.add(blocksOf(tokens(256), "a", KEY));
    expect(sent.known(blocksOf(tokens(300), "a", KEY))).toBe(4);
    expect(sent.known(blocksOf(tokens(130), "a", KEY))).toBe(2);
    expect(sent.known(blocksOf(tokens(300), "b", KEY))).toBe(0);
    expect(sent.known(blocksOf(tokens(300, 1), "a", KEY))).toBe(0);
    // A name that goes on as the tokens do.
    expect(sent.known(blocksOf(Int32Array.of(97, ...tokens(300)), "", KEY))).toBe(0);
  });

  it("is remembered within a bound, the oldest forgotten first", () => {
    const sent = new SentPrefixes();
    const first = blocksOf(tokens(64), "a", KEY);
    const second = blocksOf(tokens(64, 9), "a", KEY);
    sent.add(first);
    sent.add(second);
    for (let i = 0; i < 128; i++) {
      sent.add(first);
      sent.add(Array.from({ length: 512 }, (_, j) => `${i}-${j}`));
    }
    expect([sent.known(first), sent.known(second)]).toEqual([1, 0]);
  });
});
