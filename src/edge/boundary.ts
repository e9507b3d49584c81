import type { DecodingPolicy } from "../decoding/policy.ts";
import { PROTOCOL_LIMITS, type VerdictFrame, type WitnessesFrame } from "../protocol/frame.ts";
import type { Rejection } from "../sampling/question.ts";
import { SettingError } from "../util/errors.ts";

/** What the edge checks of a cloud's frames once it knows the vocabulary; past this they are right. */

/** Header and fixed fields of a draft frame, at most. */
const DRAFT_OVERHEAD_BYTES = 64;

/** What is wrong with the frame, in one line, or null. */
export function frameProblem(frame: VerdictFrame | WitnessesFrame, vocabularySize: number): string | null {
  const stranger = (ids: Int32Array) => ids.find((id) => id >= vocabularySize);
  const ids =
    frame.type === "verdict"
      ? [
          frame.tokens,
          ...rejectionIds(frame.rejection),
          ...(frame.logprobs ?? []).map(({ topIds }) => topIds),
        ]
      : frame.reply.kind === "witnesses"
        ? [frame.reply.witnesses.ids]
        : [];
  for (const some of ids) {
    const id = stranger(some);
    if (id !== undefined) return `the cloud sent token ${id}, and its vocabulary has ${vocabularySize}`;
  }
  const dense = frame.type === "verdict" ? frame.rejection : frame.reply;
  if (dense?.kind === "dense" && dense.probabilities.length !== vocabularySize) {
    return `the cloud sent ${dense.probabilities.length} probabilities, and its vocabulary has ${vocabularySize}`;
  }
  return null;
}

function rejectionIds(rejection: Rejection | null): Int32Array[] {
  return rejection?.kind === "sparse" ? [rejection.ids, rejection.witnesses.ids] : [];
}

/**
 * Drafts with all of their q have to fit into a frame, the correction before them included.
 * @throws SettingError that says how many would
 */
export function checkDraftSize({ exchange, windowTokens }: DecodingPolicy, vocabularySize: number): void {
  if (exchange !== "denseUp") return;
  const most = Math.floor((PROTOCOL_LIMITS.frameBytes - DRAFT_OVERHEAD_BYTES) / (4 * (vocabularySize + 1)));
  if (windowTokens + 1 <= most) return;
  const message = `with ${vocabularySize} tokens and all of q going up a window holds at most ${most - 1} drafts, not ${windowTokens}`;
  throw new SettingError("windowTokens", message);
}
