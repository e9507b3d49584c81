import type { z } from "zod";
import type { ChatMessage } from "../../text/conversation.ts";
import type { CallableTool, Conversation, Thinking, ToolUse } from "../conversation.ts";
import { formatOf, present } from "./format.ts";
import { samplingOf } from "./sampling.ts";
import type { ChatBody } from "./schema/chat.ts";
import { maxTokensOf } from "./schema/common.ts";
import type { contentSchema, messageSchema } from "./schema/messages.ts";
import type { functionSchema } from "./schema/tools.ts";
import { thinkingOf } from "./thinking.ts";

/** A chat completion's request as a conversation. @throws HttpError 400, SettingError */
export function chatConversation(body: ChatBody): Conversation {
  const tools = (body.tools ?? []).map(({ function: tool }, number) =>
    plainTool(tool, `tools.${number}.function.parameters`),
  );
  const functions = (body.functions ?? []).map((tool, number) =>
    plainTool(tool, `functions.${number}.parameters`),
  );
  const last = body.messages.at(-1)!;
  return {
    model: body.model ?? undefined,
    prompts: [body.messages.map(plainMessage)],
    choices: body.n ?? 1,
    ...{ special: false, suffix: null },
    tools: [...tools, ...functions],
    toolUse: toolUseOf(body),
    thinking: chatThinking(body),
    continues: last.role === "assistant" && !called(last) && body.continue_final_message !== false,
    format: formatOf(body),
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : null,
    sampling: samplingOf(
      body,
      maxTokensOf(undefined, body.max_completion_tokens, body.max_tokens, body.n_predict),
    ),
  };
}

function called({ tool_calls, function_call }: Extract<Message, { role: "assistant" }>): boolean {
  return (tool_calls?.length ?? 0) > 0 || present(function_call);
}

function toolUseOf(body: ChatBody): ToolUse {
  const { tool_choice: choice, function_call: named } = body;
  const parallel = body.parallel_tool_calls ?? true;
  if (present(named)) {
    if (typeof named === "string") return { mode: named, allowed: null, parallel };
    return { mode: "required", allowed: [named.name], parallel: false };
  }
  if (!present(choice)) return { mode: "auto", allowed: null, parallel };
  if (typeof choice === "string") return { mode: choice, allowed: null, parallel };
  if (choice.type === "function")
    return { mode: "required", allowed: [choice.function.name], parallel: false };
  const { mode, tools } = choice.allowed_tools;
  return { mode, allowed: tools.map((tool) => tool.function.name), parallel };
}

function chatThinking(body: ChatBody): Thinking {
  const { reasoning, thinking } = body;
  const type = thinking?.type;
  return thinkingOf(body, {
    efforts: [
      ["reasoning_effort", body.reasoning_effort],
      ["reasoning.effort", reasoning?.effort],
    ],
    enabled: [
      ["reasoning.enabled", reasoning?.enabled],
      ["thinking.type", type === "enabled" ? true : type === "disabled" ? false : null],
    ],
    budgets: [
      ["reasoning.max_tokens", reasoning?.max_tokens],
      ["thinking.budget_tokens", thinking?.budget_tokens],
    ],
  });
}

type Message = z.infer<typeof messageSchema>;

export function plainTool(tool: z.infer<typeof functionSchema>, param: string): CallableTool {
  const { name, description, parameters, strict } = tool;
  return {
    strict: strict ?? false,
    param,
    type: "function",
    function: {
      name,
      ...(present(description) ? { description } : {}),
      ...(present(parameters) ? { parameters } : {}),
    },
  };
}

function plainMessage(message: Message): ChatMessage {
  const refusal = message.role === "assistant" ? message.refusal : null;
  const text = plainText(message.content ?? refusal ?? "");
  switch (message.role) {
    case "developer":
      return { role: "system", ...text };
    case "assistant":
      return assistantMessage(message, text);
    case "tool":
      return { role: "tool", ...text, tool_call_id: message.tool_call_id };
    case "function":
      return { role: "tool", ...text, tool_call_id: callIdOf(message.name) };
    default:
      return { role: message.role, ...text };
  }
}

function assistantMessage(
  message: Extract<Message, { role: "assistant" }>,
  text: ReturnType<typeof plainText>,
): ChatMessage {
  const { tool_calls: calls, function_call: call } = message;
  const thought = message.reasoning_content ?? message.reasoning ?? "";
  const old = present(call) ? [{ id: callIdOf(call.name), type: "function" as const, function: call }] : [];
  const all = [...(calls ?? []), ...old];
  return {
    ...{ role: "assistant", ...text },
    ...(thought === "" ? {} : { reasoning_content: thought }),
    ...(all.length > 0 ? { tool_calls: all } : {}),
  };
}

/** Calls of functions had no ids: a function's name tells which call is answered. */
function callIdOf(name: string): string {
  return `call_${name}`;
}

function plainText(given: z.infer<typeof contentSchema>): Pick<ChatMessage, "content" | "parts"> {
  if (typeof given === "string") return { content: given };
  const parts = given.map(({ text }) => text);
  return { content: parts.join("\n"), parts };
}
