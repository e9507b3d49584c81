import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";

/** The whole recipe at a tiny size: what it makes is what the engine reads. */

const folder = mkdtempSync(join(tmpdir(), "picospec-recipe-"));
const make = (...args: string[]) =>
  spawnSync(process.execPath, ["models/recipe/make.mjs", "--out", folder, ...args], { encoding: "utf8" });
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const curve = (name: string): Record<string, number>[] =>
  readFileSync(join(folder, `${name}.curve.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

async function lastRow(file: string, ids: readonly number[]): Promise<Float32Array> {
  const model = await LlamaModel.load(join(folder, file), { gpu: "off" });
  const shape = { sequences: 1, contextTokens: 1024, batchTokens: 1024, rows: 1, threads: 1 };
  const context = await LlamaContext.create(model, { ...shape, batchInvariant: false });
  const index = context.add(0, Int32Array.from(ids), 1);
  await new Promise<void>((resolve, reject) =>
    context.decode((error) => (error ? reject(error) : resolve())),
  );
  const row = context.row(index).slice();
  context.close();
  model.close();
  return row;
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

beforeAll(() => {
  const { status, stderr } = make("--size", "tiny", "--seed", "3");
  expect(stderr).toBe("");
  expect(status).toBe(0);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("the recipe at a tiny size", () => {
  it("learns: held-out loss falls, also when the target has grown", () => {
    for (const name of ["target", "drafter"]) {
      const lines = curve(name);
      expect(lines.length).toBeGreaterThan(1);
      for (const family of ["math", "code", "story", "data"]) {
        const losses = lines.map((line) => line[family]!);
        expect(losses).toEqual([...losses].sort((a, b) => b - a));
        expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.05);
      }
    }
    expect(curve("target").map(({ layers }) => layers)).toEqual([1, 2]);
  });

  it("writes what the engine reads: F16 has the logits that training saw, Q8_0 nearly", async () => {
    const { ids, ...rows } = read("rows.json");
    for (const name of ["target", "drafter"]) {
      const half = await lastRow(`pico-${name}-f16.gguf`, ids);
      expect(half).toHaveLength(512);
      expect(furthest(half, rows[name])).toBeLessThan(0.01);
      expect(furthest(await lastRow(`pico-${name}-q8_0.gguf`, ids), rows[name])).toBeLessThan(0.05);
      // The control: other tokens have other logits.
      const others = await lastRow(`pico-${name}-f16.gguf`, ids.slice(0, -1));
      expect(furthest(others, rows[name])).toBeGreaterThan(0.1);
    }
  });

  it("tokenizes as the engine does, in both files", async () => {
    for (const name of ["target", "drafter"]) {
      const model = await LlamaModel.load(join(folder, `pico-${name}-q8_0.gguf`), { gpu: "off" });
      const tokenizer = new LlamaTokenizer(model);
      const samples: { text: string; ids: number[] }[] = read("tokenized.json");
      expect(samples.length).toBeGreaterThan(10);
      for (const { text, ids } of samples)
        expect([...tokenizer.encode(text, true)].slice(0, ids.length)).toEqual(ids);
      expect(model.file.chatTemplate).toBe(readFileSync("models/recipe/chat-template.jinja", "utf8").trim());
      model.close();
    }
  });

  it("makes the same files of the same seed", () => {
    const file = join(folder, "pico-drafter-q8_0.gguf");
    const first = readFileSync(file);
    const { mtimeMs } = statSync(file);
    expect(make("--size", "tiny", "--seed", "3", "--only", "drafter").status).toBe(0);
    expect(make("--size", "tiny", "--seed", "3", "--only", "export").status).toBe(0);
    expect(statSync(file).mtimeMs).toBeGreaterThan(mtimeMs);
    expect(readFileSync(file).equals(first)).toBe(true);
    make("--size", "tiny", "--seed", "4", "--only", "drafter");
    make("--size", "tiny", "--seed", "4", "--only", "export");
    expect(readFileSync(file).equals(first)).toBe(false);
  }, 120_000);

  it.each([
    [["--size", "huge"], /--size <size>.*full, tiny/s],
    [["--seed", "x"], /whole number/],
    [["--only", "x"], /corpus, tokenizer, target, drafter, export/],
  ])("refuses %s", (args, message) => {
    const { status, stderr } = make(...args);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  it("says how to get PyTorch where there is none", () => {
    const env = { ...process.env, PYTHON: "/nowhere/python3" };
    const args = ["models/recipe/make.mjs", "--out", folder, "--size", "tiny", "--only", "export"];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: no PyTorch in \/nowhere\/python3; run models\/recipe\/setup.sh/);
    expect(existsSync(join(folder, "pico-target-q8_0.gguf"))).toBe(true);
  });
});
