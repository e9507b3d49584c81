import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";
import { decoded, ROW_SHAPE, randomTexts, rowsOf, sameRow, walk } from "../support/row-walk.ts";
import { draws } from "../support/world.ts";

/** A row of the target depends on its sequence alone: not on the pass, on other sequences or on what was dropped. */

let model: LlamaModel;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "picospec-"));
  const shape = { kind: "bpe", vocabularySize: 2000, layers: 3, seed: 3 } as const;
  for (const weights of ["F16", "Q4_0"] as const) {
    writeRandomGguf(join(folder, `${weights}.gguf`), { ...shape, weights });
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ["Q8_0", () => "models/pico-target-q8_0.gguf"],
  ["F16", () => join(folder, "F16.gguf")],
  ["Q4_0", () => join(folder, "Q4_0.gguf")],
])("a row of a model on a CPU: %s", (_, path) => {
  beforeAll(async () => {
    model = await LlamaModel.load(path(), { gpu: "off" });
  });
  afterAll(() => model.close());

  it("is the same whatever else was done to the cache", async () => {
    const { rows, off } = await walk(model, 700);
    // Ten times what the cache holds: all in use was moved several times.
    expect(rows).toBeGreaterThan(5000);
    expect(off).toBe(0);
  });

  it("is not without that care: the control", async () => {
    const { rows, off } = await walk(model, 100, { batchInvariant: false });
    expect(off / rows).toBeGreaterThan(0.2);
  });

  it("is the same in a long pass, and alone where several threads share the work", async () => {
    const [text] = randomTexts(model, 1, 290, draws(8));
    const one = await rowsOf(model, text!, 1);
    // Past 256 tokens llama.cpp would share a lone token out among threads; 64 and 127 leave one over.
    const tail = async (options: Partial<typeof ROW_SHAPE>, sizes: readonly number[]) => {
      const context = await LlamaContext.create(model, { ...ROW_SHAPE, sequences: 1, ...options });
      let [at, off] = [0, 0];
      for (const size of sizes) {
        const part = text!.subarray(at, at + size);
        const index = context.add(0, part, part.length);
        await decoded(context);
        expect(context.length(0)).toBe(at + size);
        for (let i = 0; i < size; i++) if (!sameRow(context.row(index + i), one[at + i]!)) off++;
        at += size;
      }
      context.close();
      return off;
    };
    const lone = [127, 64, 63, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    expect(await tail({ threads: 2 }, lone)).toBe(0);
    expect(await tail({ threads: 2, batchInvariant: false }, lone)).toBeGreaterThan(0);
    expect(await tail({}, [200, 90])).toBe(0);
    expect(await tail({ batchInvariant: false }, [200, 90])).toBeGreaterThan(0);
  });
});
