import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { formatOf } from "../../src/text/formats/registry.ts";
import { type ChatSample, chatSamples, sampleTemplate } from "../support/chat-samples.ts";
import { type Split, splitOf } from "../support/format-samples.ts";

/**
 * Answers that llama.cpp tests its parser with, split by ours as by that. How it splits them is committed as hashes: with
 * PICOSPEC_CHAT_REFERENCE, the program that scripts/chat-references builds, they are made anew.
 */

const SPLITS = "test/support/format-splits.json";
/** By a hash of the sample: whether its prompt ends within a thought, and a hash of the split. */
type Splits = Record<string, readonly [open: boolean, split: string]>;

/** Where ours is another one, and why. A difference that is gone fails the test, too. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "MiniMax-M3 ce105dfccfca7568":
    "tags for what may be a string or an object: llama.cpp has a string of markers and tags, ours the object",
  "ibm-granite-granite-3.3-2B-Instruct c26253e53f5d3de5":
    "llama.cpp keeps the tags around the answer as text; its own test expects ours, and is commented out there",
};
const hashed = (value: unknown) =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
const keyOf = ({ template, text, tools, thinking, parallel, cut }: ChatSample) =>
  hashed([template, text, tools, thinking, parallel, cut]);

/** Members in the order of their names: what JSON says, and not how it is written. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, canonical(item)]),
  );
}

/** A brace alone says nothing yet: llama.cpp has it where a call was cut off before its arguments. */
function argumentsOf(text: string): unknown {
  if (text.trim() === "{") return "";
  try {
    return canonical(JSON.parse(text));
  } catch {
    return text.trim();
  }
}

/** What both have to agree on: not white space beside markers, nor the words with which Apriel begins each thought. */
function essence({ text, reasoning, calls }: Split): unknown {
  const thought = reasoning.replace(/^Here are my reasoning steps:/, "");
  return [
    text.trim(),
    thought.trim(),
    calls.map(({ name, id, args }) => [name, id ?? "", argumentsOf(args)]),
  ];
}

async function splits(samples: readonly ChatSample[], program: string): Promise<Splits> {
  const found: [string, Splits[string]][] = [];
  for (const sample of samples) {
    const template = await sampleTemplate(sample.template);
    const request = {
      ...{
        template,
        bos: "<s>",
        eos: "</s>",
        tools: sample.tools,
        outputs: [sample.text],
        partial: sample.cut,
      },
      ...{ messages: [{ role: "user", content: "hi" }], reasoning_format: "auto" },
      ...{ parallel_tool_calls: sample.parallel, enable_thinking: sample.thinking },
    };
    const answer = JSON.parse(execFileSync(program, { input: `${JSON.stringify(request)}\n` }).toString());
    const [message] = answer.messages ?? [];
    // What it does not take itself says nothing.
    if (!message || message.error) continue;
    const calls = (message.tool_calls ?? []).map(
      (call: { name: string; id?: string; arguments: string }) => ({
        ...{ name: call.name, id: call.id ?? null, args: call.arguments },
      }),
    );
    const split = { text: message.content ?? "", reasoning: message.reasoning_content ?? "", calls };
    found.push([keyOf(sample), [formatOf(template).thinkingOpen(answer.prompt), hashed(essence(split))]]);
  }
  return Object.fromEntries(found);
}

describe("answers that llama.cpp tests its parser with", () => {
  let samples: readonly ChatSample[] = [];
  let reference: Splits = {};

  beforeAll(async () => {
    samples = await chatSamples();
    const program = process.env.PICOSPEC_CHAT_REFERENCE;
    if (program) writeFileSync(SPLITS, `${JSON.stringify(await splits(samples, program), null, 2)}\n`);
    reference = JSON.parse(readFileSync(SPLITS, "utf8"));
  });

  it("are split alike, whole and in pieces of 1 to 5 characters", async () => {
    const other: string[] = [];
    const templates = new Set<string>();
    let compared = 0;
    for (const sample of samples) {
      const [open, expected] = reference[keyOf(sample)] ?? [false, null];
      if (expected === null) continue;
      const format = formatOf(await sampleTemplate(sample.template));
      const tools = sample.tools.map((tool) => tool.function);
      const split = (size: number) => {
        const reader = format.reader({ thinkingOpen: open, tools });
        const pieces = sample.text.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
        return splitOf([...pieces.flatMap((piece) => reader.push(piece)), ...reader.end(sample.cut)]);
      };
      const whole = split(Math.max(1, sample.text.length));
      for (const size of [1, 2, 3, 4, 5]) expect(split(size)).toEqual(whole);
      compared++;
      templates.add(sample.template);
      if (hashed(essence(whole)) === expected) continue;
      other.push(`${sample.template} ${keyOf(sample)}`);
    }
    expect(compared).toBeGreaterThan(300);
    expect(templates.size).toBeGreaterThan(50);
    expect(other.sort()).toEqual(Object.keys(DIFFERENT).sort());
  });
});
