import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";

/** OpenAI's Responses by its own client, against an edge and a cloud in processes of their own. */

const STORY = "Tell me a story about a frog and a lantern.";
const asks = { model: "pico", input: STORY, temperature: 0, max_output_tokens: 30 };

let root: string;
let cloud: RunningCloud;
let edge: RunningCloud;
let openai: OpenAI;

async function start(key: string): Promise<void> {
  const store = ["--store", join(root, "store"), "--api-key", key];
  edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER, ...store]);
  openai = new OpenAI({ baseURL: edge.url, apiKey: key, maxRetries: 0 });
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "picospec-store-"));
  cloud = await startCloud();
  await start("first");
});
afterAll(async () => {
  await edge?.stop();
  await cloud?.stop();
  rmSync(root, { recursive: true });
});

describe("responses", () => {
  it("are the text of chat completions, whole and streamed", async () => {
    const { choices } = await openai.chat.completions.create({
      ...{ model: "pico", temperature: 0, max_tokens: 30 },
      messages: [{ role: "user", content: STORY }],
    });
    const text = choices[0]!.message.content;
    expect((await openai.responses.create(asks)).output_text).toBe(text);
    const streamed = await openai.responses.stream(asks).finalResponse();
    expect(streamed).toMatchObject({ output_text: text, usage: { output_tokens: 30 } });
  });

  it("that have ended are not cancelled: a request without a body is told so", async () => {
    const { id } = await openai.responses.create(asks);
    await expect(openai.responses.cancel(id)).rejects.toMatchObject({ status: 400, code: "not_running" });
    await expect(openai.responses.cancel("resp_none")).rejects.toMatchObject({ status: 404 });
    const files = { method: "POST", body: "no JSON", headers: { authorization: "Bearer first" } };
    expect((await fetch(`${edge.url}/files`, files)).status).toBe(501);
  });

  it("are there after a restart, for the key that made them alone", async () => {
    const made = await openai.responses.create(asks);
    const next = { ...asks, input: "Go on.", previous_response_id: made.id };
    const before = await openai.responses.create(next);
    const folder = join(root, "store");
    if (process.platform !== "win32") {
      const modes = readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777);
      expect(new Set(modes)).toEqual(new Set([0o600]));
    }
    await edge.stop();
    await start("second");
    await expect(openai.responses.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
    await expect(openai.responses.create(next)).rejects.toMatchObject({
      code: "previous_response_not_found",
    });
    await edge.stop();
    await start("first");
    expect(await openai.responses.retrieve(made.id)).toEqual(made);
    expect((await openai.responses.create(next)).output_text).toBe(before.output_text);
    await openai.responses.delete(made.id);
    expect(readdirSync(folder)).not.toContain(`${made.id}.json`);
  });
});
