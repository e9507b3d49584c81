import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { type Batch, PARTIAL_ONLY } from "./abi.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { LlamaModel } from "./model.ts";

/** `llama_decode` and nothing around it: what a benchmark compares the engine with. */
export interface BareDecoder {
  /**
   * Decodes one token at a position and looks up its row. What the KV holds at the position or past it is
   * dropped first. On the calling thread: the event loop is blocked meanwhile.
   */
  decode(token: number, position: number): void;
  /** The same off the event loop, as the engine does it. */
  decodeAsync(token: number, position: number): Promise<void>;
  /** of its one sequence; null: the model has none */
  readonly state: BareState | null;
  close(): void;
}

/** A recurrent state by itself. */
export interface BareState {
  /** of what is kept, with so many tokens as there are */
  bytes(): number;
  /** Keeps it as it is after so many tokens, as the engine does. */
  save(length: number): Promise<void>;
  /** Puts back what was kept at that length. */
  restore(length: number): Promise<void>;
}

export function bareDecoder(model: LlamaModel, contextTokens: number, threads: number): BareDecoder {
  const { api } = model.library;
  const params = {
    ...api.contextDefaultParams(),
    n_ctx: contextTokens,
    n_batch: 1,
    n_ubatch: 1,
    n_threads: threads,
    n_threads_batch: threads,
    no_perf: true,
  };
  const context = api.contextInit(model.pointer, params);
  assert(context !== null, "no memory for the benchmark's context");
  const memory = api.getMemory(context);
  // In one object that the closure below holds on to: the C side only has their addresses.
  const arrays = {
    words: new Int32Array(new ArrayBuffer(4 * 4)),
    sequencePointers: new BigUint64Array(new ArrayBuffer(8)),
    wanted: new Int8Array(new ArrayBuffer(8)).fill(1),
  };
  const [token, position, count, sequence] = [0, 1, 2, 3];
  const at = (index: number) => koffi.address(arrays.words) + BigInt(4 * index);
  arrays.words[count] = 1;
  arrays.words[sequence] = 0;
  arrays.sequencePointers[0] = at(sequence);
  const batch: Batch = {
    n_tokens: 1,
    token: at(token),
    embd: null,
    pos: at(position),
    n_seq_id: at(count),
    seq_id: koffi.address(arrays.sequencePointers),
    logits: koffi.address(arrays.wanted),
  };
  const prepare = (id: number, from: number) => {
    arrays.words[token] = id;
    arrays.words[position] = from;
    api.seqRm(memory, 0, from, -1);
  };
  const finish = (code: number) => {
    assert(code === 0 && api.logitsAt(context, 0) !== null, `llama_decode gave ${code}`);
  };
  const checkpoints = model.recurrent ? new Checkpoints(api, context, 1) : null;
  return {
    state: checkpoints && {
      bytes: () => api.partSize(context, 0, PARTIAL_ONLY),
      save: (length) => checkpoints.save(0, length),
      restore: (length) => checkpoints.restore(0, length),
    },
    decode(id, from) {
      prepare(id, from);
      finish(api.decode(context, batch));
    },
    decodeAsync(id, from) {
      prepare(id, from);
      return new Promise((resolve, reject) => {
        api.decode.async(context, batch, (error, code) => {
          if (error) return reject(error);
          finish(code);
          resolve();
        });
      });
    },
    close() {
      checkpoints?.close();
      api.contextFree(context);
    },
  };
}
