import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { Pointer } from "./abi.ts";
import type { LlamaBatch } from "./batch.ts";
import type { KvCells } from "./cells.ts";
import type { LlamaModel } from "./model.ts";

/** Decodes what is in a batch, off the event loop. */
export class Decoder {
  readonly batch: LlamaBatch;
  readonly cells: KvCells;
  private readonly model: LlamaModel;
  private readonly pointer: Pointer;

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
    return new Float32Array(koffi.view(pointer, 4 * this.model.vocabularySize));
  }

  /** On a GPU llama_decode only queues the work: without the second call the event loop would wait for it. */
  private decodeAndWait(done: (error: unknown, code: number) => void): void {
    const { api, usesGpu } = this.model.library;
    api.decode.async(this.pointer, this.batch.native, (error, code) => {
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
