import { describe, expect, it } from "vitest";
import { PipelineStatistics } from "../../../edge/core/statistics.ts";
import type { AnsweredToken } from "../../../edge/edge.ts";
import type { Tokenizer } from "../../../text/tokenizer.ts";
import type { ConversationEvent } from "../../conversation.ts";
import { HttpError } from "../../errors.ts";
import { parseResponse } from "./schema.ts";
import { type ResponseEvent, ResponseWriter, type WriterShape } from "./writer.ts";

/** What becomes of the events of an answer, without a model. */

const tokenizer = { piece: (id: number) => Uint8Array.of(id) } as unknown as Tokenizer;

function writer(body: object = {}, more: Partial<WriterShape> = {}): ResponseWriter {
  let ids = 0;
  const given = { input: "Hi", ...body };
  const head = { id: "resp_x", created: 1, model: "m", body: parseResponse(given), given };
  return new ResponseWriter(head, {
    ...{ tokenizer, wantsLogprobs: false, names: new Map(), nowSeconds: () => 2 },
    ...{ freshId: (kind: string) => `${kind}_${ids++}`, ...more },
  });
}

const text = (said: string, tokens: readonly AnsweredToken[] = []): ConversationEvent => ({
  ...{ choice: 0, kind: "text", text: said, tokens },
});
const thought = (said: string): ConversationEvent => ({
  choice: 0,
  kind: "reasoning",
  text: said,
  tokens: [],
});
const call = (name: string, args: string): ConversationEvent[] => [
  { choice: 0, kind: "call", id: null, call: 0, name },
  { choice: 0, kind: "arguments", call: 0, text: args },
];
const end = (reason: "end" | "length" = "end"): ConversationEvent => ({
  ...{ choice: 0, kind: "end" },
  end: {
    ...{ answeredBy: "target", reason, promptTokens: 3, reasoningTokens: 0 },
    statistics: new PipelineStatistics(),
  },
});
/** A letter with its logprob. */
const letter = (char: string): AnsweredToken => {
  const token = char.charCodeAt(0);
  const logprobs = { logprob: -1, topIds: Int32Array.of(token), topLogprobs: Float32Array.of(-1) };
  return { token, text: char, origin: "target", logprobs } as unknown as AnsweredToken;
};

function run(one: ResponseWriter, events: readonly ConversationEvent[]): ResponseEvent[] {
  return [...one.begin(), ...events.flatMap((event) => one.push(event))];
}

describe("a writer of responses", () => {
  it("gives each token's logprobs once: with the text that it is of, or with the last of it", () => {
    const one = writer({}, { wantsLogprobs: true });
    const events = run(one, [
      text("", [letter("H")]),
      text("Hi", [letter("i")]),
      text("", [letter("!")]),
      end(),
    ]);
    const told = (type: string) =>
      events
        .filter((event) => event.type === type)
        .flatMap((event) => (event.logprobs as { token: string }[]).map(({ token }) => token));
    expect(told("response.output_text.delta")).toEqual(["H", "i"]);
    expect(told("response.output_text.done")).toEqual(["H", "i", "!"]);
    const [message] = one.output as unknown as [{ content: [{ logprobs: unknown[] }] }];
    expect(message.content[0].logprobs).toHaveLength(3);
    expect(message.content[0].logprobs[0]).toEqual({
      ...{ token: "H", logprob: -1, bytes: [72] },
      top_logprobs: [{ token: "H", logprob: -1, bytes: [72] }],
    });
  });

  it("makes no message of the space between a thought and a call, and keeps that before a text", () => {
    const one = writer();
    run(one, [thought("Hm"), text("\n\n"), ...call("f", "{}"), text("\n"), text(" Done"), end()]);
    expect(one.output.map(({ type }) => type)).toEqual(["reasoning", "function_call", "message"]);
    expect(one.output[2]).toMatchObject({ content: [{ text: "\n Done" }] });
  });

  it("says something, if only nothing", () => {
    const one = writer();
    run(one, [end()]);
    expect(one.whole).toMatchObject({ status: "completed", output: [{ content: [{ text: "" }] }] });
  });

  it("leaves what was cut as it is: incomplete", () => {
    const one = writer();
    run(one, [thought("Hm"), text("Yes"), ...call("f", '{"a": '), end("length")]);
    expect(one.output.map(({ status }) => status)).toEqual(["completed", "completed", "incomplete"]);
    expect(one.whole).toMatchObject({ status: "incomplete", completed_at: null });
  });

  it("takes the input of a custom tool from its arguments, whatever they are", () => {
    const names = new Map([["f", { kind: "custom", name: "f", namespace: null } as const]]);
    const inputs = ['{"input": "a"}', '{"other": 1}', "no JSON", "null"].map((args) => {
      const one = writer({}, { names });
      run(one, [...call("f", args), end()]);
      return one.output[0]!.input;
    });
    expect(inputs).toEqual(["a", '{"other": 1}', "no JSON", "null"]);
  });

  it("fails once, with what was said so far", () => {
    const one = writer();
    run(one, [text("Hal")]);
    const told = (code: string, status: number) => {
      const other = writer();
      return (other.fail(new HttpError(status, code, "why")).response as { error: unknown }).error;
    };
    const failed = one.fail(new HttpError(503, "away", "the cloud is away"));
    expect(failed).toMatchObject({
      type: "response.failed",
      response: {
        ...{ status: "failed", error: { code: "server_error", message: "the cloud is away" } },
        output: [{ status: "incomplete", content: [{ text: "Hal" }] }],
      },
    });
    expect(one.fail(new HttpError(400, "x", "another"))).toBe(failed);
    expect(told("context_length_exceeded", 400)).toEqual({ code: "context_length_exceeded", message: "why" });
    expect(told("rate_limit_exceeded", 429)).toEqual({ code: "rate_limit_exceeded", message: "why" });
    expect(told("invalid_value", 400)).toEqual({ code: "invalid_prompt", message: "why" });
  });
});
