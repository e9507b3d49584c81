import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LOOKUP, type LookupOptions, type LookupProposal, PromptLookup } from "./lookup.ts";

/** From the longest run of last tokens down: what followed its most recent earlier occurrence. */
function reference(text: readonly number[], options: LookupOptions): LookupProposal | null {
  const { leastMatch, mostMatch, mostAgreeing, mostOccurrences } = options;
  const agrees = (end: number, n: number) =>
    n <= end && text.slice(end - n, end).every((token, i) => token === text[text.length - n + i]);
  const ends = Array.from({ length: text.length }, (_, i) => text.length - 1 - i)
    .filter((end) => agrees(end, leastMatch))
    .slice(0, mostOccurrences);
  for (let n = mostMatch; n >= leastMatch; n--) {
    const end = ends.find((candidate) => agrees(candidate, n));
    if (end === undefined) continue;
    let matched = n;
    while (matched < mostAgreeing && agrees(end, matched + 1)) matched++;
    return { token: text[end]!, matched };
  }
  return null;
}

const lookupOf = (text: readonly number[], options = LOOKUP) => {
  const lookup = new PromptLookup(options);
  for (const token of text) lookup.append(token);
  return lookup;
};

const optionSets = fc.record({
  leastMatch: fc.integer({ min: 1, max: 3 }),
  mostMatch: fc.integer({ min: 3, max: 6 }),
  mostAgreeing: fc.integer({ min: 6, max: 12 }),
  mostOccurrences: fc.constantFrom(1, 2, 5, 1000),
});

/** Append this many tokens of the alphabet, then drop this many. */
const schedules = fc.record({
  options: optionSets,
  alphabet: fc.integer({ min: 1, max: 4 }),
  steps: fc.array(fc.tuple(fc.array(fc.nat(1000), { maxLength: 12 }), fc.nat(10)), { maxLength: 12 }),
});

/** The same proposals as the reference after every step, with a way to break the truncation. */
const sameAsReference = (truncate: (lookup: PromptLookup, length: number) => void) =>
  fc.property(schedules, ({ options, alphabet, steps }) => {
    const lookup = new PromptLookup(options);
    const text: number[] = [];
    for (const [draws, dropped] of steps) {
      for (const draw of draws) {
        text.push(draw % alphabet);
        lookup.append(draw % alphabet);
        expect(lookup.propose()).toEqual(reference(text, options));
      }
      text.length = Math.max(0, text.length - dropped);
      truncate(lookup, text.length);
      expect(lookup.length).toBe(text.length);
      expect(lookup.propose()).toEqual(reference(text, options));
    }
  });

describe("prompt lookup", () => {
  it("proposes what the reference does, whatever was appended and taken back before", () => {
    fc.assert(
      sameAsReference((lookup, length) => lookup.truncate(length)),
      { numRuns: 300 },
    );
  });

  it("control: a truncation that leaves the links of what it drops is caught", () => {
    const forgetful = (lookup: PromptLookup, length: number) => void Reflect.set(lookup, "count", length);
    expect(fc.check(sameAsReference(forgetful), { numRuns: 300, seed: 1 }).failed).toBe(true);
  });

  it("stays the same over growth and truncation of a long text", () => {
    const draw = (i: number) => (Math.imul(i + 1, 2654435761) >>> 0) % 40;
    const text = Array.from({ length: 1500 }, (_, i) => draw(i));
    const lookup = lookupOf(text);
    for (const length of [1100, 700, 300, 255, 10]) {
      lookup.truncate(length);
      for (let i = length; i < length + 20; i++) {
        const kept = [...text.slice(0, length), ...text.slice(0, i - length)];
        expect(lookup.propose()).toEqual(reference(kept, LOOKUP));
        lookup.append(text[i - length]!);
      }
      lookup.truncate(length);
    }
  });

  it("copies a passage to its end, surer with every token", () => {
    const passage = Array.from({ length: 100 }, (_, i) => 1000 + i);
    const lookup = lookupOf([...passage, 7, 8, 9, 1000, 1001]);
    for (let i = 2; i < 100; i++) {
      expect(lookup.propose()).toEqual({ token: 1000 + i, matched: Math.min(i, 64) });
      lookup.append(1000 + i);
    }
    expect(lookup.propose()).toEqual({ token: 7, matched: 64 });
  });

  it("prefers longer agreement to a recent occurrence, and the recent one of equals", () => {
    expect(lookupOf([1, 2, 3, 50, 9, 2, 3, 60, 1, 2, 3]).propose()).toEqual({ token: 50, matched: 3 });
    expect(lookupOf([2, 3, 50, 2, 3, 60, 1, 2, 3]).propose()).toEqual({ token: 60, matched: 2 });
  });

  it("continues a period, an occurrence may overlap the end", () => {
    expect(lookupOf([5, 5, 5, 5]).propose()).toEqual({ token: 5, matched: 3 });
    expect(lookupOf([1, 2, 1, 2, 1]).propose()).toEqual({ token: 2, matched: 3 });
  });

  it("says nothing where nothing repeats", () => {
    expect(new PromptLookup().propose()).toBeNull();
    expect(lookupOf([1]).propose()).toBeNull();
    expect(lookupOf([1, 2, 3, 4, 2]).propose()).toBeNull();
  });

  it("looks at a bounded number of occurrences", () => {
    const noisy = Array.from({ length: 300 }, (_, i) => [100 + i, 1, 2]).flat();
    const text = [77, 1, 2, 99, ...noisy, 5, 77, 1, 2];
    expect(lookupOf(text).propose()).toEqual({ token: 5, matched: 2 });
    const far = { ...LOOKUP, mostOccurrences: 1000 };
    expect(lookupOf(text, far).propose()).toEqual({ token: 99, matched: 3 });
  });
});
