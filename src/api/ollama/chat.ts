import type { ChatMessage, ToolCall } from "../../text/conversation.ts";
import type { CallableTool, Conversation } from "../conversation.ts";
import { answerOf } from "./sampling.ts";
import type { ChatBody, OllamaMessage } from "./schema/chat.ts";

/** A chat's request as a conversation. @param model as it is called here; undefined: the default */
export function chatConversation(body: ChatBody, model: string | undefined): Conversation {
  const messages = body.messages ?? [];
  const last = messages.at(-1);
  return {
    model,
    prompts: [plainMessages(messages)],
    ...{ special: false, suffix: null },
    tools: (body.tools ?? []).map(callable),
    toolUse: { mode: "auto", allowed: null, parallel: true },
    continues: last?.role === "assistant" && (last.tool_calls ?? []).length === 0,
    ...answerOf(body),
  };
}

function callable({ function: tool }: NonNullable<ChatBody["tools"]>[number], number: number): CallableTool {
  const { name, description, parameters } = tool;
  return {
    strict: false,
    param: `tools.${number}.function.parameters`,
    type: "function",
    function: { name, ...(description ? { description } : {}), ...(parameters ? { parameters } : {}) },
  };
}

/** A result says which call it answers by its tool's name, or by where it stands. */
function plainMessages(messages: readonly OllamaMessage[]): ChatMessage[] {
  let calls = 0;
  /** of the assistant's last message with calls, those without a result */
  let open: ToolCall[] = [];
  return messages.map((message) => {
    const { role, thinking, tool_calls: made } = message;
    const content = message.content ?? "";
    if (role === "tool") return { role, content, tool_call_id: answered(message, open) };
    if (role !== "assistant") return { role, content };
    const tool_calls = (made ?? []).map(({ id, function: call }): ToolCall => {
      const { name, arguments: args } = call;
      return {
        id: id || callId(calls++),
        type: "function",
        function: { name, arguments: JSON.stringify(args ?? {}) },
      };
    });
    if (tool_calls.length > 0) open = [...tool_calls];
    return {
      ...{ role, content },
      ...(thinking ? { reasoning_content: thinking } : {}),
      ...(tool_calls.length > 0 ? { tool_calls } : {}),
    };
  });
}

/** @param open is left without the call */
function answered({ tool_call_id: id, tool_name: name }: OllamaMessage, open: ToolCall[]): string {
  const at = open.findIndex((call) => (id ? call.id === id : !name || call.function.name === name));
  const [call] = at < 0 ? [] : open.splice(at, 1);
  return id || call?.id || name || callId(0);
}

/** Of letters and digits, nine of them: some templates take no other. */
function callId(number: number): string {
  return `call${String(number).padStart(5, "0")}`;
}
