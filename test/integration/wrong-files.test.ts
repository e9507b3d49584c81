import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkFile } from "../../src/device/isolation/check.ts";
import { ownCache } from "../support/own-cache.ts";
import { DRAFTER, picospec } from "../support/processes.ts";
import { WRONG_FILES, type WrongFile } from "../support/wrong-files.ts";

/** Other files than language models, given as one: one line says what each is, and what to do. */

const { folder } = ownCache();

describe("the check of files", () => {
  it.each(WRONG_FILES)("says of what is no model what it is: $name", async ({ write, code, says }) => {
    const path = write(folder);
    const error = await checkFile(path, "whole").catch((reason) => reason);
    expect(error).toMatchObject({ name: "EngineError", code, message: expect.stringMatching(says) });
    expect(error.message).toContain(path);
    expect(error.message).not.toMatch(/\n/);
  });

  it("control: takes the model that they were made of", async () => {
    const path = join(folder, "fine.gguf");
    copyFileSync(DRAFTER, path);
    await checkFile(path, "whole");
  });
});

describe("every command", () => {
  const named = (name: string) => WRONG_FILES.find((file) => file.name === name)!;

  it.each([
    ["LoRA adapter", ["cloud", "--port", "0", "--model"]],
    ["projector by architecture", ["edge", "--cloud", "ws://127.0.0.1:1", "--model"]],
    ["a part is missing", ["cloud", "--port", "0", "--model"]],
    ["zeros.gguf", ["edge", "--cloud", "ws://127.0.0.1:1", "--model"]],
    ["EAGLE head", ["run", "Hi", "--cloud", "ws://127.0.0.1:1", "--model"]],
  ] as const)("says it: %s", async (name, args) => {
    const { write, says }: WrongFile = named(name);
    const { status, stderr } = await picospec([...args, write(folder)]);
    expect(status).toBe(1);
    expect(stderr).toMatch(says);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("doctor says it of both sides", async () => {
    const [drafter, target] = [named("MTP layers alone"), named("embedding model")];
    const { stdout } = await picospec(["doctor", "--json", "--model", target.write(folder)]);
    expect(stdout).toMatch(target.says);
    const again = await picospec(["doctor", "--json", "--model", drafter.write(folder)]);
    expect(again.stdout).toMatch(drafter.says);
  });
});
