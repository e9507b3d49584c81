import { policyNamed } from "../../decoding/policy.ts";
import type { ChatMessage } from "../../text/conversation.ts";
import type { AnswerFormat, CallableTool, Conversation, Thinking, ToolUse } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { AnthropicMessage, TextContent } from "./schema/content.ts";
import type { MessageBody, PromptBody } from "./schema/request.ts";

/** A request for a message as a conversation. @throws HttpError 400, SettingError */
export function messageConversation(body: MessageBody): Conversation {
  const { temperature, top_p, top_k, seed, policy, stop_sequences, max_tokens } = body;
  const sampler = { temperature, topP: top_p, topK: top_k };
  const given = Object.entries(sampler).filter(([, value]) => value !== null && value !== undefined);
  return {
    ...promptConversation(body),
    sampling: {
      sampler: Object.fromEntries(given),
      seed: seed ?? null,
      stop: stop_sequences ?? [],
      maxTokens: max_tokens,
      policy: policy ? policyNamed(policy) : undefined,
    },
  };
}

/** What is asked, without how the answer is drawn. @throws HttpError 400 */
export function promptConversation(body: PromptBody): Conversation {
  const last = body.messages.at(-1)!;
  return {
    model: body.model ?? undefined,
    prompts: [[...systemMessage(body.system), ...plainMessages(body.messages)]],
    choices: 1,
    ...{ special: false, suffix: null, logprobs: null },
    tools: (body.tools ?? []).map(callable),
    toolUse: toolUseOf(body.tool_choice),
    thinking: thinkingOf(body),
    continues: last.role === "assistant" && !blocksOf(last.content).some(({ type }) => type === "tool_use"),
    format: formatOf(body),
    sampling: { sampler: {}, seed: null, stop: [], maxTokens: undefined, policy: undefined },
  };
}

function callable(tool: NonNullable<PromptBody["tools"]>[number], number: number): CallableTool {
  const { name, description, input_schema: parameters, strict } = tool;
  return {
    strict: strict ?? false,
    param: `tools.${number}.input_schema`,
    type: "function",
    function: { name, ...(description ? { description } : {}), parameters },
  };
}

function toolUseOf(choice: PromptBody["tool_choice"]): ToolUse {
  if (!choice) return { mode: "auto", allowed: null, parallel: true };
  if (choice.type === "none") return { mode: "none", allowed: null, parallel: true };
  const parallel = !choice.disable_parallel_tool_use;
  if (choice.type === "tool") return { mode: "required", allowed: [choice.name], parallel: false };
  return { mode: choice.type === "any" ? "required" : "auto", allowed: null, parallel };
}

/** Without `thinking` there is none, as with Anthropic: a client that asks for 20 tokens wants those of the answer. */
function thinkingOf({ thinking, output_config }: PromptBody): Thinking {
  const effort = output_config?.effort;
  const enabled = thinking ? thinking.type !== "disabled" : false;
  return {
    variables: { enable_thinking: enabled, ...(effort ? { reasoning_effort: effort } : {}) },
    budgetTokens: thinking?.type === "enabled" ? thinking.budget_tokens : null,
  };
}

/** @throws HttpError 400 for two formats */
function formatOf({ output_config, output_format: old }: PromptBody): AnswerFormat | null {
  const now = output_config?.format;
  if (now && old) {
    const message = "output_format is the older name of output_config.format: send one of the two";
    throw new HttpError(400, "invalid_value", message, "output_format");
  }
  const [format, param] = now ? [now, "output_config.format"] : [old, "output_format"];
  return format ? { kind: "schema", schema: format.schema, relaxes: false, param } : null;
}

/** A client's note for Anthropic's accounts, other in each request: it is nothing for a model. */
const ACCOUNTS = "x-anthropic-billing-header:";

function systemMessage(system: TextContent | null | undefined): ChatMessage[] {
  const parts = textsOf(system ?? []).filter((text) => text !== "" && !text.startsWith(ACCOUNTS));
  return parts.length === 0 ? [] : [{ role: "system", content: parts.join("\n"), parts }];
}

function textsOf(content: TextContent): string[] {
  return typeof content === "string" ? [content] : content.map(({ text }) => text);
}

type Block = Exclude<AnthropicMessage["content"], string>[number];

function blocksOf(content: AnthropicMessage["content"]): readonly Block[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

function isText(block: Block): block is Extract<Block, { type: "text" }> {
  return block.type === "text";
}

/** Turns of one role that follow each other are one, as with Anthropic: templates want them to alternate. */
function plainMessages(messages: readonly AnthropicMessage[]): ChatMessage[] {
  const turns: { role: AnthropicMessage["role"]; blocks: Block[] }[] = [];
  for (const { role, content } of messages) {
    const last = turns.at(-1);
    if (last?.role === role) last.blocks.push(...blocksOf(content));
    else turns.push({ role, blocks: [...blocksOf(content)] });
  }
  return turns.flatMap(({ role, blocks }) => {
    if (role === "assistant") return [assistantMessage(blocks)];
    return role === "user" ? userMessages(blocks) : systemMessage(blocks.filter(isText));
  });
}

/** Results of tools are messages of their own; what is written between them stays there. */
function userMessages(blocks: readonly Block[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  let parts: string[] = [];
  const flush = () => {
    if (parts.length > 0) messages.push({ role: "user", content: parts.join("\n"), parts });
    parts = [];
  };
  for (const block of blocks) {
    if (block.type === "text") parts.push(block.text);
    if (block.type !== "tool_result") continue;
    flush();
    const told = textsOf(block.content ?? "").join("\n");
    const content = block.is_error && !/^\s*error/i.test(told) ? `Error: ${told}` : told;
    messages.push({ role: "tool", content, tool_call_id: block.tool_use_id });
  }
  flush();
  return messages.length > 0 ? messages : [{ role: "user", content: "" }];
}

function assistantMessage(blocks: readonly Block[]): ChatMessage {
  const texts = blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  const thoughts = blocks.flatMap((block) => (block.type === "thinking" ? [block.thinking] : []));
  const calls = blocks.flatMap((block) =>
    block.type === "tool_use"
      ? [
          {
            id: block.id,
            type: "function" as const,
            function: { name: block.name, arguments: JSON.stringify(block.input ?? {}) },
          },
        ]
      : [],
  );
  return {
    role: "assistant",
    content: texts.join(""),
    ...(thoughts.length > 0 ? { reasoning_content: thoughts.join("\n") } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}
