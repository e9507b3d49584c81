import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createCloud } from "../../src/device/cloud.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-template-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a cloud says at its start that its model has no chat template, and what is done then", async () => {
  for (const chatTemplate of [undefined, "{{ messages[0].content }}"]) {
    const model = join(folder, `${chatTemplate === undefined ? "without" : "with"}.gguf`);
    const shape = { kind: "spm", vocabularySize: 2048, layers: 1, seed: 1 } as const;
    writeRandomGguf(model, { ...shape, ...(chatTemplate === undefined ? {} : { chatTemplate }) });
    const told: string[] = [];
    const notice = (line: string) => told.push(line);
    await using cloud = await createCloud({ model, port: 0, threads: 1, gpu: "off", notice });
    expect(cloud.port).toBeGreaterThan(0);
    const line = expect.stringMatching(/no chat template: messages are sent as their texts, a line each/);
    expect(told).toEqual(chatTemplate === undefined ? [line] : []);
  }
});
