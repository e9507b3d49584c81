import { describe, expect, it } from "vitest";
import { oddContext, otherFormat, otherKind } from "./file-kind.ts";

const header = (metadata: Record<string, unknown>, ...tensors: string[]) => ({
  metadata,
  tensors: tensors.map((name) => ({ name })),
});

/** Each of the kinds is tested through the check of files: test/integration/wrong-files.test.ts. */
describe("what is a language model", () => {
  it.each([
    ["says nothing of itself", header({})],
    ["says so", header({ "general.type": "model", "general.architecture": "qwen3" }, "blk.0.attn_q.weight")],
    ["says something that is no kind", header({ "general.type": "constructor" })],
    ["does not pool", header({ "general.architecture": "qwen3", "qwen3.pooling_type": 0 })],
    [
      "pools in another architecture's words",
      header({ "general.architecture": "qwen3", "bert.pooling_type": 1 }),
    ],
    ["is causal", header({ "general.architecture": "qwen3", "qwen3.attention.causal": true })],
    ["has layers for further tokens", header({}, "blk.0.attn_q.weight", "blk.9.nextn.eh_proj.weight")],
    ["is the first part", header({ "split.no": 0, "split.count": 2 }, "blk.9.nextn.eh_proj.weight")],
  ])("is left alone where it %s", (_, file) => {
    expect(otherKind(file)).toBe(null);
  });

  it("is told by the first that speaks against it: an adapter has its model's architecture", () => {
    const adapter = header({ "general.type": "adapter", "general.architecture": "bert" });
    expect(otherKind(adapter)).toMatch(/^a LoRA adapter/);
  });
});

describe("a context", () => {
  it.each([1, 4096, 10_485_760, 2 ** 31 - 1, 8192n])("of %d tokens can be", (tokens) => {
    expect(oddContext(header({ "general.architecture": "llama", "llama.context_length": tokens }))).toBe(
      null,
    );
  });

  it("that is not said is llama.cpp's to refuse", () => {
    expect(oddContext(header({ "general.architecture": "llama" }))).toBe(null);
  });
});

describe("how a file begins", () => {
  const bytes = (letters: string) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));

  it.each([2, 3, 9])("is right in GGUF's version %d", (version) => {
    expect(otherFormat(bytes(`GGUF${String.fromCharCode(version)}\0\0\0`))).toBe(null);
  });

  it("is looked at as far as there is anything", () => {
    for (const letters of ["G", "GGU", "\0", "{"]) expect(otherFormat(bytes(letters))).toMatch(/./);
    expect(otherFormat(bytes("GGUF\x03"))).toMatch(/a few bytes/);
  });
});
