import type { TokenLogprob } from "../../logprobs.ts";
import { sealed } from "./items.ts";
import type { StoredItem } from "./store.ts";
import { argumentsInput, type ToolName } from "./tools.ts";

/** Items of an answer, as they come: each tells what happens to it as events, which get their numbers elsewhere. */

/** An event of a stream without the fields that all of its kind have. */
export type ItemEvent = Readonly<Record<string, unknown>> & { readonly type: string };

type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface OutputItem {
  readonly id: string;
  /** what comes after that it was added */
  begin(): ItemEvent[];
  /** what comes before that it is done */
  end(): ItemEvent[];
  /** as it is so far */
  item(status: ItemStatus): StoredItem;
}

/** Text for the client. */
export class MessageItem implements OutputItem {
  readonly id: string;
  private text = "";
  private readonly logprobs: TokenLogprob[] = [];
  /** the part has begun */
  private begun = false;

  constructor(id: string) {
    this.id = id;
  }

  begin(): ItemEvent[] {
    const part = { ...this.part };
    this.begun = true;
    return [{ type: "response.content_part.added", content_index: 0, part }];
  }

  push(delta: string, logprobs: readonly TokenLogprob[]): ItemEvent[] {
    this.text += delta;
    this.logprobs.push(...logprobs);
    return [{ type: "response.output_text.delta", content_index: 0, delta, logprobs }];
  }

  end(): ItemEvent[] {
    const { text, logprobs } = this;
    return [
      { type: "response.output_text.done", content_index: 0, text, logprobs: [...logprobs] },
      { type: "response.content_part.done", content_index: 0, part: this.part },
    ];
  }

  item(status: ItemStatus): StoredItem {
    const content = this.begun ? [this.part] : [];
    return { id: this.id, type: "message", status, role: "assistant", content };
  }

  private get part(): object {
    return { type: "output_text", text: this.text, annotations: [], logprobs: [...this.logprobs] };
  }
}

export interface ReasoningShape {
  /** the client reads summaries: a thought is its own, since nobody sums it up */
  readonly summary: boolean;
  /** it wants what it can give back */
  readonly seals: boolean;
}

/** What the model thinks. */
export class ReasoningItem implements OutputItem {
  readonly id: string;
  private readonly shape: ReasoningShape;
  private text = "";
  private begun = false;

  constructor(id: string, shape: ReasoningShape) {
    this.id = id;
    this.shape = shape;
  }

  begin(): ItemEvent[] {
    this.begun = true;
    const part = { type: "summary_text", text: "" };
    return [
      ...(this.shape.summary
        ? [{ type: "response.reasoning_summary_part.added", summary_index: 0, part }]
        : []),
      {
        ...{ type: "response.content_part.added", content_index: 0 },
        part: { type: "reasoning_text", text: "" },
      },
    ];
  }

  push(delta: string): ItemEvent[] {
    this.text += delta;
    return [
      ...(this.shape.summary
        ? [{ type: "response.reasoning_summary_text.delta", summary_index: 0, delta }]
        : []),
      { type: "response.reasoning_text.delta", content_index: 0, delta },
    ];
  }

  end(): ItemEvent[] {
    const { text } = this;
    const part = { type: "summary_text", text };
    return [
      { type: "response.reasoning_text.done", content_index: 0, text },
      {
        ...{ type: "response.content_part.done", content_index: 0 },
        part: { type: "reasoning_text", text },
      },
      ...(this.shape.summary
        ? [
            { type: "response.reasoning_summary_text.done", summary_index: 0, text },
            { type: "response.reasoning_summary_part.done", summary_index: 0, part },
          ]
        : []),
    ];
  }

  item(status: ItemStatus): StoredItem {
    const { text, begun } = this;
    const { summary, seals } = this.shape;
    return {
      ...{ id: this.id, type: "reasoning", status },
      summary: begun && summary ? [{ type: "summary_text", text }] : [],
      content: begun ? [{ type: "reasoning_text", text }] : [],
      ...(seals ? { encrypted_content: sealed(text) } : {}),
    };
  }
}

/** A call of a tool. */
export class CallItem implements OutputItem {
  readonly id: string;
  private readonly callId: string;
  private readonly tool: ToolName;
  private arguments = "";

  constructor(id: string, callId: string, tool: ToolName) {
    this.id = id;
    this.callId = callId;
    this.tool = tool;
  }

  begin(): ItemEvent[] {
    return [];
  }

  push(delta: string): ItemEvent[] {
    this.arguments += delta;
    // The input of a custom tool is known when its arguments are whole.
    if (this.tool.kind === "custom" || delta === "") return [];
    return [{ type: "response.function_call_arguments.delta", delta }];
  }

  end(): ItemEvent[] {
    const { arguments: args, tool } = this;
    if (tool.kind === "function")
      return [{ type: "response.function_call_arguments.done", name: tool.name, arguments: args }];
    const input = argumentsInput(args);
    return [
      { type: "response.custom_tool_call_input.delta", delta: input },
      { type: "response.custom_tool_call_input.done", input },
    ];
  }

  item(status: ItemStatus): StoredItem {
    const { id, callId: call_id, arguments: args } = this;
    const { kind, name, namespace } = this.tool;
    const named = { status, call_id, name, ...(namespace === null ? {} : { namespace }) };
    if (kind === "function") return { id, type: "function_call", ...named, arguments: args };
    return {
      id,
      type: "custom_tool_call",
      ...named,
      input: status === "in_progress" ? "" : argumentsInput(args),
    };
  }
}
