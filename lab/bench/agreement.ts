import type { DraftModel } from "../../src/engine/engine.ts";
import { argmax } from "../../src/sampling/select.ts";

/** How often two models agree. */

export interface Agreement {
  readonly tokens: number;
  /** tokens that are the drafter's likeliest, given everything before them */
  readonly agreed: number;
}

/**
 * Follows a text through a drafter, token by token: unlike the acceptance rate, it knows nothing of how drafts are
 * made and lost. The drafter's KV is the caller's, and is overwritten.
 * @param prompt ids, Int32Array[n], not empty
 * @param text the target's ids, as many as fit the drafter's context are followed
 */
export async function agreement(
  drafter: DraftModel,
  prompt: Int32Array,
  text: readonly number[],
): Promise<Agreement> {
  const feed = (from: number, tokens: Int32Array, read: boolean) =>
    new Promise<number>((resolve, reject) => {
      let likeliest = -1;
      const keep = (logits: Float32Array) => {
        likeliest = argmax(logits);
      };
      drafter.feed(from, tokens, read ? keep : null, (error) => (error ? reject(error) : resolve(likeliest)));
    });
  const { feedTokens, info } = drafter;
  const room = info.contextTokens - prompt.length;
  const followed = text.slice(0, Math.max(0, room));
  let likeliest = -1;
  for (let from = 0; from < prompt.length; from += feedTokens) {
    const chunk = prompt.subarray(from, from + feedTokens);
    likeliest = await feed(from, chunk, from + chunk.length === prompt.length);
  }
  let agreed = 0;
  for (const [i, token] of followed.entries()) {
    if (token === likeliest) agreed++;
    if (i + 1 < followed.length) likeliest = await feed(prompt.length + i, Int32Array.of(token), true);
  }
  return { tokens: followed.length, agreed };
}
