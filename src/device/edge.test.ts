import { describe, expect, it } from "vitest";
import { createEdge } from "./edge.ts";

describe("createEdge refuses, and says what to do", () => {
  it.each([
    ["neither cloud nor model", {}, /give a model, a GGUF file/],
    [
      "a policy that needs a cloud without one",
      { model: "a.gguf", policy: "race" },
      /needs a cloud: give its address/,
    ],
    ["no model where one drafts", { cloud: "ws://127.0.0.1:1" }, /give a model, a GGUF file/],
    ["a policy that there is not", { model: "a.gguf", policy: "fast" }, /unknown policy "fast"; there are/],
    [
      "a drafter that there is not",
      { model: "a.gguf", drafter: "lockup" },
      /unknown drafter "lockup"; there are model, lookup, both/,
    ],
    [
      "a wait that is no number",
      { model: "a.gguf", reconnectMs: Number.NaN },
      /reconnectMs is 0 or more, not NaN/,
    ],
    ["layers on a GPU that is off", { model: "a.gguf", gpu: "off", gpuLayers: 3 }, /gpuLayers is for a GPU/],
    ["no thread", { model: "a.gguf", threads: 0 }, /threads is from 1 to 512, not 0/],
    ["a file that is not there", { model: "no-such.gguf" }, /no-such\.gguf/],
  ] as const)("%s", async (_, options, message) => {
    // @ts-expect-error: what a program without types may say
    await expect(createEdge(options)).rejects.toThrow(message);
  });
});
