import { describe, expect, it } from "vitest";
import { ByteTokenizer } from "../../../test/support/byte-grammars.ts";
import { PipelineStatistics } from "../../edge/core/statistics.ts";
import type { AnsweredToken } from "../../edge/edge.ts";
import { gathered } from "../choices.ts";
import type { ConversationEvent } from "../conversation.ts";
import { answerLines, chatSaid, type OllamaShape, questionSaid, wholeAnswer } from "./response.ts";

/** Events of an answer as lines, and as one object. */

const statistics = Object.assign(new PipelineStatistics(), {
  ...{ startedMs: 110, firstTokenMs: 130, lastTokenMs: 180.25, tokens: 6 },
});
const end = (reason: "end" | "stop" | "length" | "context" = "end"): ConversationEvent => ({
  ...{ kind: "end", choice: 0 },
  end: { answeredBy: "target", reason, promptTokens: 7, statistics, reasoningTokens: 0 },
});
const text = (said: string, tokens: AnsweredToken[] = []): ConversationEvent => ({
  ...{ kind: "text", choice: 0, text: said, tokens },
});
const thought = (said: string): ConversationEvent => ({
  ...{ kind: "reasoning", choice: 0, text: said, tokens: [] },
});
const call = (number: number, name: string, id: string | null = null): ConversationEvent => ({
  ...{ kind: "call", choice: 0, call: number, name, id },
});
const args = (number: number, part: string): ConversationEvent => ({
  ...{ kind: "arguments", choice: 0, call: number, text: part },
});
const token = (id: number): AnsweredToken => ({
  ...{ token: id, text: String.fromCharCode(id), origin: "draft" },
  logprobs: { logprob: -0.5, topIds: Int32Array.of(id, 66), topLogprobs: Float32Array.of(-0.5, -1) },
});

function shape(more: Partial<OllamaShape> = {}): OllamaShape {
  let calls = 0;
  return {
    ...{ model: "m:latest", tokenizer: new ByteTokenizer(), wantsLogprobs: false, said: chatSaid },
    callId: () => `call_${calls++}`,
    nowText: () => "2026-01-02T03:04:05.678Z",
    times: { askedMs: 100, begunMs: 108.5, nowMs: () => 200 },
    ...more,
  };
}

async function* of(events: readonly ConversationEvent[]) {
  yield* events;
}
async function lines(events: readonly ConversationEvent[], more: Partial<OllamaShape> = {}) {
  const all: Record<string, unknown>[] = [];
  for await (const line of answerLines(of(events), shape(more))) all.push(line as Record<string, unknown>);
  return all;
}
async function whole(events: readonly ConversationEvent[], more: Partial<OllamaShape> = {}) {
  const [choice] = await gathered(1, of(events));
  return wholeAnswer(choice!, shape(more)) as Record<string, unknown>;
}

const head = { model: "m:latest", created_at: "2026-01-02T03:04:05.678Z" };
const FIGURES = {
  ...{ done: true, total_duration: 100_000_000, load_duration: 8_500_000 },
  ...{ prompt_eval_count: 7, prompt_eval_duration: 20_000_000 },
  ...{ eval_count: 6, eval_duration: 50_250_000 },
};

describe("an answer", () => {
  it("is a line for each piece, and a last one with its figures in nanoseconds", async () => {
    expect(await lines([thought("Hm"), text("Hel"), text(""), text("lo"), end()])).toEqual([
      { ...head, message: { role: "assistant", content: "", thinking: "Hm" }, done: false },
      { ...head, message: { role: "assistant", content: "Hel" }, done: false },
      { ...head, message: { role: "assistant", content: "lo" }, done: false },
      { ...head, message: { role: "assistant", content: "" }, done_reason: "stop", ...FIGURES },
    ]);
  });

  it("is one object where it is not streamed", async () => {
    const said = [thought("Hm"), text("Hel"), text("lo"), end("length")];
    expect(await whole(said)).toEqual({
      ...{ ...head, message: { role: "assistant", content: "Hello", thinking: "Hm" } },
      ...{ done_reason: "length", ...FIGURES },
    });
    expect(await whole(said, { said: questionSaid })).toEqual({
      ...{ ...head, response: "Hello", thinking: "Hm", done_reason: "length", ...FIGURES },
    });
  });

  it.each([
    ["end", "stop"],
    ["stop", "stop"],
    ["length", "length"],
    ["context", "length"],
  ] as const)("that ends by %s says %s", async (reason, told) => {
    expect((await lines([end(reason)]))[0]).toMatchObject({ done_reason: told });
  });

  it("of no tokens took no time for them", async () => {
    const none = {
      ...end(),
      end: { ...(end() as { end: object }).end, statistics: new PipelineStatistics() },
    };
    expect((await lines([none as ConversationEvent]))[0]).toMatchObject({
      ...{ prompt_eval_duration: 0, eval_duration: 0, eval_count: 0 },
    });
  });
});

describe("calls", () => {
  const two = [
    ...[text("Look: "), call(0, "add"), text("", []), args(0, '{"a": '), text("", []), args(0, "3}")],
    ...[call(1, "now", "own"), args(1, "{}")],
  ];
  const made = [
    { id: "call_0", function: { index: 0, name: "add", arguments: { a: 3 } } },
    { id: "own", function: { index: 1, name: "now", arguments: {} } },
  ];

  it("come whole, with arguments that are objects, in a stream", async () => {
    const said = (await lines([...two, end()])).map(({ message }) => message);
    expect(said).toEqual([
      { role: "assistant", content: "Look: " },
      { role: "assistant", content: "", tool_calls: [made[0]] },
      { role: "assistant", content: "", tool_calls: [made[1]] },
      { role: "assistant", content: "" },
    ]);
  });

  it("come before the text that follows them", async () => {
    const said = (await lines([...two.slice(1), text("So."), end()])).map(({ message }) => message);
    expect(said.map((one) => Object.keys(one as object).includes("tool_calls"))).toEqual([
      ...[true, true, false, false],
    ]);
  });

  it("are the same where it is not streamed", async () => {
    expect(await whole([...two, end()])).toMatchObject({ message: { content: "Look: ", tool_calls: made } });
  });

  it("that are cut off within their arguments are none", async () => {
    const cut = [call(0, "add"), args(0, '{"a": '), end("length")];
    expect(await lines(cut)).toHaveLength(1);
    expect((await whole(cut)).message).not.toHaveProperty("tool_calls");
  });
});

describe("logprobs", () => {
  const entry = { token: "A", logprob: -0.5, bytes: [65] };
  const told = [{ ...entry, top_logprobs: [entry, { token: "B", logprob: -1, bytes: [66] }] }];
  const said = [text("A", [token(65)]), text("", [token(65)]), end()];

  it("are with the text of their tokens, also where that says nothing", async () => {
    const all = await lines(said, { wantsLogprobs: true });
    expect(all.map(({ logprobs }) => logprobs)).toEqual([told, told, undefined]);
    expect(await whole(said, { wantsLogprobs: true })).toMatchObject({ logprobs: [...told, ...told] });
  });

  it("are not where nobody asked", async () => {
    expect((await lines(said)).map(({ logprobs }) => logprobs)).toEqual([undefined, undefined]);
    expect(await whole(said)).not.toHaveProperty("logprobs");
  });
});
