import type { z } from "zod";
import type { ChatMessage } from "../../text/conversation.ts";
import type { CallableTool, Conversation, ToolUse } from "../conversation.ts";
import { formatOf, present } from "./format.ts";
import { samplingOf } from "./sampling.ts";
import type { ChatBody } from "./schema/chat.ts";
import type { contentSchema, messageSchema } from "./schema/messages.ts";
import type { toolSchema } from "./schema/tools.ts";

/** A chat completion's request as a conversation. @throws HttpError 400, SettingError */
export function chatConversation(body: ChatBody): Conversation {
  return {
    model: body.model,
    prompts: [body.messages.map(plainMessage)],
    choices: body.n ?? 1,
    tools: (body.tools ?? []).map(plainTool),
    toolUse: toolUseOf(body.tool_choice ?? "auto"),
    format: formatOf(body),
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : null,
    sampling: samplingOf(body, body.max_completion_tokens ?? body.max_tokens ?? undefined),
  };
}

function toolUseOf(choice: NonNullable<ChatBody["tool_choice"]>): ToolUse {
  if (typeof choice === "string") return { mode: choice, allowed: null };
  return { mode: "required", allowed: [choice.function.name] };
}

function plainTool({ function: tool }: z.infer<typeof toolSchema>): CallableTool {
  const { name, description, parameters, strict } = tool;
  return {
    strict: strict ?? false,
    type: "function",
    function: {
      name,
      ...(present(description) ? { description } : {}),
      ...(present(parameters) ? { parameters } : {}),
    },
  };
}

function plainMessage(message: z.infer<typeof messageSchema>): ChatMessage {
  const text = plainText(message.content ?? "");
  switch (message.role) {
    case "developer":
      return { role: "system", content: text };
    case "assistant":
      return {
        role: "assistant",
        content: text,
        ...(message.tool_calls && message.tool_calls.length > 0 ? { tool_calls: message.tool_calls } : {}),
      };
    case "tool":
      return { role: "tool", content: text, tool_call_id: message.tool_call_id };
    default:
      return { role: message.role, content: text };
  }
}

function plainText(given: z.infer<typeof contentSchema>): string {
  return typeof given === "string" ? given : given.map(({ text }) => text).join("");
}
