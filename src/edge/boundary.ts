import { checkPolicy, type DecodingPolicy } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { neededFeatures, type Peer } from "../protocol/features.ts";
import { PROTOCOL_LIMITS, type VerdictFrame, type WitnessesFrame } from "../protocol/frame.ts";
import type { Rejection } from "../sampling/question.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import { SettingError } from "../util/errors.ts";
import type { Drafter } from "./drafters/drafter.ts";

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
export function checkDraftSize(
  { exchange, windowTokens }: DecodingPolicy,
  vocabularySize: number,
  frameBytes: number,
): void {
  if (exchange !== "denseUp") return;
  const most = Math.floor((frameBytes - DRAFT_OVERHEAD_BYTES) / (4 * (vocabularySize + 1)));
  if (windowTokens + 1 <= most) return;
  const message = `with ${vocabularySize} tokens and all of q going up a window holds at most ${most - 1} drafts, not ${windowTokens}`;
  throw new SettingError("windowTokens", message);
}

/** What an open frame holds besides its tokens and its grammar, at most. */
const OPEN_OVERHEAD_BYTES = 128 * 1024;
/** A unit of text takes this much in JSON where it has to be escaped. */
const ESCAPED_BYTES = 6;

/**
 * A cloud that lacks what a setting needs would answer something else.
 * @param mostTokens that an `open` of the session may hold: a resumption carries the answer so far
 * @throws SettingError that names the setting and what to do
 */
export function checkPeer(
  settings: SessionSettings,
  mostTokens: number,
  { software, features, limits }: Peer,
): void {
  const missing = neededFeatures(settings).find(({ feature }) => !features.has(feature));
  if (missing) {
    const { setting, feature } = missing;
    const then = setting === "grammar" ? "send an EBNF grammar" : `leave ${setting} at its default`;
    const message = `the cloud (${software}) lacks ${feature}, which ${setting} needs: ${then}, or update the older side`;
    throw new SettingError(setting, message);
  }
  const { segmentTokens, windowTokens } = settings.policy;
  if (segmentTokens > 0 && windowTokens > limits.draftTokens) {
    const message = `the cloud accepts ${limits.draftTokens} undecided drafts, not a window of ${windowTokens}; choose a smaller one`;
    throw new SettingError("windowTokens", message);
  }
  const grammarBytes = ESCAPED_BYTES * (settings.grammar?.source.length ?? 0);
  const openBytes = OPEN_OVERHEAD_BYTES + 4 * mostTokens + grammarBytes;
  if (mostTokens > limits.promptTokens || openBytes > limits.frameBytes) {
    const message = `prompt and answer of ${mostTokens} tokens with their settings may be more than the cloud accepts (${limits.promptTokens} tokens, ${limits.frameBytes} bytes); shorten the prompt, or ask for less`;
    throw new SettingError("prompt", message);
  }
}

/**
 * What every session has to keep to. Refuses here what the cloud would refuse: over there it could cost more than this
 * session.
 * @throws SettingError
 */
export function checkRequest(
  { policy, sampler, maxTokens }: SessionSettings,
  prompt: Int32Array,
  { contextTokens, vocabularySize }: { readonly contextTokens: number; readonly vocabularySize: number },
  drafter: Drafter | null,
): void {
  checkPolicy(policy);
  samplerSettings(sampler);
  if (policy.segmentTokens > 0 && !drafter) {
    throw new SettingError("policy", "this policy drafts, and there is no drafter: give a --model");
  }
  if (!policy.target && !drafter?.alwaysProposes) {
    throw new SettingError("policy", "the policy edge needs a model of its own: give a --model");
  }
  const cloudGoesOn = policy.patienceMs < Number.POSITIVE_INFINITY;
  if (policy.segmentTokens > 0 && !cloudGoesOn && !drafter?.alwaysProposes) {
    const message =
      "this policy needs a drafter that always has a draft, and prompt lookup does not: take race";
    throw new SettingError("policy", message);
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens >= PROTOCOL_LIMITS.counter) {
    throw new SettingError("maxTokens", `maxTokens must be a whole number of 1 or more, not ${maxTokens}`);
  }
  if (prompt.length === 0) throw new SettingError("prompt", "the prompt is empty");
  const stranger = prompt.find((token) => token < 0 || token >= vocabularySize);
  if (stranger !== undefined) {
    throw new SettingError("prompt", `there is no token ${stranger}: the model has ${vocabularySize}`);
  }
  if (prompt.length >= Math.min(contextTokens, PROTOCOL_LIMITS.promptTokens)) {
    const message = `the prompt has ${prompt.length} tokens, and the context of ${contextTokens} leaves no room for an answer; shorten the prompt`;
    throw new SettingError("prompt", message);
  }
}

/** Most tokens that an `open` of the session holds: the prompt's, and after a resumption the answer's. */
export function mostTokens(
  { maxTokens }: SessionSettings,
  prompt: Int32Array,
  contextTokens: number,
): number {
  return Math.min(prompt.length + maxTokens, contextTokens, PROTOCOL_LIMITS.promptTokens);
}
