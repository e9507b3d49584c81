import type { SessionSettings } from "../decoding/session.ts";
import type { WitnessRequestFrame } from "../protocol/frame.ts";
import type { Answer, Question } from "../sampling/question.ts";
import { assert } from "../util/assert.ts";
import type { DraftedSequence } from "./sequence.ts";

// Fields are written out: a spread makes V8 build a new hidden class each time, which only a full GC frees.

/** About the row that predicts committed + offset: a pending draft, or what comes after the last. */
export function questionAbout(
  settings: SessionSettings,
  sequence: DraftedSequence,
  offset: number,
): Question {
  const { sampler, seed, policy } = settings;
  const { lineage, committed, pending } = sequence;
  const position = committed + offset;
  const history = sequence.history(position);
  if (offset >= pending) return { ask: "sample", sampler, seed, position, lineage, history };
  const { coupling, exchange, topK } = policy;
  const { draft, q } = sequence.draft(offset);
  return { ask: "decide", sampler, seed, position, lineage, history, coupling, exchange, topK, draft, q };
}

/** More about the row of a rejection. */
export function refillQuestion(
  settings: SessionSettings,
  sequence: DraftedSequence,
  { position, from, count }: WitnessRequestFrame,
): Question {
  const { sampler, seed, policy } = settings;
  const { lineage } = sequence;
  const history = sequence.history(position);
  if (count === 0) return { ask: "dense", sampler, seed, position, lineage, history };
  return { ask: "witnesses", sampler, seed, position, lineage, history, topK: policy.topK, from, count };
}

/** The token that an answer decides. */
export function decidedToken(question: Question, answer: Answer): number {
  if (answer.kind === "token") return answer.token;
  assert(answer.kind === "accepted" && question.ask === "decide", `"${answer.kind}" decides nothing`);
  return question.draft;
}
