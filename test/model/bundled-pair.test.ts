import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BENCH_PROMPTS } from "../../lab/bench/prompts.ts";
import { checkStory } from "../../lab/tasks/check.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { readModelFile } from "../../src/engine/llama/gguf.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import type { ChatMessage } from "../../src/text/conversation.ts";
import { RealPair } from "../support/real-pair.ts";

/** The shipped models are those of the model card, and answer what we tell people to ask. */

const TARGET = "models/pico-target-q8_0.gguf";
const DRAFTER = "models/pico-drafter-q8_0.gguf";
const card = readFileSync("models/README.md", "utf8");

describe("the files", () => {
  it("have the hashes and sizes of the model card, and no other models ship", () => {
    const listed = [...card.matchAll(/^([0-9a-f]{64}) {2}(\S+\.gguf)$/gm)].map(([, hash, name]) => [
      name,
      hash,
    ]);
    const files = readdirSync("models").filter((name) => name.endsWith(".gguf"));
    const hashOf = (name: string) =>
      createHash("sha256")
        .update(readFileSync(`models/${name}`))
        .digest("hex");
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(files.map((name) => [name, hashOf(name)])));
    for (const name of files) expect(card).toContain(statSync(`models/${name}`).size.toLocaleString("en-US"));
  });

  it("are as small as they have to be, and share a tokenizer and a chat template", async () => {
    expect(statSync(TARGET).size).toBeLessThanOrEqual(16e6);
    expect(statSync(DRAFTER).size).toBeLessThanOrEqual(2e6);
    const [target, drafter] = await Promise.all([readModelFile(TARGET), readModelFile(DRAFTER)]);
    expect(drafter.fingerprint).toBe(target.fingerprint);
    expect(card).toContain(target.fingerprint);
    const template = readFileSync("models/recipe/chat-template.jinja", "utf8").trim();
    expect([target.chatTemplate, drafter.chatTemplate]).toEqual([template, template]);
  });
});

describe("the pair", () => {
  let pair: RealPair;
  beforeAll(async () => {
    pair = await RealPair.open(TARGET, DRAFTER);
  });
  afterAll(() => pair.close());

  it("knows a context of 1,024 tokens", () => {
    expect(pair.targetModel.trainedContext).toBe(1024);
  });

  const answer = async (messages: readonly ChatMessage[]) => {
    const prompt = chatPrompt(pair.template, messages, pair.tokenizer);
    return pair.answer(POLICIES.picospec, prompt, 300);
  };
  const ask = (content: string) => answer([{ role: "user", content }]);

  const SHOWN = /"(Tell me a story[^"<>]*)"|^- (Tell me a story.*)$/gm;
  const sources = ["README.md", "models/README.md", "src/cli/demo.ts", "src/cli/run.ts", "src/cli/plan.ts"];
  const shown = sources.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(SHOWN)].map(([, quoted, listed]) => (quoted ?? listed)!),
  );
  it.each([...new Set([...shown, ...BENCH_PROMPTS])])("tells a story when asked: %s", async (prompt) => {
    const mentions = [...prompt.replace(/^Tell me a story/, "").matchAll(/\ban? (\w+)/g)].map(
      ([, word]) => word!,
    );
    const { text, reason } = await ask(prompt);
    expect(checkStory(text, { kind: "story", cast: [], mentions }), text).toEqual({ right: true, why: "" });
    expect(reason).toBe("end");
  });

  it("calculates, writes functions, fills in JSON, calls tools and greets, as the model card says", async () => {
    const prompts = [...card.matchAll(/^> \*\*(.+)\*\*\n>\n((?:>.*\n)+)/gm)];
    expect(prompts.length).toBeGreaterThan(4);
    for (const [, prompt, said] of prompts) {
      const { text } = await ask(prompt!);
      expect(text).toBe(said!.replace(/^> ?/gm, "").replace(/ {2}$/gm, "").trim());
    }
  });

  it("says in a second turn what it would say to all of it at once, and feeds only what is new", async () => {
    const prompt = chatPrompt(pair.template, [{ role: "user", content: "Tell me a story." }], pair.tokenizer);
    const first = await pair.answer(POLICIES.race, prompt, 80, { temperature: 1 }, 3);
    const next = Int32Array.of(...prompt, ...first.tokens, ...pair.tokenizer.encode("Hello", false).slice(1));
    const second = await pair.answer(POLICIES.race, next, 40, { temperature: 1 }, 4);
    expect(second.statistics.usage!.reusedTokens).toBeGreaterThanOrEqual(
      prompt.length + first.tokens.length - 2,
    );
    const fresh = await RealPair.open(TARGET, DRAFTER);
    const whole = await fresh.answer(POLICIES.cloud, next, 40, { temperature: 1 }, 4);
    fresh.close();
    expect(whole.statistics.usage!.reusedTokens).toBe(0);
    expect(second.tokens).toEqual(whole.tokens);
  });

  it("keeps to the subject in a second turn, and speaks to a system message", async () => {
    const first = await ask("Hello!");
    const { text } = await answer([
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: "Hello!" },
      { role: "assistant", content: first.text },
      {
        role: "user",
        content:
          "Tom has 12 apples. He buys 5 more. Then he gives away 4. How many apples does Tom have now?",
      },
    ]);
    expect(text).toMatch(/12 \+ 5 = 17\.[\s\S]*17 - 4 = 13\.\nAnswer: 13$/);
  });
});
