import type { WholeChoice } from "../choices.ts";
import type { ChoiceEnd, ConversationEvent } from "../conversation.ts";
import type { ServerEvent } from "../face.ts";

/** Messages as Anthropic's API answers them. */

export interface MessageShape {
  readonly id: string;
  readonly model: string;
  /** of the prompt, as it was read */
  readonly promptTokens: number;
  /** an id for a call, new each time */
  readonly callId: () => string;
  /** what a thought is signed with: clients send it back, and nothing reads it */
  readonly signature: string;
}

type StopReason = "end_turn" | "max_tokens" | "tool_use" | "stop_sequence";

interface Usage {
  /** of the prompt, but for those that the cloud had computed before */
  readonly input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly output_tokens: number;
}

export function wholeMessage(choice: WholeChoice, shape: MessageShape): object {
  const { text, reasoning, calls, end } = choice;
  const content = [
    ...(reasoning === "" ? [] : [{ type: "thinking", thinking: reasoning, signature: shape.signature }]),
    ...(text === "" ? [] : [{ type: "text", text }]),
    ...calls.map((call) => ({
      type: "tool_use",
      id: call.id ?? shape.callId(),
      name: call.name,
      input: inputOf(call.arguments),
    })),
  ];
  return { ...head(shape), content, ...stopOf(end, calls.length), usage: usageOf(end) };
}

/** A call that was cut off has arguments that are no JSON. */
function inputOf(written: string): unknown {
  try {
    return JSON.parse(written) ?? {};
  } catch {
    return {};
  }
}

function head({ id, model }: MessageShape): object {
  return { id, type: "message", role: "assistant", model };
}

function stopOf(
  { reason, stopString }: ChoiceEnd,
  calls: number,
): { readonly stop_reason: StopReason; readonly stop_sequence: string | null } {
  if (reason === "length" || reason === "context") return { stop_reason: "max_tokens", stop_sequence: null };
  if (reason === "stop") return { stop_reason: "stop_sequence", stop_sequence: stopString ?? null };
  return { stop_reason: calls > 0 ? "tool_use" : "end_turn", stop_sequence: null };
}

function usageOf({ promptTokens, statistics }: ChoiceEnd): Usage {
  const cached = statistics.usage?.reusedTokens ?? 0;
  return {
    input_tokens: promptTokens - cached,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: 0,
    output_tokens: statistics.tokens,
  };
}

/** The events of a streamed message, in order. */
export async function* messageEvents(
  events: AsyncIterable<ConversationEvent>,
  shape: MessageShape,
): AsyncGenerator<ServerEvent, void, undefined> {
  const nothing = { cache_read_input_tokens: 0, cache_creation_input_tokens: 0, output_tokens: 0 };
  const usage = { input_tokens: shape.promptTokens, ...nothing };
  const open = { content: [], stop_reason: null, stop_sequence: null, usage };
  yield event("message_start", { message: { ...head(shape), ...open } });
  yield event("ping", {});
  const blocks = new Blocks(shape);
  for await (const one of events) {
    if (one.kind !== "end") {
      yield* blocks.push(one);
      continue;
    }
    yield* blocks.end();
    yield event("message_delta", { delta: stopOf(one.end, blocks.calls), usage: usageOf(one.end) });
    yield event("message_stop", {});
  }
}

function event(name: string, fields: object): ServerEvent {
  return { name, data: { type: name, ...fields } };
}

/** The blocks of a message: one is open at a time, and another kind of content begins another. */
class Blocks {
  calls = 0;
  private readonly shape: MessageShape;
  private index = -1;
  private open: "text" | "thinking" | "tool_use" | null = null;

  constructor(shape: MessageShape) {
    this.shape = shape;
  }

  *push(said: Exclude<ConversationEvent, { kind: "end" }>): Generator<ServerEvent, void, undefined> {
    switch (said.kind) {
      case "text":
        if (said.text === "") return;
        yield* this.begin("text", { text: "" });
        yield this.delta({ type: "text_delta", text: said.text });
        return;
      case "reasoning":
        if (said.text === "") return;
        yield* this.begin("thinking", { thinking: "", signature: "" });
        yield this.delta({ type: "thinking_delta", thinking: said.text });
        return;
      case "call":
        yield* this.end();
        this.calls++;
        yield* this.begin("tool_use", { id: said.id ?? this.shape.callId(), name: said.name, input: {} });
        return;
      case "arguments":
        yield this.delta({ type: "input_json_delta", partial_json: said.text });
        return;
      default:
        said satisfies never;
    }
  }

  /** Ends the block that is open, if there is one. */
  *end(): Generator<ServerEvent, void, undefined> {
    if (this.open === null) return;
    if (this.open === "thinking")
      yield this.delta({ type: "signature_delta", signature: this.shape.signature });
    this.open = null;
    yield event("content_block_stop", { index: this.index });
  }

  private *begin(type: NonNullable<Blocks["open"]>, empty: object): Generator<ServerEvent, void, undefined> {
    if (this.open === type && type !== "tool_use") return;
    yield* this.end();
    this.open = type;
    this.index++;
    yield event("content_block_start", { index: this.index, content_block: { type, ...empty } });
  }

  private delta(delta: object): ServerEvent {
    return event("content_block_delta", { index: this.index, delta });
  }
}
