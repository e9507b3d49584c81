import { beforeAll, describe, expect, it } from "vitest";
import { CloudError } from "../../src/edge/connection.ts";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import { byteGrammars } from "../support/byte-grammars.ts";
import { type Script, scriptedFetch } from "../support/scripted.ts";

/**
 * Unusual requests to OpenAI's routes, each with the status and what the answer says, as a user of that API would expect
 * it: what does no harm works, what cannot be done is refused by name, and nothing is a fault of the endpoint's own.
 */

const TEMPLATE = `{# <tool_call> </think> #}{%- for message in messages -%}
[{{ message.role }}|{{ message.content }}{% if message.reasoning_content %}|{{ message.reasoning_content }}{% endif -%}
{%- for call in message.tool_calls or [] %}|{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor -%}
]{%- endfor -%}{%- if tools %}{{ tools | length }} tools{% endif -%}
{%- if not enable_thinking %}no thinking{% endif -%}
{%- if reasoning_effort %}effort {{ reasoning_effort }}{% endif -%}`;
const SPECIALS = ["<tool_call>", "</tool_call>", "<think>", "</think>"];

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

type Says = string | RegExp;
/** What is asked, its status, and what the answer says; and what the model says, if not what it was asked. */
type Row = readonly [body: unknown, status: number, says: Says, script?: string];

/** A model that repeats what it is shown. */
const repeats: Script = (prompt) => prompt;

function endpoint(script: Script | string = repeats): typeof fetch {
  const says = typeof script === "string" ? () => script : script;
  return scriptedFetch({ script: says, template: TEMPLATE, specials: SPECIALS, grammars });
}

async function answered(path: string, body: unknown, script?: Script | string) {
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await endpoint(script)(`http://localhost${path}`, init);
  return { status: response.status, text: await response.text() };
}

function checkAll(path: string, rows: readonly Row[]) {
  it.each<Row>(rows)(`${path} %j: %i`, async (...row) => {
    const [body, status, says, script] = row as unknown as Row;
    const whole = await answered(path, body, script);
    expect([whole.status, whole.text]).toEqual([status, expect.stringMatching(pattern(says))]);
    if (status !== 200) {
      const { error } = JSON.parse(whole.text) as { error: Record<string, unknown> };
      expect(Object.keys(error)).toEqual(["message", "type", "param", "code"]);
    }
    if (typeof body !== "object" || body === null || Array.isArray(body) || "stream" in body) return;
    const streamed = await answered(path, { ...body, stream: true }, script);
    expect(streamed.status).toBe(status);
    expect(streamed.text).not.toMatch(/internal_error/);
  });
}

/** As it is within JSON. */
function pattern(says: Says): RegExp {
  if (typeof says !== "string") return says;
  return new RegExp(
    JSON.stringify(says)
      .slice(1, -1)
      .replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
  );
}

const user = { role: "user", content: "Hi" };
const messages = [user];
const chat = (fields: object) => ({ messages, ...fields });
const tool = (name = "f", more = {}) => ({ type: "function", function: { name, ...more } });
const call = (more: object = {}) => ({
  id: "c1",
  type: "function",
  function: { name: "f", arguments: "{}" },
  ...more,
});
const calls = { role: "assistant", content: null, tool_calls: [call()] };
const said = (content: unknown, more = {}) => ({
  messages: [user, { role: "assistant", content, ...more }, user],
});
const png = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
const HELLO = /"content":"\[user\|Hi\]"/;

const CHAT: readonly Row[] = [
  // What clients send without harm.
  [chat({ max_tokens: -1 }), 200, HELLO],
  [chat({ max_completion_tokens: -1 }), 200, HELLO],
  [chat({ n_predict: -1 }), 200, HELLO],
  [chat({ n_predict: 3 }), 200, /"content":"\[us".*"finish_reason":"length"/],
  [chat({ max_completion_tokens: 4, max_tokens: 2 }), 200, /"content":"\[use"/],
  [chat({ top_k: -1 }), 200, HELLO],
  [chat({ top_k: 0 }), 200, HELLO],
  [chat({ top_p: 0 }), 200, HELLO],
  [chat({ min_p: 0, repeat_penalty: 1.1, repeat_last_n: 64 }), 200, HELLO],
  [chat({ repetition_penalty: 1.1, repeat_penalty: 1.1 }), 200, HELLO],
  [chat({ model: null }), 200, HELLO],
  [chat({ model: "gpt-4o" }), 200, /"model":"script"/],
  [chat({ temperature: null, top_p: null, n: null, stop: null, seed: null, user: null }), 200, HELLO],
  [chat({ tools: null, tool_choice: null, response_format: null, logit_bias: null }), 200, HELLO],
  [chat({ tools: [] }), 200, HELLO],
  [chat({ stop: [] }), 200, HELLO],
  [chat({ stop: "|" }), 200, /"content":"\[user"/],
  [chat({ stream_options: { include_usage: true, include_obfuscation: false } }), 200, HELLO],
  [chat({ service_tier: "auto", metadata: { a: "b" }, store: true }), 200, HELLO],
  [chat({ safety_identifier: "s", prompt_cache_key: "k", prompt_cache_retention: "24h" }), 200, HELLO],
  [chat({ prediction: { type: "content", content: "Hi" }, verbosity: "low" }), 200, HELLO],
  [chat({ modalities: ["text"], audio: null }), 200, HELLO],
  [chat({ cache_prompt: true, id_slot: -1, timings_per_token: true }), 200, HELLO],
  [chat({ mirostat: 0, mirostat_tau: 5, typical_p: 1, xtc_probability: 0, dry_multiplier: 0 }), 200, HELLO],
  [
    chat({
      samplers: ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    }),
    200,
    HELLO,
  ],
  [chat({ ignore_eos: false, min_tokens: 0, stop_token_ids: [], bad_words: [] }), 200, HELLO],
  [chat({ skip_special_tokens: true, add_generation_prompt: true, use_beam_search: false }), 200, HELLO],
  [chat({ ttl: 300, keep_alive: "5m", draft_model: "x" }), 200, HELLO],
  [chat({ nonsense: { deep: [1] } }), 200, HELLO],
  [chat({ logprobs: false, top_logprobs: 0 }), 200, HELLO],
  [chat({ seed: -1 }), 200, HELLO],
  [chat({ n: 2 }), 200, /"index":1,"message":\{"role":"assistant","content":"\[user\|Hi\]"/],
  [chat({ logit_bias: {} }), 200, HELLO],
  [chat({ response_format: { type: "text" } }), 200, HELLO],
  [chat({ parallel_tool_calls: true }), 200, HELLO],
  [chat({ reasoning_effort: "high" }), 200, "effort high"],
  [chat({ reasoning: { effort: "low" } }), 200, "effort low"],
  [chat({ thinking: { type: "disabled" } }), 200, "no thinking"],
  [chat({ enable_thinking: true, chat_template_kwargs: { enable_thinking: true } }), 200, HELLO],
  // Messages.
  [{ messages: [{ role: "developer", content: "Brief." }, user] }, 200, "[system|Brief.][user|Hi]"],
  [{ messages: [{ ...user, name: "Ann" }] }, 200, HELLO],
  [
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
      ],
    },
    200,
    "[user|a\nb]",
  ],
  [{ messages: [{ role: "user", content: "" }] }, 200, "[user|]"],
  [{ messages: [{ role: "user", content: [] }] }, 200, "[user|]"],
  [said("Yes"), 200, "[assistant|Yes]"],
  [said(null, { refusal: "No." }), 200, "[assistant|No.]"],
  [said([{ type: "refusal", refusal: "No." }]), 200, "[assistant|No.]"],
  [said("Yes", { refusal: null, audio: null, annotations: [], function_call: null }), 200, "[assistant|Yes]"],
  [said("Yes", { reasoning_content: "Hm" }), 200, "[assistant|Yes|Hm]"],
  [said(undefined, { tool_calls: [] }), 200, "[assistant|]"],
  [
    { messages: [user, calls, { role: "tool", content: "3", tool_call_id: "c1" }] },
    200,
    "[assistant||f{}][tool|3]",
  ],
  [
    { messages: [user, calls, { role: "tool", content: [{ type: "text", text: "3" }], tool_call_id: "c1" }] },
    200,
    "[tool|3]",
  ],
  [{ messages: [user, calls, { role: "tool", content: null, tool_call_id: "c1" }] }, 200, "[tool|]"],
  [
    {
      messages: [
        user,
        { ...calls, tool_calls: [{ id: "c1", function: { name: "f", arguments: { a: 1 } } }] },
      ],
    },
    200,
    '|f{"a": 1}]',
  ],
  [{ messages: [user, { role: "system", content: "Late." }] }, 200, "Late."],
  // What is wrong.
  [{}, 400, "messages: must be a list, and is missing"],
  [{ messages: null }, 400, "messages: must be a list, not null"],
  [{ messages: "Hi" }, 400, "messages: must be a list, not a string"],
  [{ messages: [] }, 400, "messages: must have 1 or more entries"],
  [{ messages: ["Hi"] }, 400, "messages.0: must be an object, not a string"],
  [{ messages: [{ content: "Hi" }] }, 400, "messages.0.role: must be system or developer or user"],
  [
    { messages: [{ role: "robot", content: "Hi" }] },
    400,
    "messages.0.role: must be system or developer or user",
  ],
  [{ messages: [{ role: "user" }] }, 400, "messages.0.content: must be a string, or a list of parts"],
  [
    { messages: [{ role: "user", content: null }] },
    400,
    "messages.0.content: must be a string, or a list of parts",
  ],
  [
    { messages: [{ role: "user", content: [png] }] },
    400,
    "messages.0.content.0.type: must be text: other parts are not taken",
  ],
  [
    {
      messages: [
        { role: "user", content: [{ type: "input_audio", input_audio: { data: "", format: "wav" } }] },
      ],
    },
    400,
    "messages.0.content.0.type: must be text",
  ],
  [
    { messages: [{ role: "user", content: [{ type: "file", file: {} }] }] },
    400,
    "messages.0.content.0.type: must be text",
  ],
  [
    { messages: [user, { role: "tool", content: "3" }] },
    400,
    "messages.1.tool_call_id: must be a string, and is missing",
  ],
  [said("Yes", { audio: { id: "a" } }), 400, "messages.1.audio: is not supported here"],
  [null, 400, "must be an object, not null"],
  [[], 400, "must be an object, not a list"],
  ["Hi", 400, "must be an object, not a string"],
  [chat({ max_tokens: 0 }), 400, "max_tokens: must be -1, or a whole number, 1 or more, not 0"],
  [chat({ max_tokens: -5 }), 400, "max_tokens: must be -1, or a whole number, 1 or more, not -5"],
  [chat({ max_tokens: 1.5 }), 400, "max_tokens: must be -1, or a whole number, 1 or more, not 1.5"],
  [chat({ max_tokens: "10" }), 400, "max_tokens: must be a number, not a string"],
  [chat({ temperature: 2.5 }), 400, "temperature: must be 0, or from 0.0001 to 2, not 2.5"],
  [chat({ temperature: -1 }), 400, "temperature: must be 0, or from 0.0001 to 2, not -1"],
  [chat({ top_p: 1.1 }), 400, "top_p: must be from 0 to 1, not 1.1"],
  [chat({ presence_penalty: 3 }), 400, "presence_penalty: must be from -2 to 2, not 3"],
  [chat({ repeat_penalty: 0 }), 400, "repeat_penalty: must be from 0.01 to 10, not 0"],
  [chat({ repeat_last_n: -1 }), 400, "repeat_last_n: must be a whole number from 0 to 4096, not -1"],
  [
    chat({ repeat_penalty: 1, repetition_penalty: 2 }),
    400,
    "repetition_penalty and repeat_penalty are one setting",
  ],
  [chat({ n: 0 }), 400, "n: must be 1 or more"],
  [chat({ n: 17 }), 400, "n: must be 16 or less"],
  [chat({ stop: ["a", 5] }), 400, "stop.1: must be a string, not 5"],
  [chat({ stream: "yes" }), 400, /stream: must be true or false, not a string/],
  [chat({ logit_bias: { x: 1 } }), 400, "logit_bias.x: is a key that is not taken here"],
  [chat({ top_logprobs: 2 }), 400, "top_logprobs needs logprobs: true"],
  [chat({ logprobs: true, top_logprobs: 21 }), 400, "top_logprobs: must be a whole number from 0 to 20"],
  [chat({ model: 5 }), 400, "model: must be a string, not 5"],
  [chat({ policy: "fastest" }), 400, "fastest"],
  [
    chat({ enable_thinking: true, chat_template_kwargs: { enable_thinking: false } }),
    400,
    "say different things: send one of the two",
  ],
  [chat({ reasoning_effort: "most" }), 400, "reasoning_effort: must be none or minimal or low"],
  // What would change the answer, and cannot be done.
  [chat({ mirostat: 2 }), 400, "mirostat: is not supported here: leave it out"],
  [chat({ xtc_probability: 0.5 }), 400, "xtc_probability: is not supported here"],
  [chat({ dry_multiplier: 0.8 }), 400, "dry_multiplier: is not supported here"],
  [chat({ samplers: ["top_k"] }), 400, "samplers: is not supported here"],
  [chat({ ignore_eos: true }), 400, "ignore_eos: is not supported here"],
  [chat({ min_tokens: 5 }), 400, "min_tokens: is not supported here"],
  [chat({ stop_token_ids: [2] }), 400, "stop_token_ids: is not supported here: leave it out, or give stop"],
  [chat({ use_beam_search: true }), 400, "use_beam_search: is not supported here"],
  [
    chat({ modalities: ["text", "audio"], audio: { voice: "alloy" } }),
    400,
    "modalities: is not supported here",
  ],
  [chat({ web_search_options: {} }), 400, "web_search_options: is not supported here"],
  [chat({ echo: true }), 400, "echo: is not supported here"],
  // Tools.
  [chat({ tools: [tool()] }), 200, "1 tools"],
  [chat({ tools: [tool("f", { parameters: null, description: null, strict: null })] }), 200, "1 tools"],
  [chat({ tools: [tool()], tool_choice: "none" }), 200, HELLO],
  [chat({ tools: [{ type: "web_search" }] }), 400, "tools.0.type: must be function"],
  [chat({ tools: [{ type: "custom", custom: { name: "c" } }] }), 400, "tools.0.type: must be function"],
  [
    chat({ tools: [{ type: "function", name: "f" }] }),
    400,
    "tools.0.function: must be an object, and is missing",
  ],
  [chat({ tools: [tool("")] }), 400, "tools.0.function.name: must have 1 or more characters"],
  [chat({ tool_choice: "required" }), 400, "there are no tools to call: give tools, or leave it out"],
  [chat({ tools: [tool()], tool_choice: tool("g") }), 400, 'there is no tool "g"'],
  [chat({ tools: [tool()], tool_choice: "always" }), 400, "tool_choice: must be none, auto, required"],
  [chat({ tools: [tool()], functions: [{ name: "f" }] }), 400, "functions is the older name of tools"],
  // Formats.
  [chat({ response_format: { type: "json_object" } }), 200, '{"a": 1}', '{"a": 1}'],
  [chat({ response_format: { type: "yaml" } }), 400, "response_format.type: must be text or json_object"],
  [chat({ response_format: "json" }), 400, "response_format: must be an object, not a string"],
  [
    chat({ response_format: { type: "json_schema" } }),
    400,
    "response_format.json_schema: must be an object, and is missing",
  ],
  [
    chat({ response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "text" } } } }),
    400,
    "response_format: ",
  ],
  [chat({ guided_choice: ["yes", "no"] }), 200, /"content":"yes"/, "yes"],
  [chat({ guided_regex: "[0-9]+" }), 200, /"content":"42"/, "42"],
  [chat({ structured_outputs: { structural_tag: {} } }), 400, "structural tags are not supported"],
  [chat({ guided_json: "{" }), 400, "guided_json: this text is no JSON"],
  [
    chat({ grammar: "start: 'a'", guided_regex: "a" }),
    400,
    "an answer has one format: grammar and guided_regex were given",
  ],
];

describe("chat completions", () => {
  checkAll("/v1/chat/completions", CHAT);
});

const complete = (fields: object) => ({ prompt: "Hi", ...fields });

const COMPLETIONS: readonly Row[] = [
  [complete({}), 200, /"text":"Hi"/],
  [complete({ max_tokens: 0 }), 200, /"text":"","logprobs":null,"finish_reason":"length"/],
  [complete({ max_tokens: 0, echo: true }), 200, /"text":"Hi","logprobs":null,"finish_reason":"length"/],
  [complete({ max_tokens: -1 }), 200, /"finish_reason":"stop"/],
  [complete({ n_predict: 1 }), 200, /"text":"H"/],
  [complete({ echo: true }), 200, /"text":"HiHi"/],
  [complete({ echo: false }), 200, /"text":"Hi"/],
  [{ prompt: ["a", "b"], echo: true, n: 2 }, 200, /"index":3,"text":"bb"/],
  [{ prompt: ["a", "b"] }, 200, /"index":1,"text":"b"/],
  [{ prompt: [74, 107], echo: true }, 200, /"text":"HiHi"/],
  [{ prompt: [[74], [107]] }, 200, /"index":1,"text":"i"/],
  [complete({ model: null, suffix: null, best_of: 1, logit_bias: null }), 200, /"text":"Hi"/],
  [complete({ repeat_penalty: 1, mirostat: 0, cache_prompt: false }), 200, /"text":"Hi"/],
  [complete({ stop: ["i"] }), 200, /"text":"H"/],
  [{}, 400, "prompt: must be a string, token ids, or a list of either, and is missing"],
  [{ prompt: null }, 400, "prompt: must be a string, token ids, or a list of either, not null"],
  [{ prompt: [] }, 400, "prompt: must have 1 or more entries"],
  [{ prompt: ["a", 5] }, 400, "prompt.1: must be a string, not 5"],
  [{ prompt: [-1] }, 400, "prompt.0: must be a token id"],
  [{ prompt: [1.5] }, 400, "prompt.0: must be a token id"],
  [{ prompt: Array.from({ length: 33 }, () => "a") }, 400, "prompt: must have at most 32 entries"],
  [
    complete({ echo: true, logprobs: 0 }),
    400,
    "echo goes without logprobs: those of the prompt are not known here",
  ],
  [complete({ best_of: 3 }), 400, "best_of has to be n"],
  [complete({ logprobs: 21 }), 400, "logprobs: must be a whole number from 0 to 20"],
  [complete({ logprobs: true }), 400, "logprobs: must be a number, not true or false"],
  [complete({ suffix: "b" }), 400, "suffix"],
  [{ prompt: [1], suffix: "b" }, 400, "suffix goes along with a prompt that is text"],
  [complete({ prompt_logprobs: 3 }), 400, "prompt_logprobs: is not supported here"],
  [complete({ messages }), 200, /"text":"Hi"/],
];

describe("completions", () => {
  checkAll("/v1/completions", COMPLETIONS);
});

const ask = (fields: object) => ({ input: "Hi", ...fields });
const part = (type: string, more: object = {}) => ({ type, text: "Hi", ...more });
const asked = (content: unknown, role = "user") => ({ input: [{ role, content }] });
const SAID = /"text":"\[user\|Hi\]"/;
const responseTool = { type: "function", name: "f", parameters: {}, strict: false };
const made = { type: "function_call", call_id: "c", name: "f", arguments: "{}" };
const output = { type: "function_call_output", call_id: "c", output: "3" };

const RESPONSES: readonly Row[] = [
  [ask({}), 200, SAID],
  [ask({ model: null, instructions: null, tools: null, previous_response_id: null, text: null }), 200, SAID],
  [ask({ instructions: "Brief." }), 200, "[system|Brief.][user|Hi]"],
  [{ ...asked("More.", "developer"), instructions: "Brief." }, 200, "[system|Brief.\n\nMore.]"],
  [asked("Hi", "system"), 200, "[system|Hi]"],
  [asked([part("input_text")]), 200, SAID],
  [asked([part("input_text"), part("text")]), 200, "[user|Hi\nHi]"],
  [asked([part("output_text", { annotations: [], logprobs: [] })], "assistant"), 200, "[assistant|Hi]"],
  [asked([{ type: "refusal", refusal: "No." }], "assistant"), 200, "[assistant|No.]"],
  [
    { input: [{ type: "message", role: "user", content: "Hi", id: "msg_x", status: "completed" }] },
    200,
    SAID,
  ],
  [{ input: [user, made, output] }, 200, "[assistant||f{}][tool|3]"],
  [{ input: [user, made, { ...output, output: [part("input_text", { text: "3" })] }] }, 200, "[tool|3]"],
  [{ input: [user, { ...made, arguments: { a: 1 } }, output] }, 200, '|f{"a": 1}]'],
  [{ input: [user, { type: "reasoning", summary: [] }, made, output] }, 200, "[assistant||f{}]"],
  [
    {
      input: [
        user,
        { type: "reasoning", summary: [{ type: "summary_text", text: "Hm" }] },
        { role: "assistant", content: "Yes" },
      ],
    },
    200,
    "[assistant|Yes|Hm]",
  ],
  [ask({ max_output_tokens: -1, temperature: 1, top_p: 1 }), 200, SAID],
  [
    ask({ max_output_tokens: 2 }),
    200,
    /"status":"incomplete".*"incomplete_details":\{"reason":"max_output_tokens"\}/,
  ],
  [ask({ reasoning: { effort: "high", summary: "auto" } }), 200, "effort high"],
  [ask({ reasoning: { effort: "none" } }), 200, "no thinking"],
  [
    ask({ store: false, metadata: { a: "b" }, user: "u", truncation: "auto", service_tier: "flex" }),
    200,
    SAID,
  ],
  [
    ask({ safety_identifier: "s", prompt_cache_key: "k", include: ["reasoning.encrypted_content"] }),
    200,
    SAID,
  ],
  [ask({ background: false, stream_options: { include_obfuscation: true }, max_tool_calls: 3 }), 200, SAID],
  [ask({ text: { verbosity: "low", format: { type: "text" } } }), 200, SAID],
  [ask({ text: { format: { type: "json_object" } } }), 200, '{"a": 1}', '{"a": 1}'],
  [ask({ tools: [responseTool], parallel_tool_calls: true }), 200, "1 tools"],
  [ask({ tools: [responseTool, { type: "web_search", external_web_access: false }] }), 200, "1 tools"],
  [ask({ tools: [{ type: "custom", name: "patch", format: { type: "text" } }] }), 200, "1 tools"],
  [ask({ tools: [{ type: "namespace", name: "n", tools: [responseTool] }] }), 200, "1 tools"],
  [ask({ tools: [responseTool], tool_choice: "none" }), 200, SAID],
  [ask({ client_metadata: { a: 1 }, prompt_cache_options: {} }), 200, SAID],
  [ask({ top_k: 5, min_p: 0.1, seed: 3, stop: ["|"] }), 200, /"text":"\[user"/],
  [{}, 400, "input: must be a string, or a list of items"],
  [{ input: null }, 400, "input: must be a string, or a list of items"],
  [{ input: [] }, 400, "input: must have 1 or more entries"],
  [{ input: 5 }, 400, "input: must be a string, or a list of items"],
  [{ input: ["Hi"] }, 400, "input.0: "],
  [{ input: [{ role: "robot", content: "Hi" }] }, 400, "input.0.role: must be user or assistant or system"],
  [
    asked([{ type: "input_image", image_url: "data:," }]),
    400,
    "input.0.content.0.type: must be input_text or output_text: images, audio and files",
  ],
  [asked([{ type: "input_file", file_id: "f" }]), 400, "images, audio and files are not taken"],
  [asked([{ type: "input_text" }]), 400, "input.0.content.0: must have a text"],
  [
    { input: [{ type: "web_search_call", id: "w", status: "completed" }] },
    400,
    'input.0.type: items of type "web_search_call" are not taken',
  ],
  [{ input: [{ type: "item_reference", id: "msg_1_1" }] }, 404, "input.0.id: there is no item"],
  [{ input: [{ id: "msg_1_1" }] }, 404, "input.0.id: there is no item"],
  [{ input: [user, output] }, 400, "input.1.call_id: there is no call"],
  [
    ask({ previous_response_id: "resp_none" }),
    400,
    'there is no response "resp_none" here, or none any more: send the conversation',
  ],
  [ask({ previous_response_id: "../../etc/passwd" }), 400, "there is no response"],
  [
    ask({ background: true }),
    400,
    "background: is not supported here: leave it out, and read the answer as a stream",
  ],
  [ask({ conversation: "conv_1" }), 400, "conversation: is not supported here"],
  [ask({ prompt: { id: "pmpt_1" } }), 400, "prompt: is not supported here"],
  [ask({ max_tokens: 5 }), 400, "max_tokens: is not supported here: leave it out, or give max_output_tokens"],
  [{ messages }, 400, "messages: is not supported here: leave it out, or give input"],
  [
    ask({ response_format: { type: "json_object" } }),
    400,
    "response_format: is not supported here: leave it out, or give text.format",
  ],
  [
    ask({ reasoning_effort: "high" }),
    400,
    "reasoning_effort: is not supported here: leave it out, or give reasoning.effort",
  ],
  [ask({ n: 2 }), 400, "n: is not supported here"],
  [ask({ max_output_tokens: 0 }), 400, "max_output_tokens: must be -1, or a whole number, 1 or more, not 0"],
  [ask({ temperature: 3 }), 400, "temperature: must be 0, or from 0.0001 to 2, not 3"],
  [
    ask({ tools: [{ type: "file_search", vector_store_ids: [] }] }),
    400,
    'tools.0.type: tools of type "file_search" are not run here',
  ],
  [
    ask({ tools: [{ type: "local_shell" }] }),
    400,
    'tools of type "local_shell" are not run here: give functions',
  ],
  [ask({ tools: [{ type: "mcp", server_label: "m" }] }), 400, 'tools of type "mcp" are not run here'],
  [ask({ tools: [tool()] }), 400, "tools.0.name: must be a string, and is missing"],
  [ask({ tools: [responseTool, responseTool] }), 400, 'tools.1.name: there is another tool of the name "f"'],
  [ask({ tools: [responseTool], tool_choice: { type: "function", name: "g" } }), 400, 'there is no tool "g"'],
  [
    ask({ tools: [responseTool], tool_choice: { type: "web_search" } }),
    400,
    "tool_choice.type: must be function or",
  ],
  [ask({ tool_choice: "required" }), 400, "there are no tools to call"],
  [ask({ text: { format: { type: "yaml" } } }), 400, "text.format.type: must be text or json_object"],
  [
    ask({ text: { format: { type: "json_schema", name: "x" } } }),
    400,
    "text.format.schema: must be an object, and is missing",
  ],
  [
    ask({ text: { format: { type: "json_schema", name: "x", schema: { type: "text" } } } }),
    400,
    "text.format: ",
  ],
  [ask({ top_logprobs: 21 }), 400, "top_logprobs: must be a whole number from 0 to 20"],
];

describe("responses", () => {
  checkAll("/v1/responses", RESPONSES);
});

describe("a grammar that is none", () => {
  it.each([
    ["guided_regex", "("],
    ["guided_grammar", "start: %%"],
    ["grammar", "root ::= ("],
  ])("is told by the name of its field: %s", async (field, value) => {
    const { status, text } = await answered("/v1/chat/completions", chat({ [field]: value }));
    expect(status).toBe(400);
    expect(JSON.parse(text).error).toMatchObject({
      param: field,
      message: expect.stringContaining(`${field}: `),
    });
    const streamed = await answered("/v1/chat/completions", chat({ [field]: value, stream: true }));
    expect(streamed.text).toContain(`"param":"${field}"`);
  });
});

describe("a cloud that refuses a grammar", () => {
  it.each([
    ["grammar_limit", "the grammar has too many items", 400, "guided_regex"],
    ["bad_setting", "the grammar cannot be used: x", 400, "guided_regex"],
    ["bad_setting", "temperature must be a number", 400, null],
    ["server_full", "try again later", 429, null],
  ])("is told by the field, and by no other: %s, %s", async (code, message, status, param) => {
    const refuses = (): string => {
      throw new CloudError(code, message);
    };
    const answer = await answered("/v1/chat/completions", chat({ guided_regex: "a" }), refuses);
    expect([answer.status, JSON.parse(answer.text).error.param]).toEqual([status, param]);
  });
});

describe("other routes", () => {
  const request = async (method: string, path: string) => {
    const response = await endpoint()(`http://localhost${path}`, { method });
    return { response, text: await response.text() };
  };

  it.each([
    ["/v1/embeddings", "the models here write text, and make no embeddings"],
    ["/v1/images/generations", "the models here write text, and take nothing else"],
    ["/v1/audio/speech", "the models here write text"],
    ["/v1/audio/transcriptions", "the models here write text"],
    ["/v1/moderations", "there is no model for moderation here"],
    ["/v1/files", "no files are kept here"],
    ["/v1/batches", "send them one by one"],
    ["/v1/responses/compact", "conversations are not summed up here"],
    ["/v1/responses/input_tokens", "usage of an answer tells them"],
  ])("%s is not there, and says why; clients need not try again", async (path, why) => {
    const { response, text } = await request("POST", path);
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([501, "false"]);
    expect(JSON.parse(text).error).toMatchObject({
      code: "not_implemented",
      message: expect.stringContaining(why),
    });
  });

  it.each([
    ["GET", "/v1/models", 200, '"id":"script"'],
    ["GET", "/v1/models/script", 200, '"id":"script"'],
    ["GET", "/v1/models/none", 404, 'there is no model \\"none\\" here'],
    ["GET", "/v1/responses", 405, "/v1/responses takes POST, not GET"],
    ["GET", "/v1/responses/resp_none", 404, "there is no response"],
    ["GET", "/v1/responses/..%2F..%2Fetc%2Fpasswd", 404, "there is no response"],
    [
      "GET",
      "/v1/responses/resp_none?stream=true",
      400,
      "stream: a response that was made is read as a whole",
    ],
    ["GET", "/v1/responses/resp_none/input_items", 404, "there is no response"],
    ["GET", "/v1/responses/resp_none/input_items?limit=0", 404, "there is no response"],
    ["DELETE", "/v1/responses/resp_none", 404, "there is no response"],
    ["POST", "/v1/responses/resp_none/cancel", 404, "there is no response"],
    ["PUT", "/v1/responses/resp_none", 405, "takes GET or DELETE, not PUT"],
    ["GET", "/v1/chat/completions", 405, "takes POST, not GET"],
    ["GET", "/v1/embeddings", 405, "takes POST, not GET"],
    ["POST", "/v1/nothing", 404, "there is nothing at /v1/nothing"],
  ])("%s %s: %i", async (method, path, status, says) => {
    const { response, text } = await request(method, path);
    expect([response.status, text]).toEqual([status, expect.stringContaining(says)]);
  });
});

describe("this list", () => {
  it("is long enough, and a fault would be seen in it", async () => {
    expect(CHAT.length + COMPLETIONS.length + RESPONSES.length).toBeGreaterThan(130);
    const fault = (): string => {
      throw new Error("a fault");
    };
    const { status, text } = await answered("/v1/chat/completions", chat({}), fault);
    expect([status, text]).toEqual([500, expect.stringContaining("internal_error")]);
  });
});
