import { createHash } from "node:crypto";
import { expectedText } from "../fuzz/oracle.ts";
import { type EdgePlan, planOf, type SessionPlan } from "../fuzz/plan.ts";

/**
 * What the sessions of the fault search had to say, a line of text for each seed: seed, hash of what the texts depend
 * on, hash of the texts, how many of the world's sessions have a determined text, how many have none.
 */

export const GOLDEN_SEEDS = 3000;
export const WORLDS_FILE = "test/golden/worlds.txt";

/** Hexadecimal digits of a hash: a text that changes keeps its hash with probability 2^-32. */
const TEXT_DIGITS = 8;
const INPUT_DIGITS = 6;

/** Settings by name, and not the whole object: one that is added later, at its default, leaves the hash as it is. */
const SAMPLER = [
  "temperature",
  "topK",
  "topP",
  "minP",
  "repetitionPenalty",
  "presencePenalty",
  "frequencyPenalty",
  "penaltyLastN",
  "logitBias",
] as const;

export function worldLine(seed: number): string {
  const { edges, language } = planOf(seed);
  const { vocabularySize, order, spread, divergence, contextTokens } = language;
  const inputs: unknown[] = [language.seed, vocabularySize, order, spread, divergence, contextTokens];
  const texts: unknown[] = [];
  let undetermined = 0;
  for (const edge of edges) {
    for (const session of edge.sessions) {
      inputs.push(inputsOf(session, edge));
      const expected = expectedText(session, edge, language);
      if (expected) texts.push([expected.tokens, expected.reason]);
      else undetermined++;
    }
  }
  const hashes = `${hashOf(inputs).slice(0, INPUT_DIGITS)} ${hashOf(texts).slice(0, TEXT_DIGITS)}`;
  return `${seed} ${hashes} ${texts.length} ${undetermined}`;
}

function inputsOf({ policy, sampler, seed, prompt, maxTokens }: SessionPlan, { drafter }: EdgePlan) {
  const { coupling, bonusToken, exchange, topK } = policy;
  return [
    [coupling, bonusToken, exchange, topK],
    SAMPLER.map((name) => sampler[name]),
    [seed, prompt, maxTokens],
    [drafter.kind, drafter.contextTokens, drafter.vocabularySize],
  ];
}

/** Of plain values; Infinity is told from null. */
export function hashOf(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return `${part}n`;
    return typeof part === "number" && !Number.isFinite(part) ? String(part) : part;
  });
  return createHash("sha256").update(text).digest("hex");
}

export interface WorldDifferences {
  /** seeds whose sessions ask something else than they did: their texts cannot be compared */
  readonly plans: readonly number[];
  /** seeds that ask the same and have other texts */
  readonly texts: readonly number[];
}

/** @param lines of seeds 0, 1, ... as `worldLine` writes them */
export function worldDifferences(lines: readonly string[], golden: readonly string[]): WorldDifferences {
  const [plans, texts]: [number[], number[]] = [[], []];
  for (let seed = 0; seed < Math.max(lines.length, golden.length); seed++) {
    const [line, other] = [lines[seed] ?? "", golden[seed] ?? ""];
    if (line === other) continue;
    const inputs = (of: string) => of.split(" ")[1];
    (inputs(line) === inputs(other) ? texts : plans).push(seed);
  }
  return { plans, texts };
}
