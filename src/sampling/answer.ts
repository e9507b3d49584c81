import { unreachable } from "../util/assert.ts";
import type { Distribution, Head } from "./distribution.ts";
import { tokenLogprobs } from "./logprobs.ts";
import type { Answer, DecideQuestion, Question, Rejection, TokenLogprobs, Witnesses } from "./question.ts";
import { Purpose, uniform } from "./random.ts";
import { denseResidual } from "./rejection.ts";
import { applySampler, type SamplerWorkspace } from "./sampler.ts";

/** Witnesses that go along with a rejection: they rarely run out, unless q covers most of the tail. */
const WITNESSES_PER_TAIL_MASS = 16;

/**
 * Answers a question from a dense row: for engines that have rows.
 * @param row logits, Float32Array[V]; not changed
 * @throws PicoSpecError `model_output` when the row holds no finite number
 */
export function answer(row: Float32Array, question: Question, workspace: SamplerWorkspace): Answer {
  const p = applySampler(row, question.sampler, question.history, workspace, question.allowed);
  const report = (token: number) => tokenLogprobs(row, token, question.logprobs);
  switch (question.ask) {
    case "sample": {
      const token = p.winner(question.seed, question.position);
      return { kind: "token", token, logprobs: report(token) };
    }
    case "decide":
      return question.coupling === "gumbel"
        ? decideCoupled(p, question, report)
        : decideByRejection(p, question, row.length, report);
    case "witnesses": {
      const { from, count } = question;
      return { kind: "witnesses", witnesses: witnesses(p, p.head(question.topK), question, from, count) };
    }
    case "dense":
      return { kind: "dense", probabilities: p.dense(row.length) };
    default:
      return unreachable(question);
  }
}

/** What the target thought of a token, if that was asked for. */
type Report = (token: number) => TokenLogprobs | null;

function decideCoupled(p: Distribution, question: DecideQuestion, report: Report): Answer {
  const token = p.winner(question.seed, question.position);
  const logprobs = report(token);
  return token === question.draft ? { kind: "accepted", logprobs } : { kind: "token", token, logprobs };
}

/** Accepts with probability min(1, p/q): Leviathan et al. 2023 and Chen et al. 2023. */
function decideByRejection(
  p: Distribution,
  question: DecideQuestion,
  vocabularySize: number,
  report: Report,
): Answer {
  const { seed, position, lineage, draft, q } = question;
  const qOfDraft = typeof q === "number" ? q : (q[draft] ?? 0);
  const u = uniform(seed, Purpose.accept, position, lineage, 0);
  if (u * qOfDraft < p.probability(draft)) return { kind: "accepted", logprobs: report(draft) };
  if (typeof q !== "number") {
    const draw = uniform(seed, Purpose.residual, position, lineage, 0);
    const token = denseResidual(p.dense(vocabularySize), q, draw);
    return { kind: "token", token, logprobs: report(token) };
  }
  return { kind: "rejected", rejection: rejection(p, question, vocabularySize) };
}

function rejection(p: Distribution, question: DecideQuestion, vocabularySize: number): Rejection {
  if (question.exchange === "denseDown") return { kind: "dense", probabilities: p.dense(vocabularySize) };
  const head = p.head(question.topK);
  const count = Math.min(WITNESSES_PER_TAIL_MASS, Math.ceil(WITNESSES_PER_TAIL_MASS * head.tailMass));
  const { ids, probabilities, tailMass } = head;
  return { kind: "sparse", ids, probabilities, tailMass, witnesses: witnesses(p, head, question, 0, count) };
}

function witnesses(p: Distribution, head: Head, question: Question, from: number, count: number): Witnesses {
  if (head.tailMass === 0 || count === 0) {
    return { ids: new Int32Array(0), probabilities: new Float32Array(0) };
  }
  const { seed, position, lineage } = question;
  const us: number[] = [];
  for (let i = from; i < from + count; i++) us.push(uniform(seed, Purpose.witness, position, lineage, i));
  const ids = p.sampleTail(head, us);
  return { ids, probabilities: Float32Array.from(ids, (id) => p.probability(id)) };
}
