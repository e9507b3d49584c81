import { afterEach, describe, expect, it, vi } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import type { PassEngine, PassResult } from "../../src/engine/engine.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import type { Answer } from "../../src/sampling/question.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { ResidualDraw } from "../../src/sampling/rejection.ts";
import {
  applySampler,
  type SamplerSettings,
  SamplerWorkspace,
  samplerSettings,
} from "../../src/sampling/sampler.ts";
import { draws, END_TOKEN, randomSchedule, scheduled, World } from "../support/world.ts";

/**
 * 20,000 sequences a case, each under a schedule of its own, against the target's own distribution over whole
 * sequences. Pearson's chi-square over cells that expect at least 5.
 *
 * False alarms: seeds are fixed, so a case passes always or never; were they drawn anew, a right system would
 * fail a case with probability ALPHA = 1e-4. Power: over the 1,000 or so cells of a case a deviation of total
 * variation .05, spread evenly, has a noncentrality of about 4 * .05^2 * 20,000 = 200 at 1,000 degrees of
 * freedom, whose standard deviation is 45: it is caught with probability .8; one of .07 with more than .99. The
 * controls show what that means in practice.
 */
const SEQUENCES = 20_000;
const ALPHA = 1e-4;
const EDGES = 4;

const PROMPT = [3, 1, 4, 1, 5];

interface Case {
  readonly policy: DecodingPolicy;
  readonly sampler: Partial<SamplerSettings>;
  readonly language: ToyLanguage;
  readonly maxTokens: number;
  /** how a control breaks the target */
  readonly target?: (model: PassEngine) => PassEngine;
}

const language: ToyLanguage = {
  seed: toSeed(77),
  vocabularySize: 7,
  order: 2,
  spread: 3,
  divergence: 3,
  contextTokens: 64,
};
const plain = (policy: DecodingPolicy, sampler: Partial<SamplerSettings> = {}): Case => {
  return { policy, sampler, language, maxTokens: 4 };
};
/**
 * K so small that the tail is hit often, and a drafter that covers most of it, so that witnesses run out: after
 * this prompt in 4% of first tokens (by exact calculation, the worst of 5,400 toy languages). Fewer and so
 * fuller cells, to see what comes of it.
 */
const tail = (policy: DecodingPolicy): Case => ({
  policy: { ...policy, topK: 1 },
  sampler: {},
  language: { ...language, seed: toSeed(242), spread: 8, divergence: 3 },
  maxTokens: 2,
});

/** Probability of every answer that the target alone could give. */
function expectedAnswers({ sampler, language, maxTokens }: Case): Map<string, number> {
  const settings = samplerSettings(sampler);
  const answers = new Map<string, number>();
  const walk = (tokens: number[], probability: number) => {
    const answer = tokens.slice(PROMPT.length);
    if (answer.length === maxTokens || answer.at(-1) === END_TOKEN) {
      answers.set(answer.join(" "), probability);
      return;
    }
    const row = toyLogits(language, tokens, "target");
    const p = applySampler(row, settings, Int32Array.from(tokens), new SamplerWorkspace()).dense(row.length);
    for (const [token, share] of p.entries()) if (share > 0) walk([...tokens, token], probability * share);
  };
  walk(PROMPT, 1);
  return answers;
}

function generate({ policy, sampler, language, maxTokens, target }: Case): Map<string, number> {
  const answers: string[] = [];
  for (let world = 0; world < SEQUENCES / EDGES; world++) {
    const random = draws(world);
    const schedule = randomSchedule(random);
    const here = new World({ language, schedule, random, ...(target ? { target } : {}) });
    const runs = Array.from({ length: EDGES }, (_, edge) => {
      const seed = toSeed(world * EDGES + edge);
      return here.generate(scheduled(policy, schedule), PROMPT, seed, maxTokens, { sampler });
    });
    here.clock.run();
    for (const run of runs) {
      // An answer that no target gives, so that a session that fails is a misfit and not an exception.
      answers.push(run.outcome?.kind === "done" ? run.tokens.join(" ") : JSON.stringify(run.outcome));
    }
  }
  return tally(answers);
}

function pValue(tried: Case): number {
  return chiSquare(generate(tried), expectedAnswers(tried)).pValue;
}

const samplers: [string, Partial<SamplerSettings>][] = [
  ["temperature 1", {}],
  ["top-k", { topK: 4, temperature: 1.3 }],
  ["top-p", { topP: 0.8 }],
  ["top-n-sigma", { topNSigma: 1.2, temperature: 1.3 }],
  ["penalties", { repetitionPenalty: 1.4, presencePenalty: 0.3, frequencyPenalty: 0.5, penaltyLastN: 6 }],
];

describe.each([
  ["picospec", POLICIES.picospec],
  ["vanilla", POLICIES.vanilla],
])("%s has the target's distribution", (_, policy) => {
  it.each(samplers)("%s", (_name, sampler) => {
    expect(pValue(plain(policy, sampler))).toBeGreaterThan(ALPHA);
  });

  it("K = 1: the tail is hit often, and the witnesses run out", () => {
    const refill = vi.spyOn(ResidualDraw.prototype, "addWitnesses");
    const draw = vi.spyOn(ResidualDraw.prototype, "next");
    expect(pValue(tail(policy))).toBeGreaterThan(ALPHA);
    expect(draw.mock.calls.length).toBeGreaterThan(SEQUENCES / 10);
    expect(refill.mock.calls.length).toBeGreaterThan(SEQUENCES / 100);
  });
});

describe("control: the same test fails", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Parts of the system that a control breaks, by private names. */
  // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
  type Broken = any;

  it("without witnesses (the paper's truncated residual)", () => {
    const noTail = (answer: Answer): Answer =>
      answer.kind === "rejected" && answer.rejection.kind === "sparse"
        ? { kind: "rejected", rejection: { ...answer.rejection, tailMass: 0 } }
        : answer;
    const truncated = (model: PassEngine): PassEngine => ({
      ...model,
      pass: (items, done) =>
        model.pass(items, (error, results) =>
          done(
            error,
            results.map((result) => withAnswers(result, noTail)),
          ),
        ),
    });
    expect(pValue({ ...plain({ ...POLICIES.picospec, topK: 3 }), target: truncated })).toBeLessThan(ALPHA);
  });

  it("giving up after m witnesses", () => {
    const broken: Broken = ResidualDraw.prototype;
    vi.spyOn(broken, "pause").mockImplementation(function (this: Broken) {
      return { kind: "token", token: this.witnesses.ids.at(-1) };
    });
    expect(pValue(tail(POLICIES.picospec))).toBeLessThan(ALPHA);
  });

  it("with drafts of a dead lineage kept", () => {
    const { take, reject } = DraftedSequence.prototype;
    const kept = new WeakMap<object, { token: number; q: number | Float32Array }[]>();
    vi.spyOn(DraftedSequence.prototype, "reject").mockImplementation(function (this: Broken) {
      const drafts = Array.from({ length: this.pending }, (_, i) => this.draft(i));
      kept.set(
        this,
        drafts.slice(1).map(({ draft, q }) => ({ token: draft, q })),
      );
      reject.call(this);
    });
    vi.spyOn(DraftedSequence.prototype, "take").mockImplementation(function (
      this: Broken,
      frame,
      rejectedAt,
    ) {
      const correction = frame.lineage > this.lineage;
      // Behind the correction go the drafts that continued what it replaces; the edge's own are not heard.
      const heard = correction ? 1 : kept.has(this) ? 0 : frame.tokens.length;
      const taken = take.call(this, { ...frame, tokens: frame.tokens.subarray(0, heard) }, rejectedAt);
      for (const { token, q } of (correction && kept.get(this)) || []) {
        this.tokens.push(token);
        this.pendingQ.push(q);
      }
      return taken;
    });
    expect(pValue(plain(POLICIES.picospec))).toBeLessThan(ALPHA);
  });

  it("with drafts withheld by their own probability", () => {
    const broken: Broken = EdgeSession.prototype;
    const drafted = broken.drafted;
    vi.spyOn(broken, "drafted").mockImplementation(function (this: Broken, ...event: Broken[]) {
      const somethingToSend = this.sequence.length > this.sequence.sent;
      if (event[2].q >= 0.2 || !somethingToSend || event[0] !== this.sequence.version)
        return drafted.apply(this, event);
      this.drafting = false;
      this.send();
    });
    expect(pValue(plain(POLICIES.vanilla))).toBeLessThan(ALPHA);
  });
});

function withAnswers(result: PassResult, change: (answer: Answer) => Answer): PassResult {
  return { ...result, answers: result.answers.map(change) };
}
