import { assert } from "../../util/assert.ts";

/** Prompt lookup: a drafter without a model, since texts repeat themselves. */

export interface LookupOptions {
  /** fewest tokens that must agree; also what is hashed */
  readonly leastMatch: number;
  /** the longest run of tokens that is looked up: of occurrences that agree in as many the most recent counts */
  readonly mostMatch: number;
  /** how far back the agreement of the chosen occurrence is counted */
  readonly mostAgreeing: number;
  /** how many earlier occurrences of the last `leastMatch` tokens are looked at, the most recent ones */
  readonly mostOccurrences: number;
}

export const LOOKUP: LookupOptions = { leastMatch: 2, mostMatch: 16, mostAgreeing: 64, mostOccurrences: 256 };

export interface LookupProposal {
  readonly token: number;
  /** how many tokens before it agree with those at the earlier occurrence: leastMatch to mostAgreeing */
  readonly matched: number;
}

const NONE = -1;
const FEWEST_SLOTS = 256;

/**
 * Proposes what followed the longest earlier occurrence of the text's last tokens, the most recent of equals.
 * A. Saxena, "Prompt lookup decoding", 2023 (https://github.com/apoorvumang/prompt-lookup-decoding); the search
 * is by the hash chains of LZ77 coders (RFC 1951, section 4).
 *
 * `append` and `truncate` take O(1) a token, amortised. `propose` takes O(mostOccurrences * mostMatch), and a few
 * steps in texts that do repeat. At most 24 bytes a token of the longest text held, which the session's context
 * bounds: tokens and links at twice the length, and up to two slots a token.
 */
export class PromptLookup {
  private readonly options: LookupOptions;
  private tokens = new Int32Array(FEWEST_SLOTS);
  private count = 0;
  /** by length n of a text: the longest shorter length whose last `leastMatch` tokens hash as those before n */
  private earlier = new Int32Array(FEWEST_SLOTS + 1);
  /** by hash of `leastMatch` tokens: the length of the longest text that ends in them. A power of two of slots */
  private latest = new Int32Array(FEWEST_SLOTS).fill(NONE);

  constructor(options: LookupOptions = LOOKUP) {
    const { leastMatch, mostMatch, mostAgreeing, mostOccurrences } = options;
    assert(1 <= leastMatch && leastMatch <= mostMatch && mostMatch <= mostAgreeing, "matches of no length");
    assert(mostOccurrences >= 1, "nothing could be looked up");
    this.options = options;
  }

  get length(): number {
    return this.count;
  }

  append(token: number): void {
    if (this.count === this.tokens.length) this.grow();
    this.tokens[this.count++] = token;
    this.link(this.count);
  }

  /** Forgets everything at or past `length`, as if it had never been appended. */
  truncate(length: number): void {
    assert(length >= 0 && length <= this.count, `cannot truncate ${this.count} tokens to ${length}`);
    // Last in, first out: each slot gets back what it held before.
    for (; this.count > length; this.count--) {
      if (this.count >= this.options.leastMatch) {
        this.latest[this.slot(this.count)] = this.earlier[this.count]!;
      }
    }
  }

  /** The token that should come next by what came before; null when the last tokens are new. */
  propose(): LookupProposal | null {
    const { leastMatch, mostMatch, mostAgreeing, mostOccurrences } = this.options;
    if (this.count < leastMatch) return null;
    let matched = 0;
    let found = NONE;
    let occurrences = 0;
    for (let end = this.earlier[this.count]!; end !== NONE; end = this.earlier[end]!) {
      const agreeing = this.agreement(end, mostMatch);
      // Another run of tokens may have the same hash.
      if (agreeing < leastMatch) continue;
      if (agreeing > matched) [matched, found] = [agreeing, end];
      if (matched === mostMatch || ++occurrences === mostOccurrences) break;
    }
    if (found === NONE) return null;
    return { token: this.tokens[found]!, matched: this.agreement(found, mostAgreeing) };
  }

  /**
   * @param sequence that it looks into, Int32Array[n]
   * @throws AssertionError where it holds anything else
   */
  checkIntegrity(sequence: Int32Array): void {
    const { count } = this;
    assert(count <= sequence.length, `prompt lookup holds ${count} of ${sequence.length} tokens`);
    for (let i = 0; i < count; i++) {
      assert(this.tokens[i] === sequence[i], `prompt lookup holds another token at ${i}`);
      const earlier = this.earlier[i]!;
      assert(i < this.options.leastMatch || earlier < i, `prompt lookup goes round in a circle at ${i}`);
    }
  }

  /** How many tokens before `end` are those before the end of the text, counted up to `limit`. */
  private agreement(end: number, limit: number): number {
    const { tokens, count } = this;
    const most = Math.min(limit, end);
    let agreeing = 0;
    while (agreeing < most && tokens[end - 1 - agreeing] === tokens[count - 1 - agreeing]) agreeing++;
    return agreeing;
  }

  private link(length: number): void {
    if (length < this.options.leastMatch) return;
    const slot = this.slot(length);
    this.earlier[length] = this.latest[slot]!;
    this.latest[slot] = length;
  }

  /** FNV-1a over the last `leastMatch` tokens before `length`, its upper bits mixed into the lower ones. */
  private slot(length: number): number {
    let hash = 0x811c9dc5;
    for (let i = length - this.options.leastMatch; i < length; i++) {
      hash = Math.imul(hash ^ this.tokens[i]!, 0x01000193);
    }
    return (hash ^ (hash >>> 15)) & (this.latest.length - 1);
  }

  /** Twice the room. The chains are the same ones, but for runs that no longer share a slot. */
  private grow(): void {
    const size = this.tokens.length * 2;
    const tokens = new Int32Array(size);
    tokens.set(this.tokens);
    this.tokens = tokens;
    this.earlier = new Int32Array(size + 1);
    this.latest = new Int32Array(size).fill(NONE);
    for (let length = 1; length <= this.count; length++) this.link(length);
  }
}
