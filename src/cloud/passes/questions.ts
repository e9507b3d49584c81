import type { SessionSettings } from "../../decoding/session.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { WitnessRequestFrame } from "../../protocol/frame.ts";
import type { Answer, Question, TokenLogprobs } from "../../sampling/question.ts";
import { assert } from "../../util/assert.ts";
import type { DraftedSequence } from "../core/sequence.ts";

// Fields are written out: a spread makes V8 build a new hidden class each time, which only a full GC frees.

/** About the row that predicts committed + offset: a pending draft, or what comes after the last. */
export function questionAbout(
  settings: SessionSettings,
  sequence: DraftedSequence,
  offset: number,
): Question {
  const { sampler, seed, policy } = settings;
  const logprobs = settings.logprobs ?? null;
  const { lineage, committed, pending } = sequence;
  const position = committed + offset;
  const history = sequence.history(position);
  const allowed = sequence.allowed(position);
  if (offset >= pending) {
    return { ask: "sample", sampler, seed, position, lineage, history, allowed, logprobs };
  }
  const { coupling, exchange, topK } = policy;
  const { draft, q } = sequence.draft(offset);
  return {
    ask: "decide",
    sampler,
    seed,
    position,
    lineage,
    history,
    allowed,
    logprobs,
    coupling,
    exchange,
    topK,
    draft,
    q,
  };
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
  const allowed = sequence.allowed(position);
  // Nothing is decided by more of a row: there is nothing to report.
  const logprobs = null;
  if (count === 0) return { ask: "dense", sampler, seed, position, lineage, history, allowed, logprobs };
  const { topK } = policy;
  return {
    ask: "witnesses",
    sampler,
    seed,
    position,
    lineage,
    history,
    allowed,
    logprobs,
    topK,
    from,
    count,
  };
}

/** The token that an answer commits. */
export function committedToken(question: Question, answer: Answer): number {
  if (answer.kind === "token") return answer.token;
  assert(answer.kind === "accepted" && question.ask === "decide", `"${answer.kind}" commits nothing`);
  return question.draft;
}

/**
 * What the target thought of the token that an answer commits, where that was asked for.
 * @throws ProtocolError `model_output` when the engine has none
 */
export function committedLogprobs(answer: Answer): TokenLogprobs {
  const commits = answer.kind === "accepted" || answer.kind === "token";
  const logprobs = commits ? answer.logprobs : null;
  if (!logprobs) throw new ProtocolError("model_output", "the engine gave no log-probabilities");
  return logprobs;
}
