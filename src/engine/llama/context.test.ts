import { beforeEach, describe, expect, it } from "vitest";
import type { ContextParams } from "./abi.ts";
import { LlamaContext } from "./context.ts";
import type { LlamaModel } from "./model.ts";
import { llamaDraftModel } from "./models.ts";

/** What becomes of a decode where llama.cpp refuses, or we are wrong: whoever waits for it hears, and can go on. */

const STATE_BYTES = 16;

/** llama.cpp, as far as a context over a recurrent model sees it. */
const native = { refusesToCut: false, stateSize: () => STATE_BYTES };

type Done = (error: unknown, result: unknown) => void;

function fakeModel(): LlamaModel {
  let params: ContextParams | null = null;
  const finish = (result: unknown) => ({
    async: (...all: unknown[]) => queueMicrotask(() => (all.at(-1) as Done)(null, result)),
  });
  const api = {
    contextDefaultParams: () => ({}),
    contextInit: {
      async: (_: unknown, wanted: ContextParams, done: Done) => {
        params = wanted;
        done(null, 1n);
      },
    },
    ...{ nCtx: () => params!.n_ctx, nBatch: () => params!.n_batch, nSeqMax: () => params!.n_seq_max },
    ...{ getMemory: () => 2n, contextFree() {}, seqCp() {}, seqRm: () => !native.refusesToCut },
    ...{ partSize: () => native.stateSize(), partGet: finish(STATE_BYTES), partSet: finish(STATE_BYTES) },
    decode: Object.assign(() => 0, finish(0)),
  };
  return {
    ...{ pointer: 3n, file: { name: "m" }, vocabularySize: 100, trainedContext: 64 },
    ...{ recurrent: true, slidingWindow: false, onCpu: true, compute: {} },
    ...{ library: { api, version: "1", usesGpu: false }, retain() {}, release() {} },
  } as unknown as LlamaModel;
}

beforeEach(() => {
  Object.assign(native, { refusesToCut: false, stateSize: () => STATE_BYTES });
});

const tokens = (...ids: number[]) => Int32Array.from(ids);
const decode = (context: LlamaContext) =>
  new Promise<string>((resolve) => context.decode((error) => resolve(error?.code ?? "done")));

async function contextOf(): Promise<LlamaContext> {
  const shape = { sequences: 2, contextTokens: 64, batchTokens: 16, rows: 4, threads: 1 };
  const context = await LlamaContext.create(fakeModel(), { ...shape, batchInvariant: false });
  context.add(0, tokens(1, 2, 3, 4), 0);
  expect(await decode(context)).toBe("done");
  return context;
}

describe("a decode that has to go back first", () => {
  it("ends with cannot_truncate where llama.cpp refuses, and its sequence is empty", async () => {
    const context = await contextOf();
    context.truncate(0, 2);
    context.add(0, tokens(5), 0);
    native.refusesToCut = true;
    expect(await decode(context)).toBe("cannot_truncate");
    native.refusesToCut = false;
    expect(context.length(0)).toBe(0);
    context.add(0, tokens(1, 2), 0);
    expect(await decode(context)).toBe("done");
    context.close();
  });

  it("ends as well where the fault is ours", async () => {
    const context = await contextOf();
    native.stateSize = () => {
      throw new TypeError("a fault");
    };
    context.add(0, tokens(5, 6), 2);
    expect(await decode(context)).toBe("internal");
    native.stateSize = () => STATE_BYTES;
    expect(context.length(0)).toBe(0);
    context.add(0, tokens(1, 2), 0);
    expect(await decode(context)).toBe("done");
    context.close();
  });
});

it("a drafter whose state cannot be cut back says so to who fed it", async () => {
  const draft = await llamaDraftModel(fakeModel(), { threads: 1 });
  const fed = (from: number, ...ids: number[]) =>
    new Promise<string>((resolve) =>
      draft.feed(from, tokens(...ids), null, (error) => resolve(error?.code ?? "done")),
    );
  expect(await fed(0, 1, 2, 3)).toBe("done");
  native.refusesToCut = true;
  expect(await fed(1, 4)).toBe("cannot_truncate");
  native.refusesToCut = false;
  expect(await fed(0, 1)).toBe("done");
  draft.close();
});
