import { z } from "zod";
import { SESSION_ROWS } from "../../decoding/session.ts";
import type { AnswerRequest } from "../../edge/edge.ts";
import type { ChatMessage } from "../../text/conversation.ts";
import { callsTools } from "../../text/tool-calls.ts";
import { HttpError } from "../errors.ts";
import { type AnswerGrammar, type CallableTool, callGrammar, formatGrammar } from "./answer-grammar.ts";
import { formatOf, present } from "./format.ts";
import { listOf } from "./list.ts";
import { commonFields, parseBody, REQUEST_LIMITS, toolChoiceSchema, toolSchema } from "./request.ts";
import { ranged } from "./sampler-fields.ts";

/** A request for a chat completion: its fields, and what they ask of the edge. */

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const content = z.union([z.string(), listOf(textPart, { most: REQUEST_LIMITS.parts })]);
const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const messageSchema = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content }),
  z.object({ role: z.literal("user"), content }),
  z.object({
    role: z.literal("assistant"),
    content: content.nullish(),
    tool_calls: listOf(toolCallSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  }),
  z.object({ role: z.literal("tool"), content, tool_call_id: z.string() }),
]);

const chatSchema = z.object({
  ...commonFields,
  messages: listOf(messageSchema, { least: 1, most: REQUEST_LIMITS.messages }),
  max_completion_tokens: ranged(SESSION_ROWS.maxTokens.range).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  tools: listOf(toolSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
});

export type ChatBody = z.infer<typeof chatSchema>;

/** @throws HttpError 400 that names the field */
export function parseChat(body: unknown): ChatBody {
  const chat = parseBody(chatSchema, body);
  if (chat.top_logprobs && !chat.logprobs) {
    throw new HttpError(400, "invalid_value", "top_logprobs needs logprobs: true", "top_logprobs");
  }
  return chat;
}

/** What a chat asks for besides what all completions have. */
export interface ChatDemand
  extends Pick<AnswerRequest, "prompt" | "tools" | "grammar" | "logprobs" | "maxTokens"> {
  /** calls of tools are to be looked for in the text */
  readonly readsCalls: boolean;
  /** keywords of schemas that are not kept, in words */
  readonly relaxed: readonly string[];
}

/**
 * @param template the target's chat template
 * @throws HttpError 400 for tools that the template does not know, and for schemas that cannot be kept
 */
export function chatDemand(body: ChatBody, template: string | null): ChatDemand {
  const choice = body.tool_choice ?? "auto";
  const tools: readonly CallableTool[] = choice === "none" ? [] : (body.tools ?? []).map(plainTool);
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  if (tools.length > 0 && !callsTools(template)) {
    const message =
      "the target's chat template does not show tools; leave them out, or take a model that knows them";
    throw new HttpError(400, "tools_not_supported", message, "tools");
  }
  const answer = grammarOf(body, choice, tools);
  return {
    prompt: body.messages.map(plainMessage),
    tools: tools.map(({ type, function: tool }) => ({ type, function: tool })),
    readsCalls: tools.length > 0,
    relaxed: answer?.relaxed ?? [],
    ...(answer === null ? {} : { grammar: answer.grammar }),
    ...(body.logprobs ? { logprobs: body.top_logprobs ?? 0 } : {}),
    ...(maxTokens ? { maxTokens } : {}),
  };
}

/** null: the answer is free. */
function grammarOf(
  body: ChatBody,
  choice: NonNullable<ChatBody["tool_choice"]>,
  tools: readonly CallableTool[],
): AnswerGrammar | null {
  const format = formatOf(body);
  const forced = typeof choice === "object" ? choice.function.name : null;
  if (forced === null && choice !== "required") return format && formatGrammar(format, tools);
  const callable = tools.filter((tool) => forced === null || tool.function.name === forced);
  if (callable.length > 0) return callGrammar(callable);
  const message =
    forced === null ? "there are no tools to call" : `there is no tool ${JSON.stringify(forced)}`;
  throw new HttpError(400, "invalid_value", message, "tool_choice");
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

function plainText(given: z.infer<typeof content>): string {
  return typeof given === "string" ? given : given.map(({ text }) => text).join("");
}
