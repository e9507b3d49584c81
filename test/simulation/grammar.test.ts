import { afterEach, describe, expect, it, vi } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import {
  applySampler,
  type SamplerSettings,
  SamplerWorkspace,
  samplerSettings,
} from "../../src/sampling/sampler.ts";
import { TOY_GRAMMAR, ToyGrammars, toyAllowed } from "../support/toy-grammar.ts";
import { draws, END_TOKEN, type Run, randomSchedule, scheduled, World } from "../support/world.ts";

/**
 * Answers that keep to a grammar have the distribution of the target alone under that grammar: 20,000 sequences a case
 * under random schedules, Pearson's chi-square over whole answers, alpha 1e-4, with controls. See exactness.test.ts.
 */
const SEQUENCES = 20_000;
const ALPHA = 1e-4;
const EDGES = 4;
const MOST_TOKENS = 4;
const PROMPT = [3, 1, 4, 1, 5];

const { propose } = ParallelDrafter.prototype;

const language: ToyLanguage = {
  seed: toSeed(77),
  vocabularySize: 7,
  order: 2,
  spread: 3,
  divergence: 3,
  contextTokens: 64,
};

function expectedAnswers(sampler: Partial<SamplerSettings>): Map<string, number> {
  const settings = samplerSettings(sampler);
  const answers = new Map<string, number>();
  const walk = (answer: number[], probability: number) => {
    if (answer.length === MOST_TOKENS || answer.at(-1) === END_TOKEN) {
      answers.set(answer.join(" "), probability);
      return;
    }
    const tokens = [...PROMPT, ...answer];
    const row = toyLogits(language, tokens, "target");
    const allowed = toyAllowed(answer, row.length);
    const history = Int32Array.from(tokens);
    const p = applySampler(row, settings, history, new SamplerWorkspace(), allowed).dense(row.length);
    for (const [token, share] of p.entries()) if (share > 0) walk([...answer, token], probability * share);
  };
  walk([], 1);
  return answers;
}

function run(policy: DecodingPolicy, sampler: Partial<SamplerSettings>, count: number): Run[] {
  return Array.from({ length: Math.ceil(count / EDGES) }, (_, world) => {
    const random = draws(world);
    const schedule = randomSchedule(random);
    const grammars = new ToyGrammars(language.vocabularySize);
    const here = new World({ language, schedule, random, grammars });
    const runs = Array.from({ length: EDGES }, (_, edge) =>
      here.generate(scheduled(policy, schedule), PROMPT, toSeed(world * EDGES + edge), MOST_TOKENS, {
        sampler,
        settings: { grammar: TOY_GRAMMAR },
      }),
    );
    here.clock.run();
    expect(grammars.open).toBe(0);
    return runs;
  }).flat();
}

const answerOf = ({ outcome, tokens }: Run) =>
  outcome?.kind === "done" ? tokens.join(" ") : JSON.stringify(outcome);
const pValue = (policy: DecodingPolicy, sampler: Partial<SamplerSettings> = {}) =>
  chiSquare(tally(run(policy, sampler, SEQUENCES).map(answerOf)), expectedAnswers(sampler)).pValue;

const policies: [string, DecodingPolicy][] = [
  ["picospec", POLICIES.picospec],
  ["vanilla", POLICIES.vanilla],
  ["race", POLICIES.race],
  ["cloud", POLICIES.cloud],
];

describe("answers under a grammar", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each(policies)("%s: the distribution of the target alone under it", (_, policy) => {
    expect(pValue(policy)).toBeGreaterThan(ALPHA);
  });

  it("with a sampler that cuts: what the grammar leaves is cut, and not the other way round", () => {
    const sampler = { topK: 2, temperature: 1.3 };
    expect(pValue(POLICIES.picospec, sampler)).toBeGreaterThan(ALPHA);
  });

  it("with top-n-sigma: what the grammar masks does not count", () => {
    expect(pValue(POLICIES.picospec, { topNSigma: 1.5 })).toBeGreaterThan(ALPHA);
  });

  it("control: with the set of the position before, answers are not allowed or have another distribution", () => {
    const { allowed } = DraftedSequence.prototype;
    vi.spyOn(DraftedSequence.prototype, "allowed").mockImplementation(function (
      this: DraftedSequence,
      position,
    ) {
      return allowed.call(this, Math.max(PROMPT.length, position - 1));
    });
    expect(pValue(POLICIES.picospec)).toBeLessThan(ALPHA);
  });

  it("control: without the cloud's set drafts alone keep to it, and the distribution is another", () => {
    vi.spyOn(DraftedSequence.prototype, "allowed").mockReturnValue(null);
    expect(pValue(POLICIES.picospec)).toBeLessThan(ALPHA);
  });

  it("a drafter that knows the grammar is right more often than one that does not", () => {
    const sum = (runs: Run[], of: "accepted" | "rejected") =>
      runs.reduce((total, { statistics }) => total + statistics![of], 0);
    const rate = (runs: Run[]) => sum(runs, "accepted") / (sum(runs, "accepted") + sum(runs, "rejected"));
    const knowing = rate(run(POLICIES.picospec, {}, 2000));
    vi.spyOn(ParallelDrafter.prototype, "propose").mockImplementation(function (
      this: ParallelDrafter,
      request,
    ) {
      propose.call(this, { ...request, allowed: null });
    });
    expect(rate(run(POLICIES.picospec, {}, 2000))).toBeLessThan(knowing - 0.1);
  });

  it("that is not known costs the session and nothing else", () => {
    const here = new World({ language, schedule: randomSchedule(draws(1)), random: draws(1) });
    const refused = here.generate(POLICIES.cloud, PROMPT, toSeed(1), 4, {
      settings: { grammar: TOY_GRAMMAR },
    });
    here.clock.run();
    expect(refused.outcome).toMatchObject({ kind: "failed", code: "bad_setting" });
    expect(refused.outcome).toMatchObject({ message: expect.stringMatching(/knows no grammars/) });
  });
});
