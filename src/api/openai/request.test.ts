import { describe, expect, it } from "vitest";
import { CloudError } from "../../edge/connection.ts";
import { toSeed } from "../../sampling/random.ts";
import { SettingError } from "../../util/errors.ts";
import { TurnstileError } from "../../util/turnstile.ts";
import type { Conversation } from "../conversation.ts";
import { asHttpError, HttpError } from "../errors.ts";
import { choiceRequests, modelBy, promptRequests } from "../requests.ts";
import { chatConversation } from "./chat.ts";
import { completionConversation } from "./completions.ts";
import { parseChat } from "./schema/chat.ts";
import { parseCompletion } from "./schema/completion.ts";

const fresh = () => toSeed(99);
const messages = [{ role: "user", content: "Hi" }];
const requestsOf = (conversation: Conversation) => {
  const prompts = conversation.prompts.map((prompt) => ({ prompt, thinkingOpen: false }));
  return choiceRequests(conversation, modelBy(null), prompts, fresh).choices.map(({ request }) => request);
};
const asked = (body: object) => requestsOf(chatConversation(parseChat(body)));
/** What its prompt is made of. */
const shown = (body: object, template: string | null = null) =>
  promptRequests(chatConversation(parseChat({ messages, ...body })), modelBy(template))[0]!;
const completed = (body: object) => requestsOf(completionConversation(parseCompletion(body)));
const problem = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    if (error instanceof HttpError) return [error.status, error.body.error.param];
    throw error;
  }
  return null;
};

describe("a chat request", () => {
  it("becomes what the edge is asked", () => {
    const [first, second] = asked({
      ...{
        messages,
        temperature: 0.5,
        top_p: 0.9,
        top_k: 7,
        min_p: 0.1,
        seed: 5,
        n: 2,
        stop: "x",
        policy: "cloud",
      },
      ...{ presence_penalty: 1, frequency_penalty: null, logit_bias: { 12: -100 }, max_tokens: 3 },
      unknown: "is ignored",
    });
    expect(first).toMatchObject({
      sampler: {
        temperature: 0.5,
        topP: 0.9,
        topK: 7,
        minP: 0.1,
        presencePenalty: 1,
        logitBias: [[12, -100]],
      },
      ...{ stop: ["x"], maxTokens: 3, seed: toSeed(5), policy: { target: true, segmentTokens: 0 } },
    });
    expect(second!.seed).toEqual(toSeed(6));
    expect(asked({ messages })).toEqual([
      {
        prompt: messages,
        markers: modelBy(null).format.markers,
        sampler: {},
        stop: [],
        seed: toSeed(99),
      },
    ]);
    expect(asked({ messages, seed: -1 })[0]!.seed).toEqual(toSeed(2n ** 64n - 1n));
  });

  it("has messages of all roles, as text or in parts", async () => {
    const [request] = asked({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b" },
          ],
        },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
        },
        { role: "tool", content: "3", tool_call_id: "1" },
      ],
    });
    expect(request!.prompt).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "a\nb", parts: ["a", "b"] },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", content: "3", tool_call_id: "1" },
    ]);
  });

  it.each([
    [{}, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "user", content: 3 }] }, "messages.0.content"],
    [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages.0.content.0.type"],
    [{ messages, temperature: 3 }, "temperature"],
    [{ messages, n: 0 }, "n"],
    [{ messages, max_tokens: 0 }, "max_tokens"],
    [{ messages, max_completion_tokens: 2 ** 31 + 1 }, "max_completion_tokens"],
    [{ messages, logprobs: true, top_logprobs: 21 }, "top_logprobs"],
    [{ messages, stop: [""] }, "stop.0"],
    [{ messages, logit_bias: { a: 1 } }, "logit_bias.a"],
    [{ messages, top_logprobs: 2 }, "top_logprobs"],
    [{ messages, response_format: { type: "xml" } }, "response_format.type"],
    [{ messages, tools: [{ type: "function", function: {} }] }, "tools.0.function.name"],
  ])("that is wrong says where: %j", (body, param) => {
    expect(problem(() => parseChat(body))).toEqual([400, param]);
  });

  it("says what the template is told of thinking", () => {
    expect(shown({}).templateVariables).toEqual({});
    expect(shown({ reasoning_effort: "high" }).templateVariables).toEqual({ reasoning_effort: "high" });
    expect(shown({ reasoning_effort: "none" }).templateVariables).toEqual({
      reasoning_effort: "none",
      enable_thinking: false,
    });
    const kwargs = { chat_template_kwargs: { enable_thinking: false, style: "x" } };
    expect(shown({ ...kwargs, enable_thinking: false }).templateVariables).toEqual({
      enable_thinking: false,
      style: "x",
    });
    expect(shown({ reasoning: { effort: "low", enabled: true } }).templateVariables).toEqual({
      reasoning_effort: "low",
      enable_thinking: true,
    });
    const { variables, budgetTokens } = chatConversation(
      parseChat({ messages, thinking: { type: "enabled", budget_tokens: 7 } }),
    ).thinking;
    expect([variables, budgetTokens]).toEqual([{ enable_thinking: true }, 7]);
    const { thinking } = chatConversation(parseChat({ messages, thinking_budget_tokens: 5 }));
    expect(thinking.budgetTokens).toBe(5);
  });

  it.each([
    [
      { enable_thinking: true, chat_template_kwargs: { enable_thinking: false } },
      "chat_template_kwargs.enable_thinking",
      "enable_thinking and chat_template_kwargs.enable_thinking say different things: send one of the two",
    ],
    [
      { reasoning_effort: "low", chat_template_kwargs: { reasoning_effort: "high" } },
      "chat_template_kwargs.reasoning_effort",
      "reasoning_effort and chat_template_kwargs.reasoning_effort say",
    ],
    [
      { reasoning_effort: "none", enable_thinking: true },
      "reasoning_effort",
      'enable_thinking and reasoning_effort "none" say',
    ],
    [
      { thinking_budget_tokens: 1, thinking_token_budget: 2 },
      "thinking_token_budget",
      "thinking_budget_tokens and",
    ],
    [
      { repetition_penalty: 1, repeat_penalty: 2 },
      "repeat_penalty",
      "repetition_penalty and repeat_penalty are one",
    ],
  ])("that says two things of one is told so: %j", (fields, param, message) => {
    const act = () => chatConversation(parseChat({ messages, ...fields }));
    expect(problem(act)).toEqual([400, param]);
    expect(act).toThrow(message);
  });

  it("takes what clients of other servers send: names, values that are off, and what changes no answer", () => {
    const [first] = asked({
      ...{
        messages,
        model: null,
        max_tokens: -1,
        top_k: -1,
        top_p: 0,
        repeat_penalty: 1.1,
        repeat_last_n: 32,
      },
      ...{ frequency_penalty: 0.5, mirostat: 0, typical_p: 1, modalities: ["text"], cache_prompt: true },
    });
    expect(first!.sampler).toEqual({
      ...{ topK: 0, topP: 1e-9, repetitionPenalty: 1.1, penaltyLastN: 32, frequencyPenalty: 0.5 },
    });
    expect(first!.maxTokens).toBeUndefined();
    expect(asked({ messages, n_predict: 4 })[0]!.maxTokens).toBe(4);
    expect(asked({ messages, max_completion_tokens: 5, max_tokens: 4 })[0]!.maxTokens).toBe(5);
    const ignored: string[] = [];
    parseChat({ messages, store: true, metadata: {}, service_tier: "auto", ttl: 5, colour: 1 }, (fields) =>
      ignored.push(...fields),
    );
    expect(ignored).toEqual(["colour"]);
  });

  it("goes on with a last message of the assistant, unless that calls, or the client does not want it", () => {
    const said = { role: "assistant", content: "Once" };
    const calls = [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }];
    const continues = (last: object, more = {}) =>
      shown({ messages: [...messages, last], ...more }).continues;
    expect([continues(said), continues(said, { continue_final_message: false })]).toEqual([true, false]);
    expect([continues({ ...said, tool_calls: calls }), continues({ role: "user", content: "b" })]).toEqual([
      false,
      false,
    ]);
  });

  it("brings back what the assistant thought", () => {
    const thought = { role: "assistant", content: "4", reasoning_content: "2 + 2" };
    const [message] = shown({ messages: [thought] }).prompt as readonly object[];
    expect(message).toEqual(thought);
  });

  it("may have functions in place of tools, and their calls", () => {
    const call = { name: "f", arguments: "{}" };
    const old = [
      ...messages,
      { role: "assistant", content: null, function_call: call },
      { role: "function", name: "f", content: "3" },
    ];
    const { prompt, tools } = shown({ messages: old, functions: [{ name: "f" }] }, "<tool_call>");
    expect(prompt).toEqual([
      messages[0],
      {
        ...{ role: "assistant", content: "" },
        tool_calls: [{ id: "call_f", type: "function", function: call }],
        written_calls: '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
      },
      { role: "tool", content: "3", tool_call_id: "call_f" },
    ]);
    expect(tools).toEqual([{ type: "function", function: { name: "f" } }]);
    const use = (function_call: unknown) =>
      chatConversation(parseChat({ messages, functions: [{ name: "f" }], function_call })).toolUse;
    expect(use("none")).toMatchObject({ mode: "none" });
    expect(use({ name: "f" })).toEqual({ mode: "required", allowed: ["f"], parallel: false });
    const both = { messages, functions: [{ name: "f" }], tools: [] };
    expect(problem(() => parseChat(both))).toEqual([400, "functions"]);
  });

  it.each([
    [{ stop: 5 }, "stop: must be a string, or a list of strings"],
    [{ messages: undefined }, "messages: must be a list, and is missing"],
    [{ messages: [] }, "messages: must have 1 or more entries"],
    [{ messages: [{ role: "x" }] }, "messages.0.role: must be system or developer or user"],
    [{ messages: [{ role: "user" }] }, "messages.0.content: must be a string, or a list of parts"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      "messages.0.content.0.type: must be text: other parts are not taken",
    ],
    [{ guided_json: 5 }, "guided_json: must be a JSON Schema, or its text"],
    [{ chat_template_kwargs: "x" }, "chat_template_kwargs: must be an object, not a string"],
    [{ logit_bias: { a: 1 } }, "logit_bias.a: is a key that is not taken here"],
    [{ n: 0 }, "n: must be 1 or more"],
    [{ n: 99 }, "n: must be 16 or less"],
    [{ seed: 1.5 }, "seed: must be a whole number, not 1.5"],
    [{ reasoning_effort: 3 }, "reasoning_effort: must be none or minimal"],
    [{ response_format: { type: "xml" } }, "response_format.type: must be text or json_object"],
    [{ tool_choice: { type: "tool" } }, "tool_choice.type: must be function or allowed_tools"],
    [
      { tool_choice: { type: "allowed_tools" } },
      "tool_choice.allowed_tools: must be an object, and is missing",
    ],
  ])("says what %j has to be", (fields, message) => {
    expect(() => parseChat({ messages, ...fields })).toThrow(message);
  });

  it("says what a prompt has to be", () => {
    expect(() => parseCompletion({})).toThrow("prompt: must be a string, token ids, or a list of either");
    expect(() => parseCompletion({ prompt: [1, "a"] })).toThrow("prompt.1: must be a token id");
  });

  it("is told which ways there are to choose a tool", () => {
    expect(() => parseChat({ messages, tool_choice: "sometimes" })).toThrow(
      "tool_choice: must be none, auto, required, a tool by its name",
    );
    expect(() => parseChat({ messages, function_call: "required" })).toThrow(
      "function_call: must be none, auto, or a function by its name",
    );
  });

  it("says how tools may be used", () => {
    const tools = ["f", "g"].map((name) => ({ type: "function", function: { name } }));
    const use = (more: object) => chatConversation(parseChat({ messages, tools, ...more })).toolUse;
    expect(use({ tool_choice: null })).toEqual({ mode: "auto", allowed: null, parallel: true });
    expect(use({ tool_choice: "required", parallel_tool_calls: false })).toEqual({
      ...{ mode: "required", allowed: null, parallel: false },
    });
    expect(use({ tool_choice: tools[1] })).toEqual({ mode: "required", allowed: ["g"], parallel: false });
    const allowed_tools = { mode: "auto", tools: [tools[0]] };
    expect(use({ tool_choice: { type: "allowed_tools", allowed_tools } })).toEqual({
      ...{ mode: "auto", allowed: ["f"], parallel: true },
    });
  });

  it("shows tools by a system message where the template does not", () => {
    const tools = [{ type: "function", function: { name: "find" } }];
    const system = (prompt: readonly object[]) =>
      (shown({ messages: prompt, tools }, "{{ messages }}").prompt as readonly { content: string }[])[0]!
        .content;
    expect(shown({ tools }, "{{ messages }}").tools).toBeUndefined();
    expect(system(messages)).toMatch(/"name":"find"/);
    const parts = { role: "system", content: [{ type: "text", text: "Be brief." }] };
    expect(system([parts, ...messages])).toMatch(/^Be brief\.\n\n[\s\S]*"name":"find"/);
    expect(shown({ tools }, "<tool_call>").tools).toEqual(tools);
  });

  it("says what a setting has to be", () => {
    const say = (field: string, value: unknown) => () => parseChat({ messages, [field]: value });
    expect(say("temperature", 3)).toThrow("temperature: must be 0, or from 0.0001 to 2, not 3");
    expect(say("top_k", -2)).toThrow("top_k: must be -1, or a whole number, 0 or more, not -2");
    expect(say("temperature", "1")).toThrow("temperature: must be a number, not a string");
  });
});

describe("a request for plain completions", () => {
  it("has one prompt or several, as text or token ids", () => {
    const prompts = (prompt: unknown) => completed({ prompt }).map((one) => one.prompt);
    expect(prompts("a")).toEqual(["a"]);
    expect(prompts(["a", "b"])).toEqual(["a", "b"]);
    expect(prompts([1, 2])).toEqual([Int32Array.of(1, 2)]);
    expect(prompts([[1], [2, 3]])).toEqual([Int32Array.of(1), Int32Array.of(2, 3)]);
    expect(completed({ prompt: "a", logprobs: 0 })[0]).toMatchObject({
      logprobs: 0,
      maxTokens: 16,
    });
  });

  it("may have a text that follows the answer, and special tokens by their names", () => {
    expect(completed({ prompt: ["a", "b"], suffix: "c" }).map(({ suffix }) => suffix)).toEqual(["c", "c"]);
    expect(completed({ prompt: "a", parse_special: true })[0]).toMatchObject({ special: true });
    const [plain] = completed({ prompt: "a", suffix: "", parse_special: null });
    expect([plain!.suffix, plain!.special]).toEqual([undefined, undefined]);
  });

  it.each([
    [{}, "prompt"],
    [{ prompt: "a", echo: true, logprobs: 0 }, "echo"],
    [{ prompt: [1], suffix: "b" }, "suffix"],
    [{ prompt: [[1], [2]], suffix: "b" }, "suffix"],
    [{ prompt: "a", best_of: 3 }, "best_of"],
  ])("that is wrong says where: %j", (body, param) => {
    expect(problem(() => parseCompletion(body))).toEqual([400, param]);
  });
});

it.each([
  [[]],
  [[2 ** 31 + 5]],
  [[2 ** 32 + 5]],
  [[1.5]],
  [[-1]],
])("%j is no prompt of token ids", (prompt) => {
  const told = problem(() => parseCompletion({ prompt }));
  expect(told?.[0]).toBe(400);
  expect(told?.[1]).toMatch(/^prompt/);
});

describe("errors", () => {
  it.each([
    [new SettingError("prompt", "the context leaves no room"), 400, "context_length_exceeded"],
    [new SettingError("temperature", "no"), 400, "invalid_value"],
    [new CloudError("server_full", "full"), 429, "rate_limit_exceeded"],
    [new CloudError("connection_lost", "gone"), 503, "connection_lost"],
    [new CloudError("constructor", "a peer's word"), 503, "constructor"],
    [new CloudError("__proto__", "a peer's word"), 503, "__proto__"],
    [new CloudError("grammar_limit", "too many items"), 400, "grammar_limit"],
    [new TurnstileError("full", "256 wait"), 429, "rate_limit_exceeded"],
    [new Error("bug"), 500, "internal_error"],
  ])("have OpenAI's shape: %s", (error, status, code) => {
    const known = asHttpError(error);
    expect([known.status, known.body.error.code]).toEqual([status, code]);
    expect(Object.keys(known.body.error)).toEqual(["message", "type", "param", "code"]);
  });
});
