import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";

/** Clients that people use, unmodified, against an edge and a cloud in processes of their own. */

const PERSON = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 1, maximum: 99 } },
  required: ["name", "age"],
  additionalProperties: false,
} as const;
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
} as const;
const STORY = [{ role: "user", content: "Tell me a story about a frog and a lantern." }] as const;

let cloud: RunningCloud;
let edge: RunningCloud;
let openai: OpenAI;
beforeAll(async () => {
  cloud = await startCloud();
  edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER]);
  openai = new OpenAI({ baseURL: edge.url, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  await edge?.stop();
  await cloud?.stop();
});

const ask = (more: object = {}) =>
  openai.chat.completions.create({
    model: "pico",
    messages: [...STORY],
    temperature: 0,
    max_tokens: 40,
    ...more,
    stream: false,
  });

/** Answers that the edge is making. */
async function activeAnswers(): Promise<number> {
  const health = await fetch(edge.url.replace("/v1", "/health"));
  return ((await health.json()) as { active: number }).active;
}

describe("the openai client", () => {
  it("gets an answer, and what it took", async () => {
    const { choices, usage, object } = await ask();
    expect(object).toBe("chat.completion");
    expect(choices[0]!.message.role).toBe("assistant");
    expect(choices[0]!.message.content!.length).toBeGreaterThan(60);
    expect(choices[0]!.finish_reason).toBe("length");
    expect(usage).toMatchObject({ completion_tokens: 40 });
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + 40);
    const { accepted_prediction_tokens: accepted = 0 } = usage!.completion_tokens_details!;
    expect(accepted).toBeGreaterThan(0);
  });

  it("streams the same text in parts, with the usage last", async () => {
    const whole = await ask();
    const stream = await openai.chat.completions.create({
      model: "pico",
      messages: [...STORY],
      temperature: 0,
      max_tokens: 40,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect(text).toBe(whole.choices[0]!.message.content);
    expect(chunks.length).toBeGreaterThan(10);
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe("length");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 40 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  it("stops before a string, whole or streamed", async () => {
    const free = (await ask()).choices[0]!.message.content!;
    const stop = free.slice(22, 27);
    const { choices } = await ask({ stop: ["never there", stop] });
    expect(choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: free.slice(0, free.indexOf(stop)) },
    });
  });

  it("gets the same text for the same seed, and others for others", async () => {
    const text = async (seed: number) => (await ask({ temperature: 1, seed })).choices[0]!.message.content;
    expect(await text(7)).toBe(await text(7));
    expect(await text(7)).not.toBe(await text(8));
    const { choices } = await ask({ temperature: 1, seed: 7, n: 3 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(choices.map(({ message }) => message.content)).toEqual([
      await text(7),
      await text(8),
      await text(9),
    ]);
  });

  it("gets logprobs of the tokens that it got", async () => {
    const { choices } = await ask({ logprobs: true, top_logprobs: 3, max_tokens: 12 });
    const content = choices[0]!.logprobs!.content!;
    expect(content).toHaveLength(12);
    expect(content.map(({ token }) => token).join("")).toBe(choices[0]!.message.content);
    for (const { token, logprob, bytes, top_logprobs: top } of content) {
      // Greedy: the token is the likeliest.
      expect(top[0]).toEqual({ token, logprob, bytes });
      expect(top).toHaveLength(3);
      expect(top[1]!.logprob).toBeLessThanOrEqual(logprob);
      expect(logprob).toBeLessThanOrEqual(0);
    }
  });

  it("calls the tool that it has to, whole and streamed, and goes on with the result", async () => {
    const tools = [WEATHER];
    const tool_choice = { type: "function", function: { name: "get_weather" } } as const;
    const messages = [{ role: "user", content: "How is the weather in Oslo?" }] as const;
    const { choices } = await ask({ messages, tools, tool_choice, max_tokens: 150 });
    expect(choices[0]!.finish_reason).toBe("tool_calls");
    const call = choices[0]!.message.tool_calls![0]! as OpenAI.ChatCompletionMessageFunctionToolCall;
    expect(call).toMatchObject({ type: "function", function: { name: "get_weather" } });
    expect(JSON.parse(call.function.arguments)).toEqual({ city: "Oslo" });

    const stream = openai.chat.completions.stream({
      model: "pico",
      messages: [...messages],
      temperature: 0,
      max_tokens: 150,
      tools,
      tool_choice,
    });
    const streamed = (await stream.finalChatCompletion()).choices[0]!.message.tool_calls![0]!;
    expect(streamed).toMatchObject({ type: "function", function: call.function });

    const result = { role: "tool", tool_call_id: call.id, content: '{"sky": "cloudy", "degrees": 21}' };
    const after = await ask({ messages: [...messages, choices[0]!.message, result], tools });
    expect(after.choices[0]!.finish_reason).toBe("stop");
    expect(after.choices[0]!.message.content).toBe("It is cloudy in Oslo, with 21 degrees.");
    // It calls by itself as well, and does not when it must not.
    const own = await ask({ messages, tools, max_tokens: 150 });
    expect(own.choices[0]!.message.tool_calls?.[0]).toMatchObject({ function: call.function });
    const none = await ask({ messages, tools, tool_choice: "none" });
    expect(none.choices[0]!.message.tool_calls ?? []).toEqual([]);
  });

  it("gets JSON that fits a schema, and JSON of any kind", async () => {
    const format = { type: "json_schema", json_schema: { name: "person", schema: PERSON, strict: true } };
    for (let seed = 0; seed < 5; seed++) {
      const { choices } = await ask({ temperature: 1.2, seed, response_format: format, max_tokens: 100 });
      expect(choices[0]!.finish_reason).toBe("stop");
      const { name, age, ...rest } = JSON.parse(choices[0]!.message.content!);
      expect([typeof name, Number.isInteger(age), rest]).toEqual(["string", true, {}]);
      expect(age).toBeGreaterThanOrEqual(1);
      expect(age).toBeLessThanOrEqual(99);
    }
    const { choices } = await ask({ response_format: { type: "json_object" }, max_tokens: 60 });
    expect(choices[0]!.message.content).toMatch(/^\{/);
  });

  it("can be told to stop: the work ends on both sides", async () => {
    const abort = new AbortController();
    const stream = await openai.chat.completions.create(
      { model: "pico", messages: [...STORY], stream: true, temperature: 1, logit_bias: { 1: -100 } },
      { signal: abort.signal },
    );
    let chunks = 0;
    await expect(
      (async () => {
        for await (const _ of stream) if (++chunks === 5) abort.abort();
      })(),
    ).resolves.toBeUndefined();
    await expect.poll(activeAnswers).toBe(0);
  });

  it("gets errors in the shape that it knows", async () => {
    const error = (more: object) => ask(more).catch((failure) => failure);
    expect(await error({ temperature: 9 })).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      param: "temperature",
    });
    expect(await error({ messages: [{ role: "robot", content: "" }] })).toMatchObject({
      status: 400,
      param: "messages.0.role",
    });
    expect(await error({ messages: [] })).toMatchObject({ status: 400, param: "messages" });
    expect(await error({ tool_choice: "required" })).toMatchObject({ status: 400, param: "tool_choice" });
    expect(await error({ top_logprobs: 3 })).toMatchObject({ status: 400, param: "top_logprobs" });
    expect(await error({ policy: "fast" })).toMatchObject({
      status: 400,
      message: expect.stringMatching(/there are cloud/),
    });
    expect(
      await error({
        response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "poem" } } },
      }),
    ).toMatchObject({ status: 400, message: expect.stringMatching(/type at #\/type cannot be kept/) });
    const long = [{ role: "user", content: "word ".repeat(20_000) }];
    expect(await error({ messages: long })).toMatchObject({ status: 400, code: "context_length_exceeded" });
    await expect(openai.models.retrieve("gpt-9")).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(["pico-target-q8_0.gguf"]);
  });

  it("completes plain text, several prompts at a time, with logprobs and by token ids", async () => {
    const { choices, usage } = await openai.completions.create({
      model: "pico",
      prompt: ["Once upon", "Once upon a"],
      max_tokens: 8,
      temperature: 0,
      logprobs: 2,
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    for (const { logprobs, text } of choices) {
      expect(logprobs!.tokens!.join("")).toBe(text);
      expect(logprobs!.text_offset![0]).toBe(0);
      expect(Object.keys(logprobs!.top_logprobs![0]!)).toHaveLength(2);
    }
    expect(usage!.completion_tokens).toBe(16);
    const byId = await openai.completions.create({ model: "pico", prompt: [0, 65, 66], max_tokens: 4 });
    expect(byId.usage!.prompt_tokens).toBe(3);
  });

  it("counts each of several prompts once in usage, whatever the number of choices", async () => {
    const usageFor = async (prompt: string | string[], n: number) =>
      (await openai.completions.create({ model: "pico", prompt, n, max_tokens: 2 })).usage!;
    const alone = [await usageFor("Once upon", 1), await usageFor("The frog and the lantern", 1)];
    const { prompt_tokens, completion_tokens } = await usageFor(["Once upon", "The frog and the lantern"], 3);
    expect(prompt_tokens).toBe(alone[0]!.prompt_tokens + alone[1]!.prompt_tokens);
    expect(completion_tokens).toBe(12);
  });
});

describe("the AI SDK", () => {
  const model = () =>
    createOpenAICompatible({ name: "picospec", baseURL: edge.url, supportsStructuredOutputs: true })("pico");
  const plain = { prompt: STORY[0].content, temperature: 0, maxOutputTokens: 40, maxRetries: 0 };

  it("gets an answer, whole and streamed", async () => {
    const { text, usage, finishReason } = await generateText({ model: model(), ...plain });
    expect(text.length).toBeGreaterThan(60);
    expect(usage.outputTokens).toBe(40);
    expect(finishReason).toBe("length");
    let streamed = "";
    for await (const part of streamText({ model: model(), ...plain }).textStream) streamed += part;
    expect(streamed).toBe(text);
  });

  it("calls a tool that it has to, and stops where it is told to", async () => {
    const { toolCalls } = await generateText({
      model: model(),
      ...plain,
      maxOutputTokens: 150,
      prompt: "How is the weather in Oslo?",
      toolChoice: { type: "tool", toolName: "get_weather" },
      tools: {
        get_weather: tool({
          description: "The weather in a city",
          inputSchema: jsonSchema<{ city: string }>(WEATHER.function.parameters as never),
        }),
      },
    });
    expect(toolCalls[0]).toMatchObject({ toolName: "get_weather", input: { city: "Oslo" } });
    const { text } = await generateText({ model: model(), ...plain });
    const stopped = await generateText({ model: model(), ...plain, stopSequences: [text.slice(20, 24)] });
    expect(stopped.text).toBe(text.slice(0, text.indexOf(text.slice(20, 24))));
  });

  it("gets the same for the same seed, and an error that it knows", async () => {
    const text = async (seed: number) =>
      (await generateText({ model: model(), ...plain, temperature: 1, seed })).text;
    expect(await text(5)).toBe(await text(5));
    expect(await text(5)).not.toBe(await text(6));
    await expect(generateText({ model: model(), ...plain, temperature: 9 })).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringMatching(/temperature/),
    });
  });

  it("can be told to stop", async () => {
    const abort = new AbortController();
    const { textStream } = streamText({
      model: model(),
      ...plain,
      maxOutputTokens: 400,
      abortSignal: abort.signal,
    });
    let parts = 0;
    for await (const _ of textStream) if (++parts === 3) abort.abort();
    expect(parts).toBeGreaterThanOrEqual(3);
    await expect.poll(activeAnswers).toBe(0);
  });
});
