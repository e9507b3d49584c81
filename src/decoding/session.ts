import type { Seed } from "../sampling/random.ts";
import type { SamplerSettings } from "../sampling/settings.ts";
import type { NumberRow } from "../util/setting.ts";
import type { Grammar } from "./grammar.ts";
import type { DecodingPolicy } from "./policy.ts";

/** What a session is opened with: the same value on both sides. */
export interface SessionSettings {
  readonly policy: DecodingPolicy;
  readonly sampler: SamplerSettings;
  readonly seed: Seed;
  /** most tokens to commit after the prompt */
  readonly maxTokens: number;
  /** the answer keeps to it */
  readonly grammar?: Grammar;
  /** how many of the target's likeliest tokens to report with each token, [0, 20]; not given: report nothing */
  readonly logprobs?: number;
}

/**
 * Settings of a session that are numbers: the wire, the command line and the APIs derive their part from them. Their
 * fields differ from request to request (`max_completion_tokens`, `top_logprobs`), so the rows name none.
 */
export const SESSION_ROWS = {
  maxTokens: {
    kind: "number",
    range: { least: 1, most: 2 ** 31, whole: true },
    unit: "tokens",
    help: "end an answer after so many",
    flag: "--max-tokens <n>",
  },
  logprobs: {
    kind: "number",
    // OpenAI's bound.
    range: { least: 0, most: 20, whole: true },
    unit: "tokens",
    help: "how many of the target's likeliest tokens come with each token",
  },
} as const satisfies Record<string, NumberRow>;

/** Bounds of what a session may be opened with. */
export const SESSION_LIMITS = {
  /** UTF-16 units: the grammar of a large schema has some ten thousand */
  grammarUnits: 256 * 1024,
  topLogprobs: SESSION_ROWS.logprobs.range.most,
} as const;

/** Why a session ended: an end token, `maxTokens`, the context, or the user. */
export type StopReason = "end" | "length" | "context" | "cancelled";

/** Counts that the cloud reports when a session ends. */
export interface CloudUsage {
  readonly promptTokens: number;
  readonly committedTokens: number;
  /** passes in which the session had rows computed */
  readonly targetPasses: number;
  /** rows that were computed in them, those of other sessions not counted */
  readonly targetRows: number;
  /** how long they took, ms */
  readonly targetMs: number;
  /** passes in which only a part of its prompt was fed */
  readonly prefillPasses: number;
  /** tokens of the session that were fed to the target, prefill and rebuilding included */
  readonly fedTokens: number;
  /** times its KV was dropped and had to be rebuilt */
  readonly evictions: number;
  /** tokens that had been computed for other sessions, and were not fed */
  readonly reusedTokens: number;
}

/** Where a sequence has to stop. Positions count from the first token of the prompt. */
export interface StopRule {
  readonly promptLength: number;
  readonly maxTokens: number;
  /** most tokens a sequence may have */
  readonly contextTokens: number;
  readonly endTokens: ReadonlySet<number>;
}

/** No token is ever committed at this position or past it. */
export function limitPosition(rule: StopRule): number {
  return Math.min(rule.promptLength + rule.maxTokens, rule.contextTokens);
}

/** Why the sequence ends with `token` at `position`, or null when it goes on. */
export function stopReasonAt(rule: StopRule, token: number, position: number): StopReason | null {
  if (rule.endTokens.has(token)) return "end";
  if (position + 1 < limitPosition(rule)) return null;
  return rule.promptLength + rule.maxTokens <= rule.contextTokens ? "length" : "context";
}
