import { beforeAll, describe, expect, it } from "vitest";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import { scriptedFetch } from "../../../test/support/scripted.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";

/** Texts and their tokens, as llama.cpp's server tells them: the tokens here are bytes, and a few special ones. */

const TEMPLATE = `{# <tool_call> #}{%- for message in messages -%}
<s>{{- message.role }}: {{ message.content }}
{% endfor -%}
{%- if tools %}TOOLS {{ tools[0].function.name }}{% endif %}`;

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

async function send(path: string, body?: unknown) {
  const fetch = scriptedFetch({ template: TEMPLATE, specials: ["<s>"], grammars, script: () => "Hello." });
  const sent = body === undefined ? { method: "GET" } : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`http://localhost${path}`, sent);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const tokens = async (body: object) => (await send("/tokenize", body)).body.tokens as number[];

const bytes = (text: string) => [...new TextEncoder().encode(text)];
const MESSAGES = [{ role: "user", content: "Hi <s>!" }];

describe("tokenize", () => {
  it("gives token ids, and special tokens by their names unless told otherwise", async () => {
    const [first, ...rest] = await tokens({ content: "<s>ab" });
    expect(first).toBeGreaterThan(255);
    expect(rest).toEqual(bytes("ab"));
    expect(await tokens({ content: "<s>ab", parse_special: false })).toEqual(bytes("<s>ab"));
    expect(await tokens({ content: "", add_special: true })).toEqual([]);
  });

  it("gives pieces, as bytes where they are part of a character", async () => {
    const pieces = async (content: string) =>
      (await send("/tokenize", { content, with_pieces: true })).body.tokens as {
        id: number;
        piece: unknown;
      }[];
    expect(await pieces("aá")).toEqual([
      { id: 97, piece: "a" },
      { id: 195, piece: [195] },
      { id: 161, piece: [161] },
    ]);
    expect((await pieces("<s>"))[0]!.piece).toBe("<s>");
  });
});

describe("detokenize", () => {
  it("gives the text that was read", async () => {
    const content = "<s>Grüße 😀\n";
    expect((await send("/detokenize", { tokens: await tokens({ content }) })).body).toEqual({ content });
  });

  it("shows what is no whole character", async () => {
    expect((await send("/detokenize", { tokens: [97, 195] })).body).toEqual({ content: "a\ufffd" });
    expect((await send("/detokenize", { tokens: [] })).body).toEqual({ content: "" });
  });
});

describe("a conversation", () => {
  it("is shown as the model reads it, what a client wrote as plain text", async () => {
    const tools = [{ type: "function", function: { name: "add" } }];
    expect((await send("/apply-template", { messages: MESSAGES, tools })).body).toEqual({
      prompt: "<s>user: Hi <s>!\nTOOLS add",
    });
  });

  it("has so many tokens", async () => {
    const { body } = await send("/v1/chat/completions/input_tokens", { messages: MESSAGES });
    const read = [...bytes("user: Hi <s>!\n")];
    expect(body.object).toBe("response.input_tokens");
    // The template's own special token is one; this tokenizer has no control tokens, so that the client's is one as well.
    expect(body.input_tokens).toBe(1 + read.length - 2);
  });
});

it("props has the context, the chat template and the sampler's defaults", async () => {
  expect((await send("/props")).body).toMatchObject({
    default_generation_settings: {
      n_ctx: 100_000,
      params: {
        temperature: 1,
        top_k: 0,
        top_p: 1,
        min_p: 0,
        repeat_penalty: 1,
        repeat_last_n: 64,
        n_predict: -1,
      },
    },
    ...{ total_slots: 4, model_alias: "script", model_path: "script", chat_template: TEMPLATE },
    modalities: { vision: false, audio: false },
  });
});

describe("unusual requests", () => {
  it.each([
    ["/tokenize", {}, /content: must be a string, and is missing/],
    ["/tokenize", { content: null }, /content: must be a string, not null/],
    ["/tokenize", { content: ["a"] }, /content: must be a string/],
    ["/tokenize", { content: "a", with_pieces: 1 }, /with_pieces: must be true or false/],
    ["/tokenize", { content: "a".repeat(100_001) }, /context/],
    ["/detokenize", {}, /tokens: must be a list of token ids/],
    ["/detokenize", { tokens: [1, -1] }, /tokens\.1: must be a token id/],
    ["/detokenize", { tokens: ["a"] }, /tokens\.0: must be a token id/],
    ["/detokenize", { tokens: [1, 99_999] }, /tokens\.1: must be below/],
    ["/detokenize", { tokens: new Array(300_001).fill(1) }, /at most 300000/],
    ["/apply-template", {}, /messages/],
    ["/apply-template", { messages: [] }, /messages: must have 1 or more/],
    ["/apply-template", [], /must be an object/],
  ])("%s with %j is a 400 in llama.cpp's form", async (path, asked, words) => {
    const { status, body } = await send(path, asked);
    expect(status).toBe(400);
    expect(body).toEqual({
      error: { code: 400, message: expect.stringMatching(words), type: "invalid_request_error" },
    });
  });

  it("by another method are a 405", async () => {
    expect((await send("/tokenize")).status).toBe(405);
    expect((await send("/props", {})).status).toBe(405);
  });

  it("take a model by its name, and any where there is one", async () => {
    expect((await send("/tokenize", { content: "a", model: "script" })).status).toBe(200);
    expect((await send("/props?model=other")).status).toBe(200);
  });
});
