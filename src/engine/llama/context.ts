import { assert } from "../../util/assert.ts";
import { EngineError } from "../engine.ts";
import type { Pointer } from "./abi.ts";
import { COMPANION_TOKENS, companionRows, INVARIANT_TOKENS, LlamaBatch } from "./batch.ts";
import { FreeCells, type KvCells, OrderedCells, spareCells } from "./cells.ts";
import { Checkpoints } from "./checkpoints.ts";
import { contextParamsOf } from "./compute.ts";
import { Decoder } from "./decoder.ts";
import { cannotTruncate, closedError, engineError } from "./errors.ts";
import { Histories } from "./histories.ts";
import type { LlamaModel } from "./model.ts";
import { ReplayingDecoder, type Share } from "./replay.ts";

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
  private readonly decoder: Decoder;
  /** null: llama.cpp cuts every sequence back anywhere by itself */
  private readonly replay: ReplayingDecoder | null;
  /** what was added to the next decode, and how much that is */
  private readonly shares: Share[] = [];
  private tokenCount = 0;
  private rowCount = 0;
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
    this.batch = new LlamaBatch(runTokens(model, options), options.sequences);
    this.decoder = new Decoder(model, pointer, cells, this.batch);
    this.replay = this.replayOf(cells);
  }

  /** Recurrent states, and windows that move, are not cut back as attention is. */
  private replayOf(cells: KvCells): ReplayingDecoder | null {
    const { model, pointer, options } = this;
    const { recurrent, slidingWindow } = model;
    const moves = cells instanceof OrderedCells;
    if (!recurrent && !(slidingWindow && moves)) return null;
    const { sequences } = options;
    const { api } = model.library;
    const checkpoints = recurrent ? new Checkpoints(api, pointer, sequences) : null;
    return new ReplayingDecoder(
      this.decoder,
      new Histories(api, this.memory, cells, checkpoints, sequences),
      { grouped: recurrent && isInvariant(model, options), slidingWindow, runTokens: options.batchTokens },
    );
  }

  /** @throws EngineError `no_memory`, `engine_version` */
  static async create(model: LlamaModel, options: ContextOptions): Promise<LlamaContext> {
    const { api } = model.library;
    const { sequences, contextTokens, rows, threads } = options;
    const { kvType = "f16", flashAttn } = model.compute;
    if (isInvariant(model, options) && flashAttn === "off") {
      const message =
        "on a CPU a target needs flash attention: without it a row depends on what else is in the cache; leave flashAttn at auto";
      throw new EngineError("unsupported_option", message);
    }
    const wanted = sequences * contextTokens;
    const batchTokens = Math.min(options.batchTokens, wanted);
    const invariant = isInvariant(model, options);
    // Without order llama.cpp gives away cells that a window has left, and a rollback would look into again.
    const ordered = sequences > 1 && (invariant || model.slidingWindow);
    const runs = runTokens(model, { ...options, batchTokens });
    const cells = paddedCells(wanted + COMPANION_TOKENS + (ordered ? spareCells(wanted) : 0));
    const params = {
      ...api.contextDefaultParams(),
      n_ctx: cells,
      n_batch: runs,
      n_ubatch: invariant ? Math.min(runs, INVARIANT_TOKENS) : runs,
      n_seq_max: ordered ? sequences + 1 : sequences,
      n_outputs_max: Math.max(sequences + 1, rows + companionRows(batchTokens)),
      n_threads: threads,
      n_threads_batch: model.compute.threadsBatch ?? threads,
      ...contextParamsOf(model.compute),
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
      const other =
        kvType === "f16" ? "" : `, or take kvType f16: the model's heads may not divide into ${kvType}`;
      const message = `no memory for ${sequences} KV slots of ${contextTokens} tokens; ask for fewer${other}`;
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
    const most = Math.max(threads, this.model.compute.threadsBatch ?? threads);
    const known = most > 1 || rows < 2 || batchTokens < 2 || contextTokens < 2;
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

  /** Every sequence is cut back without more ado; where it is not, that is best done right after a decode. */
  get cutsBackAnywhere(): boolean {
    return this.replay === null;
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
    const { replay, cells } = this;
    const isCut = replay ? replay.histories.truncate(sequence, length) : cells.drop(sequence, length);
    if (!isCut) {
      this.clear(sequence);
      throw cannotTruncate();
    }
    this.lengths[sequence] = length;
  }

  /** Gives `target`, emptied first, the first `length` tokens of `source`, without computing anything. */
  copy(source: number, target: number, length: number): void {
    assert(source !== target && length <= this.length(source), "a sequence copies a prefix of another");
    this.clear(target);
    if (length === 0) return;
    if (this.replay) this.replay.histories.copy(source, target, length);
    else this.model.library.api.seqCp(this.memory, source, target, 0, length);
    this.lengths[target] = length;
  }

  // A batch: add tokens, decode, read rows

  /**
   * Adds tokens of a sequence to the next decode, after those that it holds.
   * @param rows how many of the last tokens get a row
   * @returns place, among all that is added, of the first token with a row
   */
  add(sequence: number, tokens: Int32Array, rows: number): number {
    this.checkSequence(sequence);
    assert(!this.decoding, "nothing touches a context during a decode");
    const from = this.lengths[sequence]!;
    const { batchTokens, contextTokens } = this.options;
    assert(this.tokenCount + tokens.length <= batchTokens, `a decode has at most ${batchTokens} tokens`);
    assert(from + tokens.length <= contextTokens, `a sequence has at most ${contextTokens} tokens`);
    assert(rows <= tokens.length && this.rowCount + rows <= this.options.rows, "too many rows");
    for (const token of tokens) {
      assert(token >= 0 && token < this.vocabularySize, `there is no token ${token}`);
    }
    this.lengths[sequence] = from + tokens.length;
    this.shares.push({ sequence, from, count: tokens.length, rows, place: this.tokenCount });
    this.tokenCount += tokens.length;
    this.rowCount += rows;
    if (this.replay) this.replay.histories.add(sequence, tokens);
    else this.batch.add(sequence, from, tokens, rows);
    return this.tokenCount - rows;
  }

  /**
   * Decodes what was added, off the event loop.
   * @param done on an error every sequence that was in the batch is empty
   */
  decode(done: (error: EngineError | null) => void): void {
    const something = this.tokenCount > 0 && !this.decoding && this.open;
    assert(something, "there is nothing to decode, or a decode is under way");
    this.decoding = true;
    if (this.replay) {
      const ended = this.replay.decode(this.shares, this.accompanied).then(() => null, engineError);
      void ended.then((error) => this.decoded(error, done));
      return;
    }
    if (this.accompanied) this.batch.accompany();
    this.decoder.run((error) => this.decoded(error, done));
  }

  private decoded(failure: EngineError | null, done: (error: EngineError | null) => void): void {
    this.decoding = false;
    const error = failure ?? this.dropCompanion();
    // No way back to what the sequences held: only a new context helps.
    if (error?.code === "kv_lost") this.closing = true;
    // After an error some of the batch may be in the cache: it is unknown which, so all of it goes.
    if (error) this.abandon();
    this.forgetShares();
    // Before anybody could start the next decode on it.
    if (this.closing) this.free();
    done(this.closing ? closedError() : error);
  }

  private dropCompanion(): EngineError | null {
    if (!this.batch.hasCompanion || this.replay) return null;
    const { sequence } = this.shares.at(-1)!;
    return this.cells.drop(sequence, this.lengths[sequence]!) ? null : cannotTruncate();
  }

  /**
   * The logits after the token that was added at `index` to the last decode, Float32Array[V]; in llama.cpp's own
   * memory: valid until the next decode begins.
   */
  row(index: number): Float32Array {
    assert(!this.decoding && this.open, "rows are read between decodes");
    return this.replay ? this.replay.row(index) : this.decoder.row(index);
  }

  /** Forgets what was added, and what the sequences that it was added to held. */
  abandon(): void {
    for (const sequence of new Set(this.shares.map((share) => share.sequence))) this.clear(sequence);
    this.forgetShares();
  }

  private forgetShares(): void {
    this.batch.clear();
    this.shares.length = 0;
    this.tokenCount = 0;
    this.rowCount = 0;
  }

  /** It takes no more work. */
  get closed(): boolean {
    return this.closing;
  }

  /** Forgets all that a sequence holds. */
  clear(sequence: number): void {
    this.cells.drop(sequence, 0);
    this.replay?.histories.clear(sequence);
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
    this.replay?.histories.close();
    this.model.library.api.contextFree(this.pointer);
    this.model.release();
  }

  private checkSequence(sequence: number): void {
    const known = Number.isInteger(sequence) && sequence >= 0 && sequence < this.options.sequences;
    assert(known && this.open, `there is no sequence ${sequence}`);
  }
}

function isInvariant(model: LlamaModel, { batchInvariant }: ContextOptions): boolean {
  return batchInvariant && model.onCpu;
}

function paddedCells(cells: number): number {
  return Math.ceil(cells / CELL_PADDING) * CELL_PADDING;
}

/** Tokens of one llama_decode, companions included. */
function runTokens(model: LlamaModel, { batchTokens }: ContextOptions): number {
  return (model.recurrent ? Math.max(batchTokens, INVARIANT_TOKENS) : batchTokens) + COMPANION_TOKENS;
}
