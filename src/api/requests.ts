import type { AnswerRequest, PromptRequest } from "../edge/edge.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import type { ChatMessage } from "../text/conversation.ts";
import type { Format, ReaderOptions } from "../text/formats/format.ts";
import { formatOf } from "../text/formats/registry.ts";
import { type AnsweringModel, answerGrammar } from "./answer-grammar.ts";
import type { CallableTool, Conversation, ConversationPrompt } from "./conversation.ts";
import { HttpError } from "./errors.ts";

/** What a conversation asks of the model that answers it. */

/** One choice: what is asked, and how its text is read. */
export interface ChoiceRequest {
  readonly request: AnswerRequest;
  /** null: all of it is text */
  readonly reading: Reading | null;
}

export interface Reading extends ReaderOptions {
  readonly format: Format;
  /** null: a thought may take as long as it likes */
  readonly budget: ThinkingBudget | null;
}

export interface ThinkingBudget {
  readonly tokens: number;
  /** ends a thought */
  readonly close: string;
  /** of what follows a thought that was ended; null: it is free */
  readonly grammar: AnswerRequest["grammar"] | null;
}

/** A prompt as the model that answers reads it. */
export interface ReadPrompt {
  /** Int32Array[n], or text that is not read yet */
  readonly prompt: AnswerRequest["prompt"];
  readonly thinkingOpen: boolean;
}

/** @param template its chat template; null: there is none @param formats what knows a format by that */
export function modelBy(template: string | null, formats = formatOf): AnsweringModel {
  const format = formats(template);
  const { thinkingEnd, marksText } = format;
  return { format, thinks: thinkingEnd !== null && (template ?? "").includes(thinkingEnd), marksText };
}

/** Its prompts are messages. */
export function isChat({ prompts }: Conversation): boolean {
  return Array.isArray(prompts[0]);
}

/**
 * What the prompts of a chat are made of.
 * @throws HttpError 400 for tools that the model cannot call
 */
export function promptRequests(conversation: Conversation, { format }: AnsweringModel): PromptRequest[] {
  const { thinking, continues, prompts } = conversation;
  const tools = shownTools(conversation);
  if (tools.length > 0 && !format.callsTools) {
    const message = "the target does not call tools; leave them out, or take a model that knows them";
    throw new HttpError(400, "tools_not_supported", message, "tools");
  }
  const plain = tools.map(({ type, function: tool }) => ({ type, function: tool }));
  const instruction = plain.length > 0 ? format.instruction(plain) : null;
  return prompts
    .map((given) => withCalls(given, format))
    .map((prompt) => ({
      prompt: instruction === null ? prompt : instructed(prompt as readonly ChatMessage[], instruction),
      ...(plain.length > 0 && instruction === null ? { tools: plain } : {}),
      ...{ templateVariables: thinking.variables, continues },
    }));
}

/** With the calls of earlier turns as the model writes them: only who renders knows whether its template shows calls. */
function withCalls(prompt: ConversationPrompt, format: Format): ConversationPrompt {
  if (typeof prompt === "string" || prompt instanceof Int32Array) return prompt;
  return prompt.map((message) => {
    const calls = message.tool_calls ?? [];
    const written = format.written(calls.map(({ id, function: made }) => ({ id, ...made })));
    return calls.length === 0 || written === "" ? message : { ...message, written_calls: written };
  });
}

/** In the system message, behind what it says. */
function instructed(messages: readonly ChatMessage[], instruction: string): readonly ChatMessage[] {
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: instruction }, ...messages];
  const { parts: _, ...system } = first;
  return [{ ...system, content: `${first.content}\n\n${instruction}` }, ...rest];
}

function shownTools({ tools, toolUse }: Conversation): readonly CallableTool[] {
  return toolUse.mode === "none" ? [] : tools;
}

/**
 * @param prompts one a prompt of the conversation
 * @returns one a choice, and keywords of schemas that are not kept, since the client has allowed that, in words
 * @throws HttpError 400 for schemas that cannot be kept, and for tools that there are not
 */
export function choiceRequests(
  conversation: Conversation,
  model: AnsweringModel,
  prompts: readonly ReadPrompt[],
  freshSeed: () => Seed,
): { readonly choices: readonly ChoiceRequest[]; readonly relaxed: readonly string[] } {
  const relaxed = new Set<string>();
  const choices = prompts.flatMap((prompt) => {
    const one = choiceOf(conversation, model, prompt);
    for (const keyword of one.relaxed) relaxed.add(keyword);
    return Array.from({ length: conversation.choices }, (_, choice) => {
      const seed = seedOf(conversation.sampling.seed, choice, freshSeed);
      return { request: { ...one.request, seed }, reading: one.reading };
    });
  });
  return { choices, relaxed: [...relaxed] };
}

/** The same for all choices of a prompt, but for the seed. */
function choiceOf(conversation: Conversation, model: AnsweringModel, { prompt, thinkingOpen }: ReadPrompt) {
  const { format } = model;
  const reads = isChat(conversation);
  const callable = callableTools(conversation);
  const { sampler, stop, maxTokens, policy } = conversation.sampling;
  const { logprobs, special, suffix } = conversation;
  const answering = reads ? model : { ...model, thinks: false, marksText: false };
  const grammarAfter = (open: boolean) => answerGrammar(conversation, callable, answering, open);
  const answer = grammarAfter(thinkingOpen);
  const request: AnswerRequest = {
    ...{ prompt, sampler, stop },
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(policy ? { policy } : {}),
    ...(answer === null ? {} : { grammar: answer.grammar }),
    ...(logprobs === null ? {} : { logprobs }),
    ...(reads ? { markers: format.markers } : {}),
    ...(special ? { special } : {}),
    ...(suffix === null ? {} : { suffix }),
  };
  const { budgetTokens } = conversation.thinking;
  const budget =
    budgetTokens === null || format.thinkingEnd === null
      ? null
      : { tokens: budgetTokens, close: format.thinkingEnd, grammar: grammarAfter(false)?.grammar ?? null };
  const tools = shownTools(conversation).map(({ function: { name, parameters } }) => ({ name, parameters }));
  const reading: Reading | null = reads ? { ...{ format, thinkingOpen, tools, budget } } : null;
  return { request, reading, relaxed: answer?.relaxed ?? [] };
}

function seedOf(first: number | null, choice: number, freshSeed: () => Seed): Seed {
  return first === null ? freshSeed() : toSeed(BigInt.asUintN(64, BigInt(first) + BigInt(choice)));
}

/** @throws HttpError 400 */
function callableTools(conversation: Conversation): readonly CallableTool[] {
  const tools = shownTools(conversation);
  const { mode, allowed } = conversation.toolUse;
  const missing = allowed?.find((name) => tools.every((tool) => tool.function.name !== name));
  if (missing !== undefined) throw wrongChoice(`there is no tool ${JSON.stringify(missing)}`);
  const callable = allowed === null ? tools : tools.filter((tool) => allowed.includes(tool.function.name));
  if (mode === "required" && callable.length === 0)
    throw wrongChoice("there are no tools to call: give tools, or leave it out");
  return callable;
}

function wrongChoice(message: string): HttpError {
  return new HttpError(400, "invalid_value", message, "tool_choice");
}
