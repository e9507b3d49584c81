import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { Pointer } from "./abi.ts";
import type { LlamaBatch } from "./batch.ts";
import type { KvCells } from "./cells.ts";
import { DecodeTimes } from "./decode-times.ts";
import type { LlamaModel } from "./model.ts";

/** Views of rows that are kept: as many as there are places for rows, about. */
const MOST_VIEWS = 512;

/** Decodes what is in a batch: off the event loop, unless it is known to be short. */
export class Decoder {
  readonly batch: LlamaBatch;
  readonly cells: KvCells;
  private readonly model: LlamaModel;
  private readonly pointer: Pointer;
  private readonly times = new DecodeTimes();
  /** of rows, by their address: the memory there is llama.cpp's, and read only where it says that a row is there now */
  private readonly views = new Map<Pointer, Float32Array>();

  constructor(model: LlamaModel, pointer: Pointer, cells: KvCells, batch: LlamaBatch) {
    this.model = model;
    this.pointer = pointer;
    this.cells = cells;
    this.batch = batch;
  }

  run(done: (error: EngineError | null) => void): void {
    this.cells.makeRoom(this.batch.native.n_tokens, (crowded) => {
      if (crowded) done(crowded);
      else this.decodeAndWait((error, code) => done(decodeError(error, code)));
    });
  }

  /** The logits after token `index` of the batch, Float32Array[V], in llama.cpp's own memory until the next decode. */
  row(index: number): Float32Array {
    const pointer = this.model.library.api.logitsAt(this.pointer, index);
    assert(pointer !== null, `token ${index} of the batch has no row`);
    const known = this.views.get(pointer);
    if (known) return known;
    // Each view counts as memory of its size until it is collected: made anew for each row, they have V8 collect all the time.
    if (this.views.size === MOST_VIEWS) this.views.clear();
    const view = new Float32Array(koffi.view(pointer, 4 * this.model.vocabularySize));
    this.views.set(pointer, view);
    return view;
  }

  private decodeAndWait(done: (error: unknown, code: number) => void): void {
    const isShort = this.model.onCpu && this.times.isShort(this.batch.native.n_tokens);
    if (isShort) this.decodeHere(done);
    else this.decodeElsewhere(done);
  }

  /** On the event loop, with a turn of it before and one after: what has come meanwhile is heard before the end of the decode. */
  private decodeHere(done: (error: unknown, code: number) => void): void {
    const { api } = this.model.library;
    setImmediate(() => {
      let [failure, code]: [unknown, number] = [null, 0];
      const startMs = performance.now();
      try {
        code = api.decode(this.pointer, this.batch.native);
      } catch (error) {
        failure = error;
      }
      this.times.note(this.batch.native.n_tokens, performance.now() - startMs);
      setImmediate(() => done(failure, code));
    });
  }

  /** On a GPU llama_decode only queues the work: without the second call the event loop would wait for it. */
  private decodeElsewhere(done: (error: unknown, code: number) => void): void {
    const { api, usesGpu } = this.model.library;
    const tokens = this.batch.native.n_tokens;
    const startMs = performance.now();
    api.decode.async(this.pointer, this.batch.native, (error, code) => {
      this.times.note(tokens, performance.now() - startMs);
      if (error || !usesGpu) done(error, code);
      else api.synchronize.async(this.pointer, (failed) => done(failed, code));
    });
  }
}

function decodeError(error: unknown, code: number): EngineError | null {
  if (!error && code === 0) return null;
  const reason = error ? messageOf(error) : code === 1 ? "no room in the KV" : `llama_decode gave ${code}`;
  return new EngineError("decode_failed", `the model could not go on: ${reason}`);
}
