import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { modelBy, promptRequests } from "../../src/api/requests.ts";
import { chatTextBy, renderTemplate } from "../../src/text/chat-template.ts";
import type { ChatMessage } from "../../src/text/conversation.ts";
import { SpecialTexts } from "../../src/text/tame.ts";
import { CONVERSATIONS, RENDERINGS } from "../support/chat/conversations.ts";
import { realTemplates } from "../support/vocabularies.ts";

/**
 * Prompts against llama.cpp's own: 70 templates, nine conversations each. What llama.cpp renders is committed as hashes,
 * made by scripts/chat-references.mjs.
 */

/** The templates' own date: scripts/chat-references/reference.cpp has the same. */
const NOW = Date.UTC(2024, 6, 26, 12);

const DROPPED = "the template drops or refuses results of calls; ours shows them as the user's";
/** Where a prompt is another one, and why. A difference that is gone fails the test, too. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "LFM2.5-8B-A1B parts": "the template takes parts and joins them by nothing; llama.cpp gives it one text",
  ...resultsOf("google-gemma-2-2b-it"),
  ...resultsOf("llama-cpp-rwkv-world"),
  ...resultsOf("microsoft-Phi-3.5-mini-instruct"),
  "mistralai-Ministral-3-14B-Reasoning-2512 parts":
    "the template takes parts and joins them by nothing; llama.cpp gives it one text",
  "unsloth-mistral-Devstral-Small-2507 thought":
    "llama.cpp gives the assistant's earlier text as parts, which the template drops; ours keeps it",
  "upstage-Solar-Open-100B thought-call":
    "the template reads thoughts as `reasoning`, which llama.cpp does not give it; ours keeps it",
};

function resultsOf(template: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    ["call", "calls", "thought-call"].map((name) => [`${template} ${name}`, DROPPED]),
  );
}

const BOS = "<s>";
const tokenizer = { beginText: BOS, endText: "</s>", addsBegin: false };
/** As large vocabularies have them: what others wrote is marked then, on its way through the template. */
const controls = new SpecialTexts([
  ...[
    "<|im_start|>",
    "<|im_end|>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<｜User｜>",
    "<|START_OF_TURN_TOKEN|>",
  ],
  ...["<0123456789>", "{abcdefghijklmnopqrstuvwxyz}", "(ABCDEFGHIJKLMNOPQRSTUVWXYZ):,.'_-"],
]);

async function ours(source: string, conversation: (typeof CONVERSATIONS)[number], marked: boolean) {
  const chat = { kind: "chat", template: source, ...conversation } as const;
  const render = async (...all: Parameters<typeof renderTemplate>) => renderTemplate(...all);
  const prompt = await chatTextBy(render, chat, marked ? { ...tokenizer, controls } : tokenizer).catch(
    () => null,
  );
  if (prompt === null) return "refused";
  expect(prompt.cuts).toBeUndefined();
  return prompt.text;
}

const NO_TOOLS = { mode: "none", allowed: null, parallel: true } as const;

const hashed = (text: string) =>
  text === "refused" ? text : createHash("sha256").update(text).digest("hex").slice(0, 16);

describe("prompts of real templates", () => {
  beforeAll(() => {
    vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  });
  afterAll(() => {
    vi.useRealTimers();
  });

  it("are llama.cpp's, except where the table has a reason", async () => {
    const templates = await realTemplates();
    expect([...templates.keys()].sort()).toEqual(Object.keys(RENDERINGS).sort());
    const different: string[] = [];
    for (const [name, source] of templates) {
      for (const [i, conversation] of CONVERSATIONS.entries()) {
        const text = await ours(source, conversation, false);
        if (hashed(text) !== RENDERINGS[name]![i]) different.push(`${name} ${conversation.name}`);
      }
    }
    expect(different).toEqual(Object.keys(DIFFERENT));
    const all = templates.size * CONVERSATIONS.length;
    expect(all).toBe(630);
    // Where the reference itself loses results, ours is another text on purpose.
    const lost = Object.values(DIFFERENT).filter((reason) => reason === DROPPED).length;
    expect(lost).toBe(9);
    expect((all - different.length) / (all - lost)).toBeGreaterThanOrEqual(0.98);
  });

  it("are the same where what others wrote is marked on its way", async () => {
    for (const [name, source] of await realTemplates()) {
      for (const conversation of CONVERSATIONS) {
        const plain = await ours(source, conversation, false);
        expect(await ours(source, conversation, true), `${name} ${conversation.name}`).toBe(plain);
      }
    }
  });

  it("show every call of an earlier turn and what it returned, whatever the template knows of tools", async () => {
    const turns: readonly ChatMessage[] = [
      { role: "user", content: "Is it warm?" },
      {
        ...{ role: "assistant", content: "" },
        tool_calls: [
          {
            id: "Call00001",
            type: "function",
            function: { name: "take_heat", arguments: '{"place": "Ulm7"}' },
          },
        ],
      },
      { role: "tool", tool_call_id: "Call00001", content: '{"heat": "Warm9"}' },
    ];
    const lost: string[] = [];
    for (const [name, source] of await realTemplates()) {
      const thinking = { variables: {}, budgetTokens: null };
      const conversation = {
        ...{ tools: [], thinking, continues: false, prompts: [turns] },
      } as unknown as Parameters<typeof promptRequests>[0];
      const [request] = promptRequests({ ...conversation, toolUse: NO_TOOLS }, modelBy(source));
      const messages = request!.prompt as readonly ChatMessage[];
      const text = await ours(source, { name: "call", messages, tools: [] }, false);
      const parts = ["take_heat", "Ulm7", "Warm9"].filter((part) => !text.includes(part));
      if (parts.length > 0) lost.push(`${name}: ${parts}`);
    }
    expect(lost).toEqual([]);
  });
});
