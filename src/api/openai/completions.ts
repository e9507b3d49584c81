import type { Conversation, ConversationPrompt } from "../conversation.ts";
import { formatOf } from "./format.ts";
import { samplingOf } from "./sampling.ts";
import { maxTokensOf } from "./schema/common.ts";
import type { CompletionBody } from "./schema/completion.ts";

/** OpenAI's own default. */
const DEFAULT_MAX_TOKENS = 16;

/** A plain completion's request as a conversation: prompts that are no messages. @throws HttpError 400, SettingError */
export function completionConversation(body: CompletionBody): Conversation {
  return {
    model: body.model ?? undefined,
    prompts: promptsOf(body.prompt),
    choices: body.n ?? 1,
    special: body.parse_special ?? false,
    suffix: body.suffix || null,
    tools: [],
    toolUse: { mode: "none", allowed: null, parallel: true },
    thinking: { variables: {}, budgetTokens: null },
    continues: false,
    format: formatOf(body),
    logprobs: body.logprobs ?? null,
    sampling: samplingOf(body, maxTokensOf(DEFAULT_MAX_TOKENS, body.max_tokens, body.n_predict)),
  };
}

function promptsOf(prompt: CompletionBody["prompt"]): ConversationPrompt[] {
  if (typeof prompt === "string") return [prompt];
  if (typeof prompt[0] === "number") return [Int32Array.from(prompt as number[])];
  return (prompt as string[] | number[][]).map((one) =>
    typeof one === "string" ? one : Int32Array.from(one),
  );
}
