import { afterEach, describe, expect, it, vi } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import type { GrammarMatcher, Grammars } from "../../src/grammar/grammar.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { applySampler, SamplerWorkspace, samplerSettings } from "../../src/sampling/sampler.ts";
import { TOY_GRAMMAR } from "../support/toy-grammar.ts";
import { draws, END_TOKEN, type Run, randomSchedule, scheduled, World } from "../support/world.ts";

/**
 * Text that a grammar dictates: a token that is the only one allowed is committed without a row, and a spelling that is
 * one of several is drafted without a drafter. Neither changes the distribution: 8,000 answers a case under random
 * schedules, Pearson's chi-square over whole answers, alpha 1e-4, with controls.
 */
const SEQUENCES = 8000;
const ALPHA = 1e-4;
const EDGES = 4;
const MOST_TOKENS = 6;
const PROMPT = [3, 1, 4, 1, 5];

const language: ToyLanguage = {
  seed: toSeed(78),
  vocabularySize: 7,
  order: 2,
  spread: 2,
  divergence: 2,
  contextTokens: 64,
};

/** What may come by position: a choice, the one that follows from it, two spellings of a text, one token, the end. */
function allowedAt(answer: readonly number[]): number[] {
  switch (answer.length) {
    case 0:
      return [1, 2, 3];
    case 1:
      return [answer[0]! + 1];
    case 2:
      // The text [4, 6] may be spelt as 5 as well.
      return [4, 5];
    case 3:
      return answer[2] === 4 ? [6] : [END_TOKEN, 2];
    case 4:
      return answer[3] === END_TOKEN ? [] : [END_TOKEN, 2];
    default:
      return answer.at(-1) === END_TOKEN ? [] : [END_TOKEN];
  }
}

/** The spelling that a tokenizer would choose. */
const dictatedAt = (answer: readonly number[]) => (answer.length === 2 ? [4, 6] : []);

class DictatingGrammars implements Grammars {
  matcher(): GrammarMatcher {
    const answerOf = (tokens: ArrayLike<number>, from: number, to: number) =>
      Array.from(tokens).slice(from, to);
    return {
      dictates: true,
      allowed: (...where) => {
        const answer = answerOf(...where);
        const fits = answer.every((token, i) => allowedAt(answer.slice(0, i)).includes(token));
        return fits ? Int32Array.of(allowedAt(answer).reduce((set, token) => set | (1 << token), 0)) : null;
      },
      forced: (...where) => Int32Array.from(dictatedAt(answerOf(...where))),
      close: () => {},
    };
  }
}

function expectedAnswers(): Map<string, number> {
  const settings = samplerSettings();
  const answers = new Map<string, number>();
  const walk = (answer: number[], probability: number) => {
    if (answer.length === MOST_TOKENS || answer.at(-1) === END_TOKEN) {
      answers.set(answer.join(" "), probability);
      return;
    }
    const row = toyLogits(language, [...PROMPT, ...answer], "target");
    const set = Int32Array.of(allowedAt(answer).reduce((bits, token) => bits | (1 << token), 0));
    const p = applySampler(row, settings, new Int32Array(0), new SamplerWorkspace(), set).dense(row.length);
    for (const [token, share] of p.entries()) if (share > 0) walk([...answer, token], probability * share);
  };
  walk([], 1);
  return answers;
}

function run(policy: DecodingPolicy, count = SEQUENCES): Run[] {
  return Array.from({ length: Math.ceil(count / EDGES) }, (_, world) => {
    const random = draws(world);
    const schedule = randomSchedule(random);
    const here = new World({ language, schedule, random, grammars: new DictatingGrammars() });
    const runs = Array.from({ length: EDGES }, (_, edge) =>
      here.generate(scheduled(policy, schedule), PROMPT, toSeed(world * EDGES + edge), MOST_TOKENS, {
        settings: { grammar: TOY_GRAMMAR },
      }),
    );
    here.clock.run();
    return runs;
  }).flat();
}

const answerOf = ({ outcome, tokens }: Run) =>
  outcome?.kind === "done" ? tokens.join(" ") : JSON.stringify(outcome);
const pValue = (policy: DecodingPolicy) =>
  chiSquare(tally(run(policy).map(answerOf)), expectedAnswers()).pValue;

const policies: [string, DecodingPolicy][] = [
  ["picospec", POLICIES.picospec],
  ["vanilla", POLICIES.vanilla],
  ["race", POLICIES.race],
  ["cloud", POLICIES.cloud],
];

afterEach(() => {
  vi.restoreAllMocks();
});

describe("text that a grammar dictates", () => {
  it.each(policies)("%s: the distribution of the target alone", (_, policy) => {
    expect(pValue(policy)).toBeGreaterThan(ALPHA);
  });

  it("is the same text for the same seed, by the cloud and by race", () => {
    const text = (policy: DecodingPolicy) => run(policy, 400).map(answerOf);
    expect(text(POLICIES.race)).toEqual(text(POLICIES.cloud));
  });

  it("is drafted as a source of its own, and certain tokens cost no row", () => {
    const runs = run(POLICIES.picospec, 400);
    const sum = (of: (one: Run) => number) => runs.reduce((total, one) => total + of(one), 0);
    expect(sum(({ statistics }) => statistics!.sources.grammar.drafted)).toBeGreaterThan(600);
    expect(sum(({ statistics }) => statistics!.sources.grammar.accepted)).toBeGreaterThan(400);
    const rows = sum(({ statistics }) => statistics!.usage?.targetRows ?? 0);
    vi.spyOn(DraftedSequence.prototype, "certain").mockReturnValue(-1);
    const asked = run(POLICIES.picospec, 400);
    expect(asked.map(answerOf).length).toBe(runs.length);
    expect(rows).toBeLessThan(
      0.95 * asked.reduce((total, { statistics }) => total + (statistics!.usage?.targetRows ?? 0), 0),
    );
  });

  it("control: to commit a spelling, though there is another, is another distribution", () => {
    const { certain } = DraftedSequence.prototype;
    vi.spyOn(DraftedSequence.prototype, "certain").mockImplementation(function (this: DraftedSequence) {
      const answer = Array.from(this.slice(PROMPT.length, this.committed));
      return dictatedAt(answer)[0] ?? certain.call(this);
    });
    expect(pValue(POLICIES.race)).toBeLessThan(ALPHA);
  });

  it("control: under rejection coupling a dictated draft has q = 1, and with less the distribution is another", async () => {
    const { GrammarGuide } = await import("../../src/edge/drafters/grammar-guide.ts");
    const { dictated } = GrammarGuide.prototype;
    vi.spyOn(GrammarGuide.prototype, "dictated").mockImplementation(function (this: never, ...given) {
      const proposal = (dictated as (...all: unknown[]) => ReturnType<typeof dictated>).apply(this, given);
      return proposal && { ...proposal, q: 0.3 };
    });
    expect(pValue(POLICIES.picospec)).toBeLessThan(ALPHA);
  });
});
