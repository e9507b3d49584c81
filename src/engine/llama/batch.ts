import koffi from "koffi";
import type { Batch } from "./abi.ts";

/** From 64 tokens on llama.cpp takes another way through attention on a CPU, with other roundings. */
export const INVARIANT_TOKENS = 63;
/** Tokens that `accompany` adds at most. */
export const COMPANION_TOKENS = 1;

/** The tokens of one decode, of several sequences. Its arrays stay where they are as long as it lives. */
export class LlamaBatch {
  readonly native: Batch;
  private readonly tokens: Int32Array;
  private readonly positions: Int32Array;
  private readonly counts: Int32Array;
  private readonly sequenceIds: Int32Array;
  private readonly sequencePointers: BigUint64Array;
  private readonly wanted: Int8Array;
  private readonly firstSequenceId: bigint;
  /** tokens that were added, companions not counted */
  private size = 0;
  private companions = 0;

  /** @param mostTokens companions included */
  constructor(mostTokens: number, sequences: number) {
    this.tokens = fixed(Int32Array, mostTokens);
    this.positions = fixed(Int32Array, mostTokens);
    this.counts = fixed(Int32Array, mostTokens).fill(1);
    this.wanted = fixed(Int8Array, mostTokens);
    this.sequenceIds = fixed(Int32Array, sequences);
    for (let id = 0; id < sequences; id++) this.sequenceIds[id] = id;
    this.sequencePointers = fixed(BigUint64Array, mostTokens);
    this.firstSequenceId = koffi.address(this.sequenceIds);
    this.native = {
      n_tokens: 0,
      token: koffi.address(this.tokens),
      embd: null,
      pos: koffi.address(this.positions),
      n_seq_id: koffi.address(this.counts),
      seq_id: koffi.address(this.sequencePointers),
      logits: koffi.address(this.wanted),
    };
  }

  /** Whether `accompany` added a token: one more of the last token's sequence. */
  get hasCompanion(): boolean {
    return this.companions > 0;
  }

  /**
   * Adds tokens of a sequence at positions from, from + 1, …
   * @param rows how many of the last ones get a row
   * @returns index of the first token with a row
   */
  add(sequence: number, from: number, tokens: Int32Array, rows: number): number {
    const pointer = this.firstSequenceId + BigInt(4 * sequence);
    for (const [i, token] of tokens.entries()) {
      const index = this.size + i;
      this.tokens[index] = token;
      this.positions[index] = from + i;
      this.sequencePointers[index] = pointer;
      this.wanted[index] = i >= tokens.length - rows ? 1 : 0;
    }
    this.size += tokens.length;
    this.native.n_tokens = this.size;
    return this.size - rows;
  }

  /** Nothing is left alone: neither the last token in its group of 63, nor a row in its group. */
  accompany(): void {
    const { size } = this;
    if (size % INVARIANT_TOKENS === 1) {
      this.tokens[size] = this.tokens[size - 1]!;
      this.positions[size] = this.positions[size - 1]! + 1;
      this.sequencePointers[size] = this.sequencePointers[size - 1]!;
      this.wanted[size] = 0;
      this.companions = COMPANION_TOKENS;
      this.native.n_tokens = size + COMPANION_TOKENS;
    }
    const tokens = this.native.n_tokens;
    for (let at = 0; at < tokens; at += INVARIANT_TOKENS) {
      const group = this.wanted.subarray(at, Math.min(tokens, at + INVARIANT_TOKENS));
      const row = group.indexOf(1);
      if (row >= 0 && row === group.lastIndexOf(1)) group[row === 0 ? 1 : row - 1] = 1;
    }
  }

  clear(): void {
    this.size = 0;
    this.companions = 0;
    this.native.n_tokens = 0;
  }
}

/** Rows that `accompany` adds at most. */
export function companionRows(tokens: number): number {
  return Math.ceil((tokens + COMPANION_TOKENS) / INVARIANT_TOKENS);
}

/** An array outside of V8's heap, whose address does not change: small ones live inside it otherwise. */
function fixed<T>(Type: { new (buffer: ArrayBuffer): T; BYTES_PER_ELEMENT: number }, length: number): T {
  return new Type(new ArrayBuffer(length * Type.BYTES_PER_ELEMENT));
}
