import { describe, expect, it } from "vitest";
import type { Outcome } from "../../device/isolation/outcome.ts";
import type { ModelReport } from "../../device/isolation/requests.ts";
import type { Footprint } from "../../engine/llama/footprint.ts";
import type { ModelFile } from "../../engine/llama/gguf.ts";
import { bundledCheck, modelCheck, neededBytes, pairCheck } from "./models.ts";

const MIB = 2 ** 20;
const MEMORY = { totalBytes: 1000 * MIB, availableBytes: 500 * MIB };

const file = (given: Partial<ModelFile> = {}): ModelFile => ({
  ...{ path: "m.gguf", name: "m.gguf", architecture: "llama", chatTemplate: "{{ x }}" },
  ...{
    fingerprint: "gpt2-9-aa",
    identity: "aa",
    realTokens: 9,
    longestTokenBytes: 4,
    specialTexts: [],
    controlTexts: [],
  },
  ...given,
});

const footprint = (given: Partial<Footprint> = {}): Footprint => ({
  ...{ fileBytes: 100 * MIB, contextTokens: 1024, kvBytesPerToken: 1024 },
  ...given,
});

const facts = (given: Partial<ModelReport> = {}): Outcome<ModelReport> => ({
  ok: true,
  value: {
    ...{ file: file(), footprint: footprint() },
    ...given,
  },
});

const failure = (code: string, message = "it is broken"): Outcome<never> => ({
  ok: false,
  failure: { code, message },
});

describe("a model file", () => {
  const check = (given: Outcome<ModelReport>) => modelCheck("m.gguf", given, MEMORY);

  it("says its architecture, tokenizer and size", () => {
    expect(check(facts())).toMatchObject({
      status: "ok",
      detail: "m.gguf: llama, tokenizer gpt2-9-aa, about 101 MiB with one KV slot",
    });
  });

  it.each([
    ["no_model", /path/],
    ["not_gguf", /convert/],
    ["bad_model", /download it again/],
  ])("is a problem where it cannot be read: %s", (code, advice) => {
    expect(check(failure(code))).toMatchObject({
      status: "problem",
      detail: "it is broken",
      advice: expect.stringMatching(advice),
    });
  });

  it("is a problem where llama.cpp does not take it", () => {
    expect(check(failure("unsupported_model"))).toMatchObject({
      status: "problem",
      advice: expect.stringContaining("decoder-only"),
    });
  });

  it("is a problem where the machine is too small, and a warning where too little is free", () => {
    expect(check(facts({ footprint: footprint({ fileBytes: 1200 * MIB }) }))).toMatchObject({
      status: "problem",
    });
    expect(check(facts({ footprint: footprint({ fileBytes: 700 * MIB }) }))).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("500 MiB is free"),
    });
  });

  it("has a warning without a chat template", () => {
    expect(check(facts({ file: file({ chatTemplate: null }) }))).toMatchObject({
      status: "warning",
      advice: expect.stringContaining("--raw"),
    });
  });

  it("needs its weights and the context that is usually taken", () => {
    expect(neededBytes(footprint({ contextTokens: 1_000_000 }))).toBe(100 * MIB + 8192 * 1024);
  });
});

describe("a pair", () => {
  const fits = { problem: null, barred: new Int32Array(0) } as const;

  it("has one tokenizer, or two that go together, or is a problem with its reason", () => {
    const other = file({ name: "n.gguf", identity: "bb" });
    expect(pairCheck(file(), file({ name: "n.gguf" }), fits)).toMatchObject({
      status: "ok",
      detail: "m.gguf and n.gguf have one tokenizer: they can be a pair",
    });
    expect(pairCheck(file(), other, fits)).toMatchObject({
      status: "ok",
      detail: "m.gguf and n.gguf can be a pair, and texts go through the target's tokenizer",
    });
    expect(pairCheck(file(), other, { problem: "they are strangers" })).toMatchObject({
      status: "problem",
      detail: "m.gguf and n.gguf cannot be a pair: they are strangers",
    });
  });
});

describe("the bundled pair", () => {
  it("loads, or says which of the two does not and why", () => {
    expect(bundledCheck(facts(), facts()).status).toBe("ok");
    expect(bundledCheck(failure("no_model", "gone"), facts())).toMatchObject({
      status: "problem",
      detail: "gone",
    });
    expect(bundledCheck(facts(), failure("no_engine", "no library"))).toMatchObject({
      status: "problem",
      detail: "no library",
      advice: expect.stringContaining("llama.cpp above"),
    });
  });

  it("is a problem where the two do not go together", () => {
    const other = facts({ file: file({ fingerprint: "x" }) });
    expect(bundledCheck(facts(), other)).toMatchObject({ status: "problem" });
  });
});
