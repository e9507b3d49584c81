import type { ChatMessage, ToolCall } from "../../../text/conversation.ts";
import { HttpError } from "../../errors.ts";
import type { ContentPart, Item } from "./item-schema.ts";
import { inputArguments, shownName } from "./tools.ts";

/** Items of a conversation as messages of a chat. */

/**
 * What the assistant thinks, says and calls in a row is one message of its own; instructions and what the system says
 * before anybody else are one, too: many templates have one place for that.
 * @param field of each item, as errors name it
 * @throws HttpError 400 for an output without its call
 */
export function messagesOf(
  instructions: string | null | undefined,
  items: readonly Item[],
  field: (index: number) => string,
): ChatMessage[] {
  const messages: ChatMessage[] = instructions ? [{ role: "system", content: instructions }] : [];
  const called = new Set<string>();
  let turn: AssistantTurn | null = null;
  const flush = () => {
    if (turn) messages.push(turn.message);
    turn = null;
  };
  for (const [index, item] of items.entries()) {
    if (item.type === "message" && item.role !== "assistant") {
      flush();
      addMessage(messages, item);
    } else if (item.type === "function_call_output" || item.type === "custom_tool_call_output") {
      flush();
      if (!called.has(item.call_id)) throw noCall(item.call_id, `${field(index)}.call_id`);
      messages.push({ role: "tool", ...textOf(item.output), tool_call_id: item.call_id });
    } else {
      if (turn && !turn.takes(item)) flush();
      turn ??= new AssistantTurn();
      turn.add(item);
      if (item.type === "function_call" || item.type === "custom_tool_call") called.add(item.call_id);
    }
  }
  flush();
  return messages;
}

type Message = Extract<Item, { type: "message" }>;
type Output = Extract<Item, { type: "function_call_output" | "custom_tool_call_output" }>;
type AssistantItem = Exclude<Item, Output>;

/** One message of the assistant, as its items come. */
class AssistantTurn {
  private text: ReturnType<typeof textOf> | null = null;
  private thought = "";
  private readonly calls: ToolCall[] = [];

  /** A thought comes before a text, and a text before calls. */
  takes({ type }: AssistantItem): boolean {
    if (type === "function_call" || type === "custom_tool_call") return true;
    return this.calls.length === 0 && this.text === null;
  }

  add(item: AssistantItem): void {
    switch (item.type) {
      case "message":
        this.text = textOf(item.content);
        break;
      case "reasoning":
        this.thought += thoughtOf(item);
        break;
      case "function_call":
      case "custom_tool_call": {
        const name = shownName(item.name, item.namespace);
        const args = item.type === "function_call" ? item.arguments : inputArguments(item.input);
        this.calls.push({ id: item.call_id, type: "function", function: { name, arguments: args } });
        break;
      }
      default:
        item satisfies never;
    }
  }

  get message(): ChatMessage {
    return {
      ...{ role: "assistant", ...(this.text ?? { content: "" }) },
      ...(this.thought === "" ? {} : { reasoning_content: this.thought }),
      ...(this.calls.length > 0 ? { tool_calls: this.calls } : {}),
    };
  }
}

function addMessage(messages: ChatMessage[], { role, content }: Message): void {
  const text = textOf(content);
  if (role === "user") {
    messages.push({ role, ...text });
    return;
  }
  const [first] = messages;
  if (messages.length === 1 && first?.role === "system") {
    messages[0] = { role: "system", content: `${first.content}\n\n${text.content}` };
  } else messages.push({ role: "system", ...text });
}

function textOf(content: string | readonly ContentPart[]): Pick<ChatMessage, "content" | "parts"> {
  if (typeof content === "string") return { content };
  const parts = content.map((part) => ("text" in part ? part.text : part.refusal));
  return { content: parts.join("\n"), parts };
}

function noCall(callId: string, param: string): HttpError {
  const message = `${param}: there is no call ${JSON.stringify(callId)} before this output: send it along, or the response that called as previous_response_id`;
  return new HttpError(400, "invalid_value", message, param);
}

/** What the assistant thought: as text, or as this endpoint sealed it, or the summary of that. */
function thoughtOf({
  content,
  summary,
  encrypted_content: sealed,
}: Extract<Item, { type: "reasoning" }>): string {
  const texts = (content?.length ? content : null)?.map(({ text }) => text);
  return texts?.join("\n") ?? opened(sealed) ?? (summary ?? []).map(({ text }) => text).join("\n");
}

/**
 * Clients that keep no thoughts of others give back only what they cannot read (`reasoning.encrypted_content`): here that
 * is the thought itself, in other letters. It is no secret: the client has been told it.
 */
const SEAL = "picospec.";

export function sealed(thought: string): string {
  const bytes = new TextEncoder().encode(thought);
  return SEAL + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** @returns null: there is none, or it is another server's */
function opened(seal: string | null | undefined): string | null {
  if (!seal?.startsWith(SEAL)) return null;
  try {
    const bytes = Uint8Array.from(atob(seal.slice(SEAL.length)), (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(bytes);
  } catch {
    return null;
  }
}
