import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { Batch, Pointer } from "./abi.ts";
import type { LlamaModel } from "./model.ts";

export interface ContextOptions {
  readonly sequences: number;
  /** most tokens of one sequence */
  readonly contextTokens: number;
  /** most tokens of one decode; never more than all sequences hold */
  readonly batchTokens: number;
  /** most rows of one decode */
  readonly rows: number;
  readonly threads: number;
}

/** llama.cpp rounds its cells up to a multiple of this. */
const CELL_PADDING = 256;

/**
 * KV and compute buffers over a model: several sequences in one unified cache. What can make llama.cpp abort the
 * process (too many tokens, rows or sequences, positions with gaps) is checked here first, so that it is an
 * error of ours and not the end of the server.
 */
export class LlamaContext {
  readonly options: ContextOptions;
  readonly vocabularySize: number;
  private readonly model: LlamaModel;
  private readonly pointer: Pointer;
  private readonly memory: Pointer;
  /** tokens held by each sequence */
  private readonly lengths: number[];
  // The arrays of the one batch: they stay where they are as long as the context lives.
  private readonly tokens: Int32Array;
  private readonly positions: Int32Array;
  private readonly counts: Int32Array;
  private readonly sequenceIds: Int32Array;
  private readonly sequencePointers: BigUint64Array;
  private readonly wanted: Int8Array;
  private readonly firstSequenceId: bigint;
  private readonly batch: Batch;
  private size = 0;
  private rows = 0;
  private decoding = false;
  private closing = false;
  private open = true;

  private constructor(model: LlamaModel, options: ContextOptions, pointer: Pointer) {
    this.model = model;
    this.options = options;
    this.vocabularySize = model.vocabularySize;
    this.pointer = pointer;
    this.memory = model.library.api.getMemory(pointer);
    this.lengths = new Array<number>(options.sequences).fill(0);
    const { batchTokens, sequences } = options;
    this.tokens = fixed(Int32Array, batchTokens);
    this.positions = fixed(Int32Array, batchTokens);
    this.counts = fixed(Int32Array, batchTokens).fill(1);
    this.wanted = fixed(Int8Array, batchTokens);
    this.sequenceIds = fixed(Int32Array, sequences);
    for (let id = 0; id < sequences; id++) this.sequenceIds[id] = id;
    this.sequencePointers = fixed(BigUint64Array, batchTokens);
    this.firstSequenceId = koffi.address(this.sequenceIds);
    this.batch = {
      n_tokens: 0,
      token: koffi.address(this.tokens),
      embd: null,
      pos: koffi.address(this.positions),
      n_seq_id: koffi.address(this.counts),
      seq_id: koffi.address(this.sequencePointers),
      logits: koffi.address(this.wanted),
    };
  }

  /** @throws EngineError `no_memory`, `engine_version` */
  static async create(model: LlamaModel, options: ContextOptions): Promise<LlamaContext> {
    const { api } = model.library;
    const { sequences, contextTokens, rows, threads } = options;
    const cells = Math.ceil((sequences * contextTokens) / CELL_PADDING) * CELL_PADDING;
    const batchTokens = Math.min(options.batchTokens, cells);
    const params = {
      ...api.contextDefaultParams(),
      n_ctx: cells,
      n_batch: batchTokens,
      n_ubatch: batchTokens,
      n_seq_max: sequences,
      n_outputs_max: Math.max(sequences, rows),
      n_threads: threads,
      n_threads_batch: threads,
      no_perf: true,
      // One cache for all sequences: a partial copy between separate ones aborts. A single one is cheaper without.
      kv_unified: sequences > 1,
      swa_full: true,
    };
    // Held from here on: the model must not be freed while its context is being made.
    model.retain();
    const pointer = await new Promise<Pointer | null>((resolve) => {
      api.contextInit.async(model.pointer, params, (error, made) => resolve(error ? null : made));
    });
    if (pointer === null) {
      model.release();
      const message = `no memory for ${sequences} sequences of ${contextTokens} tokens; ask for fewer`;
      throw new EngineError("no_memory", message);
    }
    // Distinctive numbers that come back as they went in: the layout of the structures is the library's.
    const back = [api.nCtx(pointer), api.nBatch(pointer), api.nSeqMax(pointer)];
    if (back[0] !== cells || back[1] !== batchTokens || back[2] !== sequences) {
      api.contextFree(pointer);
      model.release();
      const message = `llama.cpp ${model.library.version} understood ${back.join(", ")} for ${cells}, ${batchTokens}, ${sequences}: its structures are not those that PicoSpec was made for`;
      throw new EngineError("engine_version", message);
    }
    return new LlamaContext(model, { ...options, batchTokens }, pointer);
  }

  /** Tokens that a sequence holds. */
  length(sequence: number): number {
    this.checkSequence(sequence);
    return this.lengths[sequence]!;
  }

  /**
   * Drops what a sequence holds at `length` and past it.
   * @throws EngineError `cannot_truncate`
   */
  truncate(sequence: number, length: number): void {
    this.checkSequence(sequence);
    assert(!this.decoding, "nothing touches a context during a decode");
    if (this.lengths[sequence]! <= length) return;
    if (!this.model.library.api.seqRm(this.memory, sequence, length, -1)) {
      this.clear(sequence);
      throw new EngineError("cannot_truncate", "this model's state cannot be rolled back");
    }
    this.lengths[sequence] = length;
  }

  /** Gives `target`, emptied first, the first `length` tokens of `source`, without computing anything. */
  copy(source: number, target: number, length: number): void {
    assert(source !== target && length <= this.length(source), "a sequence copies a prefix of another");
    this.truncate(target, 0);
    if (length === 0) return;
    this.model.library.api.seqCp(this.memory, source, target, 0, length);
    this.lengths[target] = length;
  }

  // A batch: add tokens, decode, read rows

  /**
   * Adds tokens of a sequence to the next decode, after those that it holds.
   * @param rows how many of the last tokens get a row
   * @returns index in the batch of the first token with a row
   */
  add(sequence: number, tokens: Int32Array, rows: number): number {
    this.checkSequence(sequence);
    assert(!this.decoding, "nothing touches a context during a decode");
    const from = this.lengths[sequence]!;
    const { batchTokens, contextTokens } = this.options;
    assert(this.size + tokens.length <= batchTokens, `a decode has at most ${batchTokens} tokens`);
    assert(from + tokens.length <= contextTokens, `a sequence has at most ${contextTokens} tokens`);
    assert(rows <= tokens.length && this.rows + rows <= this.options.rows, "too many rows");
    const pointer = this.firstSequenceId + BigInt(4 * sequence);
    for (const [i, token] of tokens.entries()) {
      assert(token >= 0 && token < this.vocabularySize, `there is no token ${token}`);
      const index = this.size + i;
      this.tokens[index] = token;
      this.positions[index] = from + i;
      this.sequencePointers[index] = pointer;
      this.wanted[index] = i >= tokens.length - rows ? 1 : 0;
    }
    this.size += tokens.length;
    this.rows += rows;
    this.lengths[sequence] = from + tokens.length;
    return this.size - rows;
  }

  /**
   * Decodes what was added, off the event loop.
   * @param done on an error every sequence that was in the batch is empty
   */
  decode(done: (error: EngineError | null) => void): void {
    assert(
      this.size > 0 && !this.decoding && this.open,
      "there is nothing to decode, or a decode is under way",
    );
    this.decoding = true;
    this.batch.n_tokens = this.size;
    this.decodeAndWait((error, code) => {
      this.decoding = false;
      // After an error some of the batch may be in the cache: nobody could say what, so all of it goes.
      const failure = error || code !== 0 ? decodeError(error, code) : null;
      if (failure) this.abandon();
      this.size = 0;
      this.rows = 0;
      // Before anybody could start the next decode on it.
      if (this.closing) this.free();
      done(this.closing ? closedError() : failure);
    });
  }

  /** On a GPU llama_decode only queues the work: without the second call the event loop would wait for it. */
  private decodeAndWait(done: (error: unknown, code: number) => void): void {
    const { api, usesGpu } = this.model.library;
    api.decode.async(this.pointer, this.batch, (error, code) => {
      if (error || !usesGpu) done(error, code);
      else api.synchronize.async(this.pointer, (failed) => done(failed, code));
    });
  }

  /**
   * The logits after token `index` of the last batch, Float32Array[V], in llama.cpp's own memory: valid until
   * the next decode begins.
   */
  row(index: number): Float32Array {
    assert(!this.decoding && this.open, "rows are read between decodes");
    const pointer = this.model.library.api.logitsAt(this.pointer, index);
    assert(pointer !== null, `token ${index} of the batch has no row`);
    return new Float32Array(koffi.view(pointer, 4 * this.vocabularySize));
  }

  /** Forgets what was added, and what the sequences that it was added to held. */
  abandon(): void {
    for (let i = 0; i < this.size; i++) {
      this.clear(Number((this.sequencePointers[i]! - this.firstSequenceId) / 4n));
    }
    this.size = 0;
    this.rows = 0;
  }

  /** It takes no more work. */
  get closed(): boolean {
    return this.closing;
  }

  /** Forgets all that a sequence holds. */
  clear(sequence: number): void {
    this.model.library.api.seqRm(this.memory, sequence, -1, -1);
    this.lengths[sequence] = 0;
  }

  /** Frees it, after a decode that is under way. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    if (!this.decoding) this.free();
  }

  private free(): void {
    if (!this.open) return;
    this.open = false;
    this.model.library.api.contextFree(this.pointer);
    this.model.release();
  }

  private checkSequence(sequence: number): void {
    const known = Number.isInteger(sequence) && sequence >= 0 && sequence < this.options.sequences;
    assert(known && this.open, `there is no sequence ${sequence}`);
  }
}

export function closedError(): EngineError {
  return new EngineError("closed", "the model was closed");
}

function decodeError(error: unknown, code: number): EngineError {
  const reason = error ? messageOf(error) : code === 1 ? "no room in the KV" : `llama_decode gave ${code}`;
  return new EngineError("decode_failed", `the model could not go on: ${reason}`);
}

/** An array outside of V8's heap, whose address does not change: small ones live inside it otherwise. */
function fixed<T>(Type: { new (buffer: ArrayBuffer): T; BYTES_PER_ELEMENT: number }, length: number): T {
  return new Type(new ArrayBuffer(length * Type.BYTES_PER_ELEMENT));
}
