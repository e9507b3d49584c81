import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { Pointer } from "./abi.ts";
import { COMPANION_TOKENS, companionRows, INVARIANT_TOKENS, LlamaBatch } from "./batch.ts";
import { FreeCells, type KvCells, OrderedCells, spareCells } from "./cells.ts";
import { DecodeTimes } from "./decode-times.ts";
import type { LlamaModel } from "./model.ts";

export interface ContextOptions {
  readonly sequences: number;
  /** most tokens of one sequence (what a KV slot holds; llama.cpp's word) */
  readonly contextTokens: number;
  /** most tokens of one decode; never more than all sequences hold */
  readonly batchTokens: number;
  /** most rows of one decode */
  readonly rows: number;
  readonly threads: number;
  /**
   * On a CPU a row depends on its own sequence alone, bit for bit: not on what else is in the pass or in the cache, nor
   * on how its tokens were shared out among passes. It costs some speed with long prompts.
   */
  readonly batchInvariant: boolean;
}

const MOST_VIEWS = 512;

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
  private readonly cells: KvCells;
  private readonly batch: LlamaBatch;
  private readonly times = new DecodeTimes();
  /** of rows, by their address: the memory there is llama.cpp's, and read only where it says that a row is there now */
  private readonly views = new Map<Pointer, Float32Array>();
  /** tokens held by each sequence */
  private readonly lengths: number[];
  /**
   * A lone token goes other ways than one among others: through attention where several threads share it, and through
   * matrices of F16, where that also holds for a lone row of many tokens. So it gets company.
   */
  private accompanied = false;
  private decoding = false;
  private closing = false;
  private open = true;

  private constructor(model: LlamaModel, options: ContextOptions, pointer: Pointer, cells: KvCells) {
    this.model = model;
    this.options = options;
    this.vocabularySize = model.vocabularySize;
    this.pointer = pointer;
    this.memory = model.library.api.getMemory(pointer);
    this.cells = cells;
    this.lengths = new Array<number>(options.sequences).fill(0);
    this.batch = new LlamaBatch(options.batchTokens + COMPANION_TOKENS, options.sequences);
  }

  /** @throws EngineError `no_memory`, `engine_version` */
  static async create(model: LlamaModel, options: ContextOptions): Promise<LlamaContext> {
    const { api } = model.library;
    const { sequences, contextTokens, rows, threads } = options;
    const wanted = sequences * contextTokens;
    const batchTokens = Math.min(options.batchTokens, wanted);
    const invariant = isInvariant(model, options);
    // What is moved of a sliding window is only what the last token sees: too little after a rollback.
    const ordered = invariant && sequences > 1 && !model.slidingWindow;
    const cells = paddedCells(wanted + COMPANION_TOKENS + (ordered ? spareCells(wanted) : 0));
    const params = {
      ...api.contextDefaultParams(),
      n_ctx: cells,
      n_batch: batchTokens + COMPANION_TOKENS,
      n_ubatch: invariant
        ? Math.min(batchTokens + COMPANION_TOKENS, INVARIANT_TOKENS)
        : batchTokens + COMPANION_TOKENS,
      n_seq_max: ordered ? sequences + 1 : sequences,
      n_outputs_max: Math.max(sequences + 1, rows + companionRows(batchTokens)),
      n_threads: threads,
      n_threads_batch: threads,
      no_perf: true,
      // One cache for all sequences: a partial copy between separate ones aborts, and sequences that get different
      // numbers of tokens would be decoded one after another. A single one is cheaper without.
      kv_unified: sequences > 1,
      swa_full: true,
      ...(model.onCpu ? { op_offload: false } : {}),
    };
    // Held from here on: the model must not be freed while its context is being made.
    model.retain();
    const pointer = await new Promise<Pointer | null>((resolve) => {
      api.contextInit.async(model.pointer, params, (error, made) => resolve(error ? null : made));
    });
    if (pointer === null) {
      model.release();
      const message = `no memory for ${sequences} KV slots of ${contextTokens} tokens; ask for fewer`;
      throw new EngineError("no_memory", message);
    }
    // Distinctive numbers that come back as they went in: the layout of the structures is the library's.
    const back = [api.nCtx(pointer), api.nBatch(pointer), api.nSeqMax(pointer)].join(", ");
    const given = [cells, params.n_batch, params.n_seq_max].join(", ");
    if (back !== given) {
      api.contextFree(pointer);
      model.release();
      const message = `llama.cpp ${model.library.version} understood ${back} for ${given}: its structures are not those that PicoSpec was made for`;
      throw new EngineError("engine_version", message);
    }
    const places = ordered
      ? new OrderedCells(api, pointer, { sequences, cells })
      : new FreeCells(api, api.getMemory(pointer));
    const context = new LlamaContext(model, { ...options, batchTokens }, pointer, places);
    if (invariant) await context.decideOnCompany();
    return context;
  }

  private async decideOnCompany(): Promise<void> {
    const { threads, rows, batchTokens, contextTokens } = this.options;
    const known = threads > 1 || rows < 2 || batchTokens < 2 || contextTokens < 2;
    try {
      this.accompanied = known || (await this.lonelinessShows());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whether a token decoded alone has another row than beside another one: that is up to the weights and the CPU. */
  private async lonelinessShows(): Promise<boolean> {
    const tokens = Int32Array.of(Math.floor(this.vocabularySize / 3), Math.floor(this.vocabularySize / 2));
    const rowAfter = async (part: Int32Array) => {
      const index = this.add(0, part, part.length);
      await new Promise<void>((resolve, reject) =>
        this.decode((error) => (error ? reject(error) : resolve())),
      );
      return this.row(index + part.length - 1).slice();
    };
    const together = await rowAfter(tokens);
    this.clear(0);
    await rowAfter(tokens.subarray(0, 1));
    const alone = await rowAfter(tokens.subarray(1));
    this.clear(0);
    return alone.some((score, i) => score !== together[i]);
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
    if (!this.cells.drop(sequence, length)) {
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
    assert(
      this.batch.tokenCount + tokens.length <= batchTokens,
      `a decode has at most ${batchTokens} tokens`,
    );
    assert(from + tokens.length <= contextTokens, `a sequence has at most ${contextTokens} tokens`);
    assert(rows <= tokens.length && this.batch.rowCount + rows <= this.options.rows, "too many rows");
    for (const token of tokens) {
      assert(token >= 0 && token < this.vocabularySize, `there is no token ${token}`);
    }
    this.lengths[sequence] = from + tokens.length;
    return this.batch.add(sequence, from, tokens, rows);
  }

  /**
   * Decodes what was added, off the event loop.
   * @param done on an error every sequence that was in the batch is empty
   */
  decode(done: (error: EngineError | null) => void): void {
    const { batch } = this;
    const something = batch.tokenCount > 0 && !this.decoding && this.open;
    assert(something, "there is nothing to decode, or a decode is under way");
    this.decoding = true;
    if (this.accompanied) batch.accompany();
    this.cells.makeRoom(batch.native.n_tokens, (crowded) => {
      if (crowded) this.decoded(crowded, done);
      else this.decodeAndWait((error, code) => this.decoded(decodeError(error, code), done));
    });
  }

  private decoded(failure: EngineError | null, done: (error: EngineError | null) => void): void {
    const { batch } = this;
    this.decoding = false;
    // No way back to what the sequences held: only a new context helps.
    if (failure?.code === "kv_lost") this.closing = true;
    const last = batch.sequenceOf(batch.tokenCount - 1);
    // After an error some of the batch may be in the cache: it is unknown which, so all of it goes.
    if (failure) this.abandon();
    else if (batch.hasCompanion) this.cells.drop(last, this.lengths[last]!);
    batch.clear();
    // Before anybody could start the next decode on it.
    if (this.closing) this.free();
    done(this.closing ? closedError() : failure);
  }

  private decodeAndWait(done: (error: unknown, code: number) => void): void {
    const tokens = this.batch.native.n_tokens;
    const startMs = performance.now();
    const timed = (error: unknown, code: number) => {
      this.times.note(tokens, performance.now() - startMs);
      done(error, code);
    };
    if (this.model.onCpu && this.times.isShort(tokens)) this.decodeHere(timed);
    else this.decodeElsewhere(timed);
  }

  /** On the event loop, with a turn of it before and one after: what has come meanwhile is heard before the end of the decode. */
  private decodeHere(done: (error: unknown, code: number) => void): void {
    const { api } = this.model.library;
    setImmediate(() => {
      let [failure, code]: [unknown, number] = [null, 0];
      try {
        code = api.decode(this.pointer, this.batch.native);
      } catch (error) {
        failure = error;
      }
      setImmediate(() => done(failure, code));
    });
  }

  /** On a GPU llama_decode only queues the work: without the second call the event loop would wait for it. */
  private decodeElsewhere(done: (error: unknown, code: number) => void): void {
    const { api, usesGpu } = this.model.library;
    api.decode.async(this.pointer, this.batch.native, (error, code) => {
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
    const known = this.views.get(pointer);
    if (known) return known;
    // Each view counts as memory of its size until it is collected: made anew for each row, they have V8 collect all the time.
    if (this.views.size === MOST_VIEWS) this.views.clear();
    const view = new Float32Array(koffi.view(pointer, 4 * this.vocabularySize));
    this.views.set(pointer, view);
    return view;
  }

  /** Forgets what was added, and what the sequences that it was added to held. */
  abandon(): void {
    const sequences = new Set<number>();
    for (let i = 0; i < this.batch.tokenCount; i++) sequences.add(this.batch.sequenceOf(i));
    for (const sequence of sequences) this.clear(sequence);
    this.batch.clear();
  }

  /** It takes no more work. */
  get closed(): boolean {
    return this.closing;
  }

  /** Forgets all that a sequence holds. */
  clear(sequence: number): void {
    this.cells.drop(sequence, 0);
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

function isInvariant(model: LlamaModel, { batchInvariant }: ContextOptions): boolean {
  return batchInvariant && model.onCpu;
}

function paddedCells(cells: number): number {
  return Math.ceil(cells / CELL_PADDING) * CELL_PADDING;
}

function decodeError(error: unknown, code: number): EngineError | null {
  if (!error && code === 0) return null;
  const reason = error ? messageOf(error) : code === 1 ? "no room in the KV" : `llama_decode gave ${code}`;
  return new EngineError("decode_failed", `the model could not go on: ${reason}`);
}
