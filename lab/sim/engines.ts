import { ROW_CAPABILITIES } from "../../src/engine/capabilities.ts";
import type {
  DraftModel,
  HeldRow,
  ModelInfo,
  PassEngine,
  PassItem,
  PassResult,
} from "../../src/engine/engine.ts";
import { passTimeMs } from "../../src/engine/paced.ts";
import { SparseDistribution } from "../../src/sampling/distribution.ts";
import type { Proposal, propose } from "../../src/sampling/propose.ts";
import type { Answer, Question, Rejection } from "../../src/sampling/question.ts";
import type { Seed } from "../../src/sampling/random.ts";
import type { Clock } from "../../src/util/clock.ts";
import type { Scenario } from "../models/scenario.ts";
import type { AcceptanceModel } from "./acceptance.ts";

/**
 * Engines that take time and know whether drafts stand, and nothing else. There are two tokens that matter: what
 * the target says, and what it does not. Under rejection coupling a draft is certain (q = 1) and stands with
 * probability p, and all else of p is on the other token: the real rejection sampler draws that one.
 */

const VOCABULARY = 8;
const CONTEXT_TOKENS = 2 ** 30;
/** what the target says at every position */
export const SAID = 1;
const OTHER = 2;

/** Whether a draft at a position stands, by the seed of its session. */
export type Judge = (seed: Seed, position: number, coupled: boolean) => boolean;

/** Acceptance by session: how it is made up is the caller's business. */
export class Judges {
  private readonly models = new Map<number, { rejection: AcceptanceModel; coupled: AcceptanceModel }>();
  private readonly promptTokens: number;
  private readonly make: (seed: Seed, coupled: boolean) => AcceptanceModel;

  constructor(promptTokens: number, make: (seed: Seed, coupled: boolean) => AcceptanceModel) {
    this.promptTokens = promptTokens;
    this.make = make;
  }

  readonly judge: Judge = (seed, position, coupled) => {
    // Seeds of a simulation are numbered: the lower half tells them apart.
    let models = this.models.get(seed.low);
    if (!models) {
      models = { rejection: this.make(seed, false), coupled: this.make(seed, true) };
      this.models.set(seed.low, models);
    }
    return (coupled ? models.coupled : models.rejection).accepts(position - this.promptTokens);
  };

  /** The session is over. */
  forget(seed: Seed): void {
    this.models.delete(seed.low);
  }
}

const info: ModelInfo = { name: "modelled", vocabularySize: VOCABULARY, contextTokens: CONTEXT_TOKENS };

const modelled = { weights: "modelled", quantisation: "none", library: "picospec simulator" };

/** The modelled target, whatever kind of engine it is. */
export const MODELLED_INFO: ModelInfo = {
  ...info,
  identity: { ...modelled, backend: "cpu", cpuBuild: "any" },
};

export class ModelledTarget implements PassEngine {
  readonly info = MODELLED_INFO;
  readonly capabilities = ROW_CAPABILITIES;
  readonly kvSlots: number;
  readonly passTokens = 8192;
  readonly passRows = 8192;
  private readonly scenario: Scenario;
  private readonly clock: Clock;
  private readonly judge: Judge;

  constructor(scenario: Scenario, clock: Clock, judge: Judge) {
    this.scenario = scenario;
    this.clock = clock;
    this.judge = judge;
    this.kvSlots = scenario.sequences;
  }

  pass(items: readonly PassItem[], done: (error: null, results: PassResult[]) => void): void {
    const results = items.map((item) => this.result(item));
    this.clock.schedule(this.clock.nowMs() + passTimeMs(items, this.scenario), () => done(null, results));
  }

  close(): void {}

  private result({ from, tokens, questions, hold }: PassItem): PassResult {
    const answers: Answer[] = [];
    const resident = from + tokens.length;
    for (const question of questions) {
      const answer = this.answer(question);
      answers.push(answer);
      if (answer.kind === "rejected") return { answers, held: this.row, resident, failure: null };
      if (answer.kind !== "accepted") return { answers, held: null, resident, failure: null };
    }
    return { answers, held: hold ? this.row : null, resident, failure: null };
  }

  private readonly answer = (question: Question): Answer => {
    if (question.ask !== "decide") return SAYS;
    const { seed, position, coupling, draft, exchange } = question;
    if (coupling === "gumbel") return draft === SAID ? ACCEPTED : SAYS;
    // The correction that a lineage starts with has p > q: it stands for certain.
    if (draft === OTHER || this.judge(seed, position, false)) return ACCEPTED;
    return exchange === "denseUp" ? { kind: "token", token: OTHER } : REJECTED;
  };

  private readonly row: HeldRow = { answer: this.answer, release() {} };
}

const ACCEPTED: Answer = { kind: "accepted" };
const SAYS: Answer = { kind: "token", token: SAID };
const REJECTED: Answer = { kind: "rejected", rejection: everythingOn(OTHER) };

/** p with all of its mass on one token. K is the real one, for the bytes: the rest of the head has no mass. */
function everythingOn(token: number): Rejection {
  const ids = new Int32Array(10);
  ids[0] = token;
  for (let i = 1; i < ids.length; i++) ids[i] = token + i > VOCABULARY - 1 ? 0 : token + i;
  const probabilities = new Float32Array(ids.length);
  probabilities[0] = 1;
  const witnesses = { ids: new Int32Array(0), probabilities: new Float32Array(0) };
  return { kind: "sparse", ids, probabilities, tailMass: 0, witnesses };
}

export class ModelledDraftModel implements DraftModel {
  readonly info = info;
  readonly feedTokens = 128;
  private readonly scenario: Scenario;
  private readonly clock: Clock;

  constructor(scenario: Scenario, clock: Clock) {
    this.scenario = scenario;
    this.clock = clock;
  }

  feed(
    _from: number,
    tokens: Int32Array,
    read: ((logits: Float32Array) => void) | null,
    done: (error: null) => void,
  ): void {
    const { draftMs, draftPrefillTokensPerSecond } = this.scenario;
    const prefill = read ? tokens.length - 1 : tokens.length;
    const timeMs = (read ? draftMs : 0) + (prefill * 1000) / draftPrefillTokensPerSecond;
    this.clock.schedule(this.clock.nowMs() + timeMs, () => {
      read?.(NO_ROW);
      done(null);
    });
  }

  close(): void {}
}

const NO_ROW = new Float32Array(0);
const CERTAIN: Proposal = { token: SAID, q: 1, distribution: SparseDistribution.point(SAID) };
const RIGHT: Proposal = { token: SAID, q: 1, distribution: null };
const WRONG: Proposal = { token: OTHER, q: 1, distribution: null };

/** Drafts of a drafter that agrees as often as the judge says. */
export function chooser(judge: Judge): typeof propose {
  return (_row, _sampler, _history, coupling, seed, position) => {
    if (coupling === "rejection") return CERTAIN;
    return judge(seed, position, true) ? RIGHT : WRONG;
  };
}
