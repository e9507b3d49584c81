import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { loadLibrary } from "../../src/engine/llama/library.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { furthestSteps, readWeights, type Weights, withDoubledScales } from "../support/gguf-weights.ts";

/** The whole recipe at a tiny size: what it makes is what the engine reads. */

/**
 * The library's AMX kernels give not-a-number for the tiny drafter in Q8_0: measured on a sapphirerapids machine, in rows
 * of two of eight texts, where the same file has the right rows with haswell. So AVX2 computes there: it is the files
 * that are tested here.
 */
if (existsSync("/proc/cpuinfo") && readFileSync("/proc/cpuinfo", "utf8").includes("amx_int8")) {
  process.env.PICOSPEC_CPU_BUILD ??= "haswell";
}

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

const MODELS = ["target", "drafter"];
const DAMAGED = "damaged.gguf";

/** See `furthestSteps`. */
const MOST_STEPS = 0.5 + (2 * 127) / 2048;

/** Tokens that are cut off the end of a text, for each of the rows that are compared. */
const CUTS = [0, 7, 14, 21, 28, 35, 42, 49];

/**
 * How far rows of Q8_0 may be from those of F16, whose weights no kernel quantises: root mean square, as a share of how
 * far rows of different texts are apart. Measured: 0.014 and 0.022 for target and drafter, equal to three digits with
 * x64, sse42, ivybridge and haswell; with icelake, rows were less than 0.05 of a logit off, which is 0.1 or less.
 */
const MOST_OFF = 0.1;

interface Closeness {
  /** root mean square over all rows, as a share of that between rows of different texts */
  readonly off: number;
  /** rows whose nearest one is that of their own text */
  readonly nearest: number;
}

function closeness(rows: readonly Float32Array[], right: readonly Float32Array[]): Closeness {
  const squares = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0);
  const mean = (all: readonly number[]) => all.reduce((sum, x) => sum + x, 0) / all.length;
  const apart = right.flatMap((a, i) => right.slice(i + 1).map((b) => squares(a, b)));
  const own = rows.map((row, i) => squares(row, right[i]!));
  const nearest = rows.filter((row, i) => right.every((other) => squares(row, other) >= own[i]!));
  return { off: Math.sqrt(mean(own) / mean(apart)), nearest: nearest.length };
}

const isRead = ({ off, nearest }: Closeness, bound: number) => off < bound && nearest === CUTS.length;

/** Writes DAMAGED: a model's Q8_0 file with scales of a tensor doubled, those of all blocks unless said otherwise. */
function damage(name: string, tensor: Weights, blocks?: number): void {
  const file = readFileSync(join(folder, `pico-${name}-q8_0.gguf`));
  writeFileSync(join(folder, DAMAGED), withDoubledScales(file, tensor, blocks));
}

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

  it("writes what the engine reads: F16 has the logits that training saw", async () => {
    const { ids, ...rows } = read("rows.json");
    for (const name of MODELS) {
      const half = await lastRow(`pico-${name}-f16.gguf`, ids);
      expect(half).toHaveLength(512);
      expect(furthest(half, rows[name])).toBeLessThan(0.01);
      // The control: other tokens have other logits.
      const others = await lastRow(`pico-${name}-f16.gguf`, ids.slice(0, -1));
      expect(furthest(others, rows[name])).toBeGreaterThan(0.1);
    }
  });

  it("writes training's weights to Q8_0 as well, to half a step of each block", async () => {
    for (const name of MODELS) {
      const half = await readWeights(join(folder, `pico-${name}-f16.gguf`));
      const weights = await readWeights(join(folder, `pico-${name}-q8_0.gguf`));
      expect(furthestSteps(weights, half)).toBeLessThan(MOST_STEPS);
      // The control: one block's scale is wrong.
      damage(name, weights.get("blk.0.attn_q.weight")!, 1);
      expect(furthestSteps(await readWeights(join(folder, DAMAGED)), half)).toBeGreaterThan(60);
    }
  });

  it("writes Q8_0 that the engine reads, as closely as the kernel at hand computes", async () => {
    const { cpuBuild } = loadLibrary("off");
    const { ids } = read("rows.json");
    const right: Record<string, Closeness> = {};
    const controls: Record<string, Closeness> = {};
    for (const name of MODELS) {
      const rows = (file: string, shorter = 0) =>
        Promise.all(CUTS.map((cut) => lastRow(file, ids.slice(0, ids.length - cut - shorter))));
      const half = await rows(`pico-${name}-f16.gguf`);
      const file = `pico-${name}-q8_0.gguf`;
      right[name] = closeness(await rows(file), half);
      controls[`${name}, other tokens`] = closeness(await rows(file, 1), half);
      const weights = await readWeights(join(folder, file));
      damage(name, weights.get("output.weight") ?? weights.get("token_embd.weight")!);
      controls[`${name}, doubled scales`] = closeness(await rows(DAMAGED), half);
    }
    // All at once: a kernel that is new here shows all its numbers.
    const said = `${cpuBuild}: ${JSON.stringify({ right, controls })}`;
    for (const found of Object.values(right)) expect(isRead(found, MOST_OFF), said).toBe(true);
    // The controls fail whatever the kernel.
    for (const found of Object.values(controls)) expect(isRead(found, MOST_OFF), said).toBe(false);
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
