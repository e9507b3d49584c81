import { assert } from "../../util/assert.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import type { LlamaApi, Pointer } from "./abi.ts";
import type { KvCells } from "./cells.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { cannotTruncate } from "./errors.ts";

/** From this many on, tokens that are to be computed again get a decode of their own, and a checkpoint after it. */
const REPLAYED_TOKENS = 8;
const NOTHING = -1;

/** A sequence that is further back, or further on, than what llama.cpp holds of it. */
class History {
  /** what the sequence is to hold */
  readonly tokens = new TokenBuffer();
  /** tokens that llama.cpp holds */
  held = 0;
  /** of those the first ones that are still the sequence's own */
  own = 0;
  /** it cannot be cut back to less: of a sliding window the rest is gone */
  floor = 0;
}

/**
 * The way back for models that llama.cpp cannot cut back at any place. A recurrent state has no earlier positions: it is
 * put back to a checkpoint, and what came since is computed again, together with the next tokens. A sliding window that
 * was moved has lost what it no longer showed: before that the sequence is computed from its beginning. Nothing of this
 * happens until the sequence is in a decode.
 */
export class Histories {
  private readonly api: LlamaApi;
  private readonly memory: Pointer;
  private readonly cells: KvCells;
  /** null: the model is not recurrent */
  private readonly checkpoints: Checkpoints | null;
  private readonly sequences: History[];

  constructor(
    api: LlamaApi,
    memory: Pointer,
    cells: KvCells,
    checkpoints: Checkpoints | null,
    sequences: number,
  ) {
    this.api = api;
    this.memory = memory;
    this.cells = cells;
    this.checkpoints = checkpoints;
    this.sequences = Array.from({ length: sequences }, () => new History());
  }

  /** Tokens at `length` and past it are void. @returns false: llama.cpp keeps them, and the sequence is of no use */
  truncate(sequence: number, length: number): boolean {
    const history = this.sequences[sequence]!;
    history.tokens.truncate(length);
    history.own = Math.min(history.own, length);
    // At once where that costs nothing: a window that moves meanwhile would show the void tokens.
    if (this.checkpoints || history.own < history.floor || history.own === history.held) return true;
    if (!this.cells.drop(sequence, history.own)) return false;
    history.held = history.own;
    return true;
  }

  /** It holds nothing. */
  clear(sequence: number): void {
    this.sequences[sequence] = new History();
    this.checkpoints?.forget(sequence, NOTHING);
  }

  /** `target` is empty, and is to hold the first `length` tokens of `source`: what can be shared is. */
  copy(source: number, target: number, length: number): void {
    const [from, to] = [this.sequences[source]!, this.sequences[target]!];
    assert(to.held === 0, "only an empty sequence gets a copy");
    for (const token of from.tokens.view(0, length)) to.tokens.push(token);
    const shared = Math.min(length, from.own);
    // A recurrent state is copied as a whole or not at all.
    const whole = from.own === from.held && from.held <= length;
    if (shared === 0 || shared < from.floor || (this.checkpoints && !whole)) return;
    this.api.seqCp(this.memory, source, target, 0, this.checkpoints ? -1 : shared);
    Object.assign(to, { held: shared, own: shared, floor: from.floor });
  }

  add(sequence: number, tokens: Int32Array): void {
    for (const token of tokens) this.sequences[sequence]!.tokens.push(token);
  }

  /** What of a sequence is still to be computed before `end`, and where that begins. */
  missing(sequence: number, end: number): { readonly from: number; readonly tokens: Int32Array } {
    const { held, tokens } = this.sequences[sequence]!;
    return { from: held, tokens: tokens.slice(held, end) };
  }

  /** So much is to be computed again that it is done first. */
  isBehind(sequence: number, end: number): boolean {
    return end - this.sequences[sequence]!.held >= REPLAYED_TOKENS;
  }

  /** The state goes back to where it agrees with the sequence. @throws EngineError `cannot_truncate`, `decode_failed` */
  async goBack(sequence: number): Promise<void> {
    const history = this.sequences[sequence]!;
    const { own, held, floor } = history;
    if (own === held) return;
    const to = this.checkpoints ? this.checkpoints.latest(sequence, own) : own;
    this.checkpoints?.forget(sequence, own);
    if (to <= 0 || to < floor) {
      if (!this.cells.drop(sequence, 0)) throw cannotTruncate();
      this.checkpoints?.forget(sequence, NOTHING);
      Object.assign(history, { held: 0, own: 0, floor: 0 });
      return;
    }
    // Of the attention layers all from there on, of the recurrent ones the state itself.
    this.cells.park(sequence, to);
    await this.checkpoints?.restore(sequence, to);
    if (!this.api.seqRm(this.memory, sequence, to, -1)) throw cannotTruncate();
    Object.assign(history, { held: to, own: to });
  }

  /** Keeps the state as it is, if it is to be gone back to. @param soon the next tokens may be taken back */
  async keep(sequence: number, soon: boolean): Promise<void> {
    const { held } = this.sequences[sequence]!;
    const last = this.checkpoints?.latest(sequence, held) ?? held;
    const due = soon ? last < held : held - last >= REPLAYED_TOKENS;
    if (held > 0 && due) await this.checkpoints?.save(sequence, held);
  }

  /** llama.cpp holds `end` tokens of a sequence now. @param void_ of them at the end, which are to be dropped */
  computed(sequence: number, end: number, void_: number): void {
    Object.assign(this.sequences[sequence]!, { held: end + void_, own: end });
  }

  /** What is in use has moved, and of a sliding window only what it shows has come along. */
  windowsMoved(): void {
    for (const history of this.sequences) history.floor = history.held;
  }

  close(): void {
    this.checkpoints?.close();
  }
}
