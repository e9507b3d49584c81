import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import koffi from "koffi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PARTIAL_ONLY, type Pointer } from "../../src/engine/llama/abi.ts";
import { LlamaBatch } from "../../src/engine/llama/batch.ts";
import { Checkpoints } from "../../src/engine/llama/checkpoints.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { writeRandomModel } from "../support/gguf/random.ts";
import { distance } from "../support/row-walk.ts";

/**
 * Ways back for a model with recurrent layers, by llama.cpp's C API alone: why the engine keeps checkpoints, and not
 * snapshots of its own (`n_rs_seq`), which are right inside the last batch only.
 */

const PROMPT = [1, 400, 900, 500, 77, 222];
const DRAFTS = [10, 20, 30, 40];
const NEXT = 50;
const BATCH = 64;

let folder: string;
let model: LlamaModel;
let context: Bare;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "picospec-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A context of llama.cpp's with one sequence. */
class Bare {
  readonly pointer: Pointer;
  readonly memory: Pointer;
  private readonly batch = new LlamaBatch(BATCH, 2);

  constructor(snapshots: number) {
    const { api } = model.library;
    const params = {
      ...api.contextDefaultParams(),
      ...{ n_ctx: 512, n_batch: BATCH, n_ubatch: BATCH, n_seq_max: 2, n_threads: 1, n_threads_batch: 1 },
      ...{ kv_unified: true, n_rs_seq: snapshots },
    };
    this.pointer = api.contextInit(model.pointer, params)!;
    this.memory = api.getMemory(this.pointer);
  }

  /** The row after the last token. */
  decode(from: number, tokens: readonly number[]): Float32Array {
    const { api } = model.library;
    this.batch.clear();
    const index = this.batch.add(0, from, Int32Array.from(tokens), 1);
    expect(api.decode(this.pointer, this.batch.native)).toBe(0);
    const row = api.logitsAt(this.pointer, index)!;
    return new Float32Array(koffi.view(row, 4 * model.vocabularySize)).slice();
  }

  back(to: number): boolean {
    return model.library.api.seqRm(this.memory, 0, to, -1);
  }

  close(): void {
    model.library.api.contextFree(this.pointer);
  }
}

/** The same work in a context that never went anywhere else. */
function straight(): Float32Array {
  const other = new Bare(0);
  other.decode(0, PROMPT);
  other.decode(PROMPT.length, DRAFTS.slice(0, 1));
  const row = other.decode(PROMPT.length + 1, [NEXT]);
  other.close();
  return row;
}

describe.each([["lfm2"], ["qwen35"]])("going back in a %s model, by llama.cpp alone", (architecture) => {
  const file = () => join(folder, `${architecture}.gguf`);
  beforeAll(async () => {
    writeRandomModel(file(), { architecture });
    model = await LlamaModel.load(file(), { gpu: "off" });
  });
  afterAll(() => model.close());

  it("is refused without snapshots", () => {
    context = new Bare(0);
    context.decode(0, PROMPT);
    context.decode(PROMPT.length, DRAFTS);
    expect(context.back(PROMPT.length + 1)).toBe(false);
    context.close();
  });

  it("is right with snapshots inside the last batch", () => {
    context = new Bare(8);
    context.decode(0, PROMPT);
    context.decode(PROMPT.length, DRAFTS);
    expect(context.back(PROMPT.length + 1)).toBe(true);
    expect(distance(context.decode(PROMPT.length + 1, [NEXT]), straight())).toBeLessThan(0.2);
    context.close();
  });

  it("is wrong with snapshots beyond the last batch, and says that it is right: the control", () => {
    context = new Bare(8);
    context.decode(0, PROMPT);
    for (const [i, token] of DRAFTS.entries()) context.decode(PROMPT.length + i, [token]);
    expect(context.back(PROMPT.length + 1)).toBe(true);
    expect(distance(context.decode(PROMPT.length + 1, [NEXT]), straight())).toBeGreaterThan(1);
    context.close();
  });

  it("is exact by a checkpoint and by computing again what was accepted since", async () => {
    context = new Bare(0);
    const checkpoints = new Checkpoints(model.library.api, context.pointer, 1);
    context.decode(0, PROMPT);
    await checkpoints.save(0, PROMPT.length);
    for (const [i, token] of DRAFTS.entries()) context.decode(PROMPT.length + i, [token]);
    expect(checkpoints.latest(0, PROMPT.length + 1)).toBe(PROMPT.length);
    await checkpoints.restore(0, PROMPT.length);
    expect(context.back(PROMPT.length)).toBe(true);
    context.decode(PROMPT.length, DRAFTS.slice(0, 1));
    expect(distance(context.decode(PROMPT.length + 1, [NEXT]), straight())).toBe(0);
    checkpoints.close();
    context.close();
  });
});

describe("checkpoints", () => {
  it("are bounded in number and in bytes: the oldest goes, and those of another text are forgotten", async () => {
    writeRandomModel(join(folder, "lfm2.gguf"), { architecture: "lfm2" });
    model = await LlamaModel.load(join(folder, "lfm2.gguf"), { gpu: "off" });
    context = new Bare(0);
    const checkpoints = new Checkpoints(model.library.api, context.pointer, 4);
    for (const [i, token] of PROMPT.entries()) {
      context.decode(i, [token]);
      await checkpoints.save(0, i + 1);
    }
    // Two of each sequence, where there are four.
    expect([6, 5, 4].map((most) => checkpoints.latest(0, most))).toEqual([6, 5, -1]);
    expect(checkpoints.latest(1, 6)).toBe(-1);
    checkpoints.forget(0, 5);
    expect(checkpoints.latest(0, 6)).toBe(5);
    await expect(checkpoints.restore(0, 6)).rejects.toMatchObject({ code: "decode_failed" });
    checkpoints.close();

    // Room for one and a half, of all sequences; then for none.
    const bytes = model.library.api.partSize(context.pointer, 0, PARTIAL_ONLY);
    const small = new Checkpoints(model.library.api, context.pointer, 4, 1.5 * bytes);
    await small.save(0, 5);
    await small.save(0, 6);
    expect([6, 5].map((most) => small.latest(0, most))).toEqual([6, -1]);
    small.close();
    const none = new Checkpoints(model.library.api, context.pointer, 4, bytes - 1);
    await none.save(0, 6);
    expect(none.latest(0, 6)).toBe(-1);
    none.close();
    context.close();
    model.close();
  });
});
