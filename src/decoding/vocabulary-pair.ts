/**
 * Which drafter can draft for which target, by one rule: vocabularies of one type, whose sizes are at most 128 apart, and
 * in which every id from 5 on that both have is the same text. Unused, padding and control ids may differ: they are not
 * drafted then, nor are ids that only the drafter has. The rule is llama.cpp's own (common/speculative.cpp), less its
 * care for begin and end tokens: which ids these are is the target's word.
 */

/** What is known of a vocabulary without its texts. */
export interface VocabularyInfo {
  /** llama.cpp's type: SPM, BPE, WPM, UGM, RWKV; or the file's own word for it */
  readonly type: string;
  /** ids that there are, padding included */
  readonly ids: number;
  /** without the padding at the end */
  readonly tokens: number;
  /** hash of all that says how texts become tokens, and back: where it is equal, two tokenizers are one */
  readonly identity: string;
}

/** What a pair is judged by. */
export interface VocabularyTable extends VocabularyInfo {
  /**
   * Two words an id: FNV-1a 64 of its text, low word first, with the highest bit in place of the hash's own: 1 where the
   * id is unused, padding or control. Uint32Array[2 ids]
   */
  readonly entries: Uint32Array;
  /** What an id stands for in the file, for messages. */
  text(id: number): string;
}

/** Another vocabulary, of which only summaries are at hand. */
export interface SummarisedVocabulary extends VocabularyInfo {
  /** Hash of each block's entries, two words a block: see `blockHashes`. */
  blocks(): Promise<Uint32Array>;
  /** Entries of one block. */
  entries(block: number): Promise<Uint32Array>;
}

/** Whether a pair is possible, and what is never drafted by it. */
export type PairVerdict =
  | { readonly problem: string }
  /** ids below the smaller size that are different texts in the two, rising; Int32Array[n] */
  | { readonly problem: null; readonly barred: Int32Array };

/** Ids of a block. */
export const BLOCK_IDS = 1024;
const MOST_APART = 128;
/** The first ids are special in every family, and named differently by converters. */
const FIRST_COMPARED = 5;

const EXEMPT_BIT = 0x8000_0000;

/** Of a text, as an entry of a table holds it: writes two words. */
export function writeEntry(
  entries: Uint32Array,
  id: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  exempt: boolean,
): void {
  fnv(bytes, from, to, entries, 2 * id);
  const high = entries[2 * id + 1]! & ~EXEMPT_BIT;
  entries[2 * id + 1] = exempt ? high | EXEMPT_BIT : high;
}

/** FNV-1a 64 of each block's entries as they travel, little-endian; the last block may be shorter. Uint32Array[2 blocks] */
export function blockHashes(entries: Uint32Array): Uint32Array {
  const blocks = Math.ceil(entries.length / 2 / BLOCK_IDS);
  const bytes = new Uint8Array(entries.buffer, entries.byteOffset, entries.byteLength);
  const hashes = new Uint32Array(2 * blocks);
  for (let block = 0; block < blocks; block++) {
    const from = block * BLOCK_IDS * 8;
    fnv(bytes, from, Math.min(bytes.length, from + BLOCK_IDS * 8), hashes, 2 * block);
  }
  return hashes;
}

/**
 * FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv. The prime is 2^40 + 0x1b3, so a product is one of 32-bit
 * words by 0x1b3, and a shift. No one gains by a collision: a draft that means another text is rejected as any other.
 */
function fnv(bytes: Uint8Array, from: number, to: number, out: Uint32Array, at: number): void {
  let low = 0x8422_2325;
  let high = 0xcbf2_9ce4;
  for (let i = from; i < to; i++) {
    low = (low ^ bytes[i]!) >>> 0;
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  out[at] = low;
  out[at + 1] = high;
}

/** A whole table as another vocabulary: for two files on one machine. */
export function summarised(table: VocabularyTable): SummarisedVocabulary {
  const { type, ids, tokens, identity, entries } = table;
  return {
    ...{ type, ids, tokens, identity },
    blocks: async () => blockHashes(entries),
    entries: async (block) => entries.slice(2 * BLOCK_IDS * block, 2 * BLOCK_IDS * (block + 1)),
  };
}

/**
 * Judges a pair. Of the target no more is asked for than what differs, block by block, up to the first id that decides.
 * @param own the drafter's
 */
export async function judgePair(own: VocabularyTable, target: SummarisedVocabulary): Promise<PairVerdict> {
  if (own.identity === target.identity) return { problem: null, barred: new Int32Array(0) };
  const problem = formProblem(own, target);
  if (problem) return { problem };
  const common = Math.min(own.ids, target.ids);
  const [mine, theirs] = [blockHashes(own.entries), await target.blocks()];
  const barred: number[] = [];
  for (let block = 0; block * BLOCK_IDS < common; block++) {
    if (mine[2 * block] === theirs[2 * block] && mine[2 * block + 1] === theirs[2 * block + 1]) continue;
    const entries = await target.entries(block);
    const from = block * BLOCK_IDS;
    for (let id = from; id < Math.min(common, from + BLOCK_IDS); id++) {
      const differs = difference(own.entries, 2 * id, entries, 2 * (id - from));
      if (differs === "text" && id >= FIRST_COMPARED) {
        return {
          problem: `token ${id}, ${shown(own.text(id))} in the drafter, is another text in the target`,
        };
      }
      if (differs) barred.push(id);
    }
  }
  if (barred.length === common) return { problem: "no token is the same text in both" };
  return { problem: null, barred: Int32Array.from(barred) };
}

function formProblem(own: VocabularyInfo, target: VocabularyInfo): string | null {
  if (own.type !== target.type) {
    return `their vocabularies are of different types: ${own.type} in the drafter, ${target.type} in the target`;
  }
  if (Math.abs(own.tokens - target.tokens) <= MOST_APART) return null;
  return `their vocabularies have ${own.tokens} tokens in the drafter and ${target.tokens} in the target, and may be ${MOST_APART} apart`;
}

/** null: the same text; `exempt`: another, which may be: one of the two is unused, padding or control. */
function difference(a: Uint32Array, i: number, b: Uint32Array, j: number): "text" | "exempt" | null {
  const [high, otherHigh] = [a[i + 1]!, b[j + 1]!];
  if (a[i] === b[j] && ((high ^ otherHigh) & ~EXEMPT_BIT) === 0) return null;
  return ((high | otherHigh) & EXEMPT_BIT) !== 0 ? "exempt" : "text";
}

/** Texts come from a file. */
function shown(text: string): string {
  return JSON.stringify(text.replaceAll(/\p{Cc}|\p{Cs}/gu, "?").slice(0, 40));
}
