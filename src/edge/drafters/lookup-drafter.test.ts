import { describe, expect, it } from "vitest";
import type { Proposal } from "../../sampling/propose.ts";
import { toSeed } from "../../sampling/random.ts";
import { samplerSettings } from "../../sampling/sampler.ts";
import type { Drafter, DraftRequest } from "./drafter.ts";
import { LookupDrafter, TwoDrafters } from "./lookup-drafter.ts";

const MODEL_TOKEN = 99;

/** A model that always says the same. */
function model(): Drafter & { readonly interrupts: number[] } {
  const interrupts: number[] = [];
  return {
    interrupts,
    reach: { contextTokens: 100, vocabularySize: 128 },
    alwaysProposes: true,
    newOwner: () => 1,
    propose: (request) => request.done(null, { token: MODEL_TOKEN, q: 0.5, distribution: null }),
    interrupt: (_, length) => interrupts.push(length),
    checkIntegrity: () => {},
  };
}

function proposal(drafter: Drafter, text: readonly number[], given: Partial<DraftRequest> = {}) {
  let made: Proposal | null | undefined;
  drafter.propose({
    owner: 1,
    prefix: () => Int32Array.from(text),
    sampler: samplerSettings(),
    coupling: "gumbel",
    seed: toSeed(1),
    lineage: 0,
    vocabularySize: 128,
    done: (_, draft) => {
      made = draft;
    },
    ...given,
  });
  return made;
}

const VERSE = [1, 2, 3, 4, 5, 6, 7, 8, 9];

describe("prompt lookup", () => {
  it("proposes what followed before, for certain", () => {
    expect(proposal(new LookupDrafter(), [...VERSE, 20, 1, 2, 3])).toEqual({
      source: "lookup",
      token: 4,
      q: 1,
      distribution: null,
    });
    const draft = proposal(new LookupDrafter(), [...VERSE, 20, 1, 2, 3], { coupling: "rejection" });
    expect(draft?.distribution?.probability(4)).toBe(1);
  });

  it("has nothing to propose where nothing agrees", () => {
    expect(proposal(new LookupDrafter(), VERSE)).toBeNull();
  });

  it("forgets what was rolled back", () => {
    const drafter = new LookupDrafter();
    expect(proposal(drafter, [...VERSE, 20, 1, 2, 3])?.token).toBe(4);
    drafter.interrupt(1, VERSE.length);
    expect(proposal(drafter, [...VERSE, 30, 31, 1, 2, 3, 4])?.token).toBe(5);
    expect(proposal(drafter, [...VERSE, 30, 31, 1, 2, 3, 4, 30, 31])).toBeNull();
  });
});

describe("a model and prompt lookup", () => {
  const long = [...VERSE, 20, ...VERSE.slice(0, 8)];

  it("lets the model propose where the text agrees in little", () => {
    expect(proposal(new TwoDrafters(model()), [...VERSE, 20, 1, 2, 3])?.token).toBe(MODEL_TOKEN);
  });

  it("lets the text propose where it agrees in more tokens than were accepted since the last rejection", () => {
    const drafter = new TwoDrafters(model());
    // The model has not been wrong over the whole text: that is longer.
    expect(proposal(drafter, long)?.token).toBe(MODEL_TOKEN);
    drafter.interrupt(1, long.length - 2);
    expect(proposal(drafter, long)?.token).toBe(9);
  });

  it("tells the model of every rollback", () => {
    const own = model();
    const drafter = new TwoDrafters(own);
    drafter.interrupt(1, 7);
    drafter.interrupt(1, Number.POSITIVE_INFINITY);
    expect(own.interrupts).toEqual([7, Number.POSITIVE_INFINITY]);
  });
});
