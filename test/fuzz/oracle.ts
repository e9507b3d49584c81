import { type StopReason, type StopRule, stopReasonAt } from "../../src/decoding/session.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { answer } from "../../src/sampling/answer.ts";
import { propose } from "../../src/sampling/propose.ts";
import type { DecideQuestion, Question } from "../../src/sampling/question.ts";
import { ResidualDraw } from "../../src/sampling/rejection.ts";
import { historyTokens, SamplerWorkspace } from "../../src/sampling/sampler.ts";
import { assert } from "../../src/util/assert.ts";
import { END_TOKEN } from "../support/world.ts";
import type { EdgePlan, SessionPlan } from "./plan.ts";

/**
 * What a session has to say, whatever befalls it, worked out token by token without a network, a cache or a
 * state machine. Text that depends on the time (a bonus token, a hand-over to the cloud) has no such oracle under
 * rejection coupling: that is what the chi-square tests are for.
 */

export interface Expected {
  readonly tokens: readonly number[];
  readonly reason: StopReason;
}

export function stopRule(plan: SessionPlan, language: ToyLanguage): StopRule {
  return {
    promptLength: plan.prompt.length,
    maxTokens: plan.maxTokens,
    contextTokens: language.contextTokens,
    endTokens: new Set([END_TOKEN]),
  };
}

/** null: chance and time decide together */
export function expectedText(plan: SessionPlan, edge: EdgePlan, language: ToyLanguage): Expected | null {
  const { policy, sampler } = plan;
  const coupled = policy.coupling === "gumbel" || sampler.temperature === 0;
  if (coupled) return decode(plan, language, (tokens) => [winner(plan, language, tokens), false]);
  const handsOver =
    edge.drafter.contextTokens < language.contextTokens ||
    edge.drafter.vocabularySize < language.vocabularySize;
  // Which drafter proposes depends on how far the text has been read.
  if (policy.bonusToken || handsOver || edge.drafter.kind !== "model") return null;
  return decode(plan, language, (tokens, lineage) => judged(plan, language, tokens, lineage));
}

/** @param next the token after the prefix, and whether it came instead of a draft */
function decode(
  plan: SessionPlan,
  language: ToyLanguage,
  next: (tokens: Int32Array, lineage: number) => [token: number, rejected: boolean],
): Expected {
  const rule = stopRule(plan, language);
  const tokens = [...plan.prompt];
  for (let lineage = 0; ; ) {
    const [token, rejected] = next(Int32Array.from(tokens), lineage);
    if (rejected) lineage++;
    tokens.push(token);
    const reason = stopReasonAt(rule, token, tokens.length - 1);
    if (reason) return { tokens: tokens.slice(plan.prompt.length), reason };
  }
}

const workspace = new SamplerWorkspace();

function asked(plan: SessionPlan, tokens: Int32Array, lineage: number) {
  const { sampler, seed } = plan;
  const position = tokens.length;
  const history = tokens.subarray(Math.max(0, position - historyTokens(sampler)));
  return { sampler, seed, position, lineage, history };
}

function winner(plan: SessionPlan, language: ToyLanguage, tokens: Int32Array): number {
  const row = toyLogits(language, tokens, "target");
  const given = answer(row, { ask: "sample", ...asked(plan, tokens, 0) }, workspace);
  assert(given.kind === "token", "a sample is a token");
  return given.token;
}

function judged(
  plan: SessionPlan,
  language: ToyLanguage,
  tokens: Int32Array,
  lineage: number,
): [token: number, rejected: boolean] {
  const base = asked(plan, tokens, lineage);
  const { exchange, topK } = plan.policy;
  const { history, position, seed, sampler } = base;
  const row = toyLogits(language, tokens, "drafter");
  const { token, q, distribution } = propose(row, sampler, history, "rejection", seed, position, lineage);
  assert(distribution, "q is kept under rejection coupling");
  const decide: DecideQuestion = {
    ...base,
    ask: "decide",
    coupling: "rejection",
    exchange,
    topK,
    draft: token,
    q: exchange === "denseUp" ? distribution.dense(row.length) : Math.fround(q),
  };
  const target = toyLogits(language, tokens, "target");
  const ask = (question: Question) => answer(target, question, workspace);
  const given = ask(decide);
  if (given.kind === "accepted") return [token, false];
  if (given.kind === "token") return [given.token, true];
  assert(given.kind === "rejected", "a draft is accepted or rejected");
  const draw = new ResidualDraw(given.rejection, distribution, seed, position, lineage);
  let step = draw.next();
  while (step.kind !== "token") {
    if (step.kind === "needDense") {
      const all = ask({ ...base, ask: "dense" });
      assert(all.kind === "dense", "all of p was asked for");
      step = draw.finish(all.probabilities);
    } else {
      const more = ask({ ...base, ask: "witnesses", topK, from: step.from, count: step.count });
      assert(more.kind === "witnesses", "witnesses were asked for");
      step = draw.addWitnesses(more.witnesses);
    }
  }
  return [step.token, true];
}
