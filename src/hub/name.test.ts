import { describe, expect, it } from "vitest";
import { HubError } from "./errors.ts";
import { hubNameText, isHubName, parseHubName, safePath } from "./name.ts";

describe("a name on the hub", () => {
  it.each([
    ["hf:a/b", "a/b", null],
    ["hf:Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m", "Qwen/Qwen2.5-7B-Instruct-GGUF", "q4_k_m"],
    ["hf:a/b:sub/model.gguf", "a/b", "sub/model.gguf"],
  ])("%s", (text, repository, wish) => {
    expect(parseHubName(text)).toEqual({ repository, wish });
    expect(hubNameText({ repository, wish })).toBe(text);
  });

  it.each([
    "hf:",
    "hf:a",
    "hf:a/",
    "hf:/b",
    "hf:a/b/c",
    "hf:a/b:",
    "hf:../b",
    "hf:a/..",
    "hf:a/b..c",
    "hf:a/b:../x.gguf",
    "hf:a/b:x/../../y.gguf",
    "hf:a/b:/etc/x.gguf",
    "hf:a/b?x:y",
    "hf:a/b\n",
    `hf:a/${"b".repeat(97)}`,
  ])("%j is none", (text) => {
    expect(() => parseHubName(text)).toThrow(HubError);
    expect(() => parseHubName(text)).toThrow(/names no model: write hf:OWNER\/REPO/);
  });

  it("is told from a file by its prefix", () => {
    expect(["hf:a/b", "a/b.gguf", "./hf:a/b"].map(isHubName)).toEqual([true, false, false]);
  });
});

describe("a path in a repository", () => {
  it.each([
    "model.gguf",
    "Q4_K_M/model-00001-of-00002.gguf",
    "a b (1).gguf",
    ".hidden/x.gguf",
  ])("%s is safe", (path) => expect(safePath(path)).toBe(true));

  it.each([
    "",
    "..",
    "../x.gguf",
    "a/../x.gguf",
    "/x.gguf",
    "a//x.gguf",
    "a/./x.gguf",
    "a\\..\\x.gguf",
    "C:x.gguf",
    ".. /x.gguf",
    ".../x.gguf",
    "x.gguf\0",
    "\u009b31mx.gguf",
    "a".repeat(513),
  ])("%j is not", (path) => expect(safePath(path)).toBe(false));
});
