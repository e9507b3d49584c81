import { identityDifference, type TargetIdentity } from "../decoding/identity.ts";
import type { TargetInfo } from "../protocol/frame.ts";

/**
 * What differs between two targets, in words; null: nothing that is known.
 * @param identity of the earlier; null: no cloud told one
 */
export function targetDifference(
  before: TargetInfo,
  identity: TargetIdentity | null,
  now: TargetInfo,
): string | null {
  if (before.fingerprint !== now.fingerprint)
    return `tokenizer (${now.fingerprint}, before: ${before.fingerprint})`;
  const tokenizers = [before, now].map(({ vocabulary }) => vocabulary?.identity);
  if (tokenizers[0] && tokenizers[1] && tokenizers[0] !== tokenizers[1]) {
    return `tokenizer (${tokenizers[1]}, before: ${tokenizers[0]})`;
  }
  if (before.vocabularySize !== now.vocabularySize) {
    return `vocabulary (${now.vocabularySize} tokens, before: ${before.vocabularySize})`;
  }
  if (before.contextTokens !== now.contextTokens) {
    return `context (${now.contextTokens} tokens, before: ${before.contextTokens})`;
  }
  if (before.endTokens.join() !== now.endTokens.join()) {
    return `end tokens (${now.endTokens.join(" ")}, before: ${before.endTokens.join(" ")})`;
  }
  return identity && now.identity ? identityDifference(identity, now.identity) : null;
}
