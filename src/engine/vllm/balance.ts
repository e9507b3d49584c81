import { PrefixHash } from "./prefix-hash.ts";

/**
 * Which of several servers gets a run: the one that has most of its prompt in the prefix cache, as long as it is not
 * busier than the least busy one by much. What a server has is what was sent there; it may have dropped it since, and
 * then a prompt is computed again. A principal's prompts share with its own alone, as the cache's salt has it.
 */

const BALANCE = {
  /** tokens that are looked up together: vLLM's own blocks have 16 */
  blockTokens: 64,
  /** of a prompt, that are looked at */
  blocks: 512,
  /** runs more than on the least busy server that a cached prompt is worth */
  slackRuns: 4,
  /** blocks that are remembered of a server: the ones that were used last */
  remembered: 65_536,
} as const;

/** Hashes of a prompt's blocks, each with all before it. */
export function blocksOf(tokens: Int32Array, principal: string, key: bigint): string[] {
  const hash = new PrefixHash(key);
  for (let i = 0; i < principal.length; i++) hash.push(principal.charCodeAt(i));
  // No token is as large: where the name ends is clear.
  hash.push(2 ** 31);
  const blocks: string[] = [];
  const count = Math.min(BALANCE.blocks, Math.floor(tokens.length / BALANCE.blockTokens));
  for (let block = 0; block < count; block++) {
    const from = block * BALANCE.blockTokens;
    for (let i = from; i < from + BALANCE.blockTokens; i++) hash.push(tokens[i]!);
    blocks.push(hash.value.toString(36));
  }
  return blocks;
}

/** What was sent to one server. */
export class SentPrefixes {
  private readonly blocks = new Set<string>();

  /** How many of a prompt's blocks are there, from the first. */
  known(blocks: readonly string[]): number {
    const missing = blocks.findIndex((block) => !this.blocks.has(block));
    return missing < 0 ? blocks.length : missing;
  }

  add(blocks: readonly string[]): void {
    for (const block of blocks) {
      this.blocks.delete(block);
      this.blocks.add(block);
    }
    for (const oldest of this.blocks) {
      if (this.blocks.size <= BALANCE.remembered) break;
      this.blocks.delete(oldest);
    }
  }
}

export interface Candidate {
  /** runs that are open there */
  readonly runs: number;
  /** blocks of the prompt that are there */
  readonly known: number;
}

/** Index of the server that is chosen; -1: there is none. */
export function chooseServer(candidates: readonly Candidate[]): number {
  const least = Math.min(...candidates.map(({ runs }) => runs));
  let chosen = -1;
  for (const [i, { runs, known }] of candidates.entries()) {
    if (runs > least + (known > 0 ? BALANCE.slackRuns : 0)) continue;
    const best = candidates[chosen];
    if (!best || known > best.known || (known === best.known && runs < best.runs)) chosen = i;
  }
  return chosen;
}
