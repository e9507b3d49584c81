import type { AnswerRequest } from "../edge/edge.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import { callsTools } from "../text/tool-calls.ts";
import { type AnswerGrammar, callGrammar, formatGrammar } from "./answer-grammar.ts";
import type { CallableTool, Conversation } from "./conversation.ts";
import { HttpError } from "./errors.ts";

/** What a conversation asks of the model that answers it. */

export interface ConversationRequests {
  /** one a choice */
  readonly requests: readonly AnswerRequest[];
  /** calls of tools are to be looked for in the text */
  readonly readsCalls: boolean;
  /** keywords of schemas that are not kept, since the client has allowed that, in words */
  readonly relaxed: readonly string[];
}

/**
 * @param template chat template of the model that answers
 * @throws HttpError 400 for tools that the template does not know, and for schemas that cannot be kept
 */
export function requestsOf(
  conversation: Conversation,
  template: string | null,
  freshSeed: () => Seed,
): ConversationRequests {
  const { prompts, choices, logprobs, sampling, toolUse } = conversation;
  const tools = toolUse.mode === "none" ? [] : conversation.tools;
  if (tools.length > 0 && !callsTools(template)) {
    const message =
      "the target's chat template does not show tools; leave them out, or take a model that knows them";
    throw new HttpError(400, "tools_not_supported", message, "tools");
  }
  const answer = grammarOf(conversation, tools);
  const { sampler, stop, maxTokens, policy } = sampling;
  const shared = {
    ...{ sampler, stop },
    ...(tools.length === 0
      ? {}
      : { tools: tools.map(({ type, function: tool }) => ({ type, function: tool })) }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(policy ? { policy } : {}),
    ...(answer === null ? {} : { grammar: answer.grammar }),
    ...(logprobs === null ? {} : { logprobs }),
  };
  const requests = prompts.flatMap((prompt) =>
    Array.from({ length: choices }, (_, choice) => ({
      ...shared,
      prompt,
      seed: seedOf(sampling.seed, choice, freshSeed),
    })),
  );
  return { requests, readsCalls: tools.length > 0, relaxed: answer?.relaxed ?? [] };
}

function seedOf(first: number | null, choice: number, freshSeed: () => Seed): Seed {
  return first === null ? freshSeed() : toSeed(BigInt.asUintN(64, BigInt(first) + BigInt(choice)));
}

/** null: the answer is free. */
function grammarOf({ toolUse, format }: Conversation, tools: readonly CallableTool[]): AnswerGrammar | null {
  const { mode, allowed } = toolUse;
  const missing = allowed?.find((name) => tools.every((tool) => tool.function.name !== name));
  if (missing !== undefined) throw wrongChoice(`there is no tool ${JSON.stringify(missing)}`);
  if (mode !== "required") return format && formatGrammar(format, tools);
  const callable = allowed === null ? tools : tools.filter((tool) => allowed.includes(tool.function.name));
  if (callable.length === 0) throw wrongChoice("there are no tools to call");
  return callGrammar(callable);
}

function wrongChoice(message: string): HttpError {
  return new HttpError(400, "invalid_value", message, "tool_choice");
}
