import Anthropic from "@anthropic-ai/sdk";
import { beforeAll, describe, expect, it } from "vitest";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import { type Script, scriptedFetch } from "../../../test/support/scripted.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";
import type { Answers } from "../answers.ts";
import type { ConversationEvent } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { Asked, Reply } from "../face.ts";
import { Anthropic as AnthropicFace } from "./endpoint.ts";

/** What is asked wrongly, or oddly, and how an answer fails. */

const TEMPLATE = `{# <tool_call> #}{%- for message in messages -%}{{- message.role }}: {{ message.content }}{%- endfor -%}
{%- if tools %}TOOLS{% endif -%}`;

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

function world(script: Script | string) {
  const says: Script = (prompt) => (typeof script === "string" ? script : script(prompt));
  const fetch = scriptedFetch({ script: says, template: TEMPLATE, specials: [], grammars });
  const client = new Anthropic({ baseURL: "http://localhost", apiKey: "none", maxRetries: 0, fetch });
  return { client, fetch };
}

const HI = [{ role: "user" as const, content: "Hi!" }];
const asks = { model: "claude-any", max_tokens: 200, messages: HI };

describe("unusual requests", () => {
  const text = (type: string, more: object = {}) => [{ role: "user", content: [{ type, ...more }] }];
  const image = { source: { type: "base64", media_type: "image/png", data: "AA==" } };
  it.each<readonly [label: string, body: object | unknown[], status: number, said: RegExp]>([
    ["no list of messages", { messages: null }, 400, /messages: must be a list, not null/],
    ["an empty list", { messages: [] }, 400, /messages: must have 1 or more entries/],
    ["no max_tokens", { max_tokens: undefined }, 400, /max_tokens: must be a number, and is missing/],
    ["max_tokens of text", { max_tokens: "9" }, 400, /max_tokens/],
    ["max_tokens below 0", { max_tokens: -1 }, 400, /max_tokens/],
    ["a system message among messages", { messages: [...HI, { role: "system", content: "x" }] }, 200, /./],
    [
      "a system message that is an image",
      { messages: [{ role: "system", content: [image] }] },
      400,
      /images and documents/,
    ],
    ["a tool's role", { messages: [{ role: "tool", content: "x" }] }, 400, /role user, assistant or system/],
    ["an image", { messages: text("image", image) }, 400, /images, documents and others are not taken/],
    ["a document", { messages: text("document", image) }, 400, /images, documents and others are not taken/],
    ["a server's tool result", { messages: text("web_search_tool_result") }, 400, /are not taken/],
    ["a result without its call", { messages: text("tool_result", { content: "x" }) }, 400, /tool_use_id/],
    [
      "a result that is an image",
      { messages: text("tool_result", { tool_use_id: "t", content: [{ type: "image", ...image }] }) },
      400,
      /images and documents are not taken/,
    ],
    ["a result without content", { messages: text("tool_result", { tool_use_id: "t" }) }, 200, /./],
    ["no blocks", { messages: [{ role: "user", content: [] }] }, 200, /./],
    [
      "a number as content",
      { messages: [{ role: "user", content: 5 }] },
      400,
      /content: must be a string, or a list of blocks/,
    ],
    [
      "a tool of Anthropic's",
      { tools: [{ type: "bash_20250124", name: "bash" }] },
      400,
      /bash_20250124.* are Anthropic's own/,
    ],
    ["a tool without a schema", { tools: [{ name: "x" }] }, 400, /tools.0.input_schema/],
    [
      "a tool of type custom",
      { tools: [{ type: "custom", name: "x", input_schema: { type: "object" } }] },
      200,
      /./,
    ],
    ["tools: null", { tools: null }, 200, /./],
    ["a choice without tools", { tool_choice: { type: "any" } }, 400, /there are no tools to call/],
    [
      "a choice of an unknown tool",
      { tools: [{ name: "x", input_schema: {} }], tool_choice: { type: "tool", name: "y" } },
      400,
      /there is no tool "y"/,
    ],
    ["a choice by a word", { tool_choice: "auto" }, 400, /tool_choice: must have the type/],
    ["temperature 3", { temperature: 3 }, 200, /./],
    ["temperature -1", { temperature: -1 }, 400, /temperature/],
    ["top_k 0", { top_k: 0 }, 200, /./],
    ["thinking without a budget", { thinking: { type: "enabled" } }, 400, /thinking.budget_tokens/],
    ["thinking by a word", { thinking: true }, 400, /thinking: must have the type/],
    ["an MCP server", { mcp_servers: [{ url: "x" }] }, 400, /mcp_servers: is not supported here/],
    ["no MCP servers", { mcp_servers: [] }, 200, /./],
    ["an empty stop sequence", { stop_sequences: [""] }, 400, /stop_sequences.0/],
    ["stop_sequences: null", { stop_sequences: null }, 200, /./],
    [
      "fields of nowhere",
      { context_management: { edits: [] }, zap: 1, metadata: { user_id: "u" } },
      200,
      /./,
    ],
    ["model: null", { model: null }, 200, /./],
    ["a list", [], 400, /must be an object, not a list/],
  ])("%s", async (_, body, status, said) => {
    const { fetch } = world("Hello.");
    const sent = Array.isArray(body) ? body : { ...asks, ...body };
    const answer = await fetch("http://localhost/v1/messages?beta=true", {
      method: "POST",
      body: JSON.stringify(sent),
      headers: { "anthropic-version": "2023-06-01", "anthropic-beta": "x" },
    });
    const told = (await answer.json()) as { type: string; error?: { type: string; message: string } };
    expect([told.error?.message ?? "", answer.status]).toEqual([
      expect.stringMatching(status === 200 ? /^$/ : said),
      status,
    ]);
    if (status === 400) expect([told.type, told.error!.type]).toEqual(["error", "invalid_request_error"]);
  });

  it("to other paths, or in other ways, are errors of this form", async () => {
    const { fetch } = world("");
    for (const [path, method, status, type] of [
      ["/v1/messages", "GET", 405, "invalid_request_error"],
      ["/v1/messages/batches", "POST", 404, "not_found_error"],
    ] as const) {
      const answer = await fetch(`http://localhost${path}`, { method });
      expect([answer.status, await answer.json()]).toMatchObject([
        status,
        { type: "error", error: { type } },
      ]);
    }
  });

  it("are refused with the request's id", async () => {
    const { client } = world("");
    const wrong = client.messages.create({ ...asks, max_tokens: -1 });
    await expect(wrong).rejects.toMatchObject({ status: 400, error: { type: "error", request_id: "r" } });
  });

  it("that fail in the middle of their stream end with an event of that name", async () => {
    const answers = { begin: async () => ({ ...begun, events: failing() }) } as unknown as Answers;
    const begun = { model: "m", answeredBy: "target", relaxed: [], count: 1, promptTokens: 3 };
    async function* failing(): AsyncGenerator<ConversationEvent, void, undefined> {
      yield { kind: "text", choice: 0, text: "One", tokens: [] };
      throw new HttpError(503, "away", "the cloud is away");
    }
    const face = new AnthropicFace({ answers, freshId: () => "f" });
    const asked = { body: { ...asks, stream: true }, requestId: "r", ignored: () => {} } as unknown as Asked;
    const reply = (await face.routes[0]!.answer(asked)) as Extract<Reply, { kind: "events" }>;
    const names: (string | undefined)[] = [];
    const read = async () => {
      for await (const { name } of reply.events) names.push(name);
    };
    const error = await read().catch((thrown: HttpError) => thrown);
    expect(names.at(-1)).toBe("content_block_delta");
    expect(reply.failed(error as HttpError)).toEqual({
      name: "error",
      data: {
        type: "error",
        error: { type: "overloaded_error", message: "the cloud is away" },
        request_id: "r",
      },
    });
  });

  it("whose model fails in the middle end with an error", async () => {
    const { client } = world(() => {
      throw new Error("broken");
    });
    await expect(client.messages.create(asks)).rejects.toThrow(Anthropic.InternalServerError);
  });
});
